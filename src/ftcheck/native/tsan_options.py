"""Is the real ThreadSanitizer in this process, and where does it write?

What it does is decided when the process starts, by the environment variable ``TSAN_OPTIONS``
(https://github.com/google/sanitizers/wiki/ThreadSanitizerFlags, and SanitizerCommonFlags there). A worker process inherits
it. Defaults that a program has compiled in (``__tsan_default_options``) cannot be known: what is needed must stand in the
variable.
"""

from __future__ import annotations

import os
import re
import shlex
import sysconfig
from collections.abc import Mapping
from pathlib import Path

_FLAG = re.compile(r"""(?P<name>[^\s,:=]+)=(?P<value>"[^"]*"|'[^']*'|[^\s,:]*)""")
_YES = {"1", "true", "yes"}


def present() -> bool:
    """Whether its runtime is in this process: the interpreter, or ``LD_PRELOAD``, has brought it."""
    import ctypes  # not for those who have no use for it

    try:
        return hasattr(ctypes.CDLL(None), "__tsan_get_current_report")
    except OSError, TypeError:  # no libc that could be asked: Windows
        return False


def interpreter_built_with_it() -> bool:
    """Whether the interpreter itself was compiled with ``-fsanitize=thread``, so that its locks are seen.

    If not, what they order is reported all the same: a report is no proof of anything then.
    """
    said = (str(sysconfig.get_config_var(name)) for name in ("CONFIG_ARGS", "CFLAGS", "PY_CFLAGS", "OPT", "BASECFLAGS"))
    return any("-thread-sanitizer" in one or "-fsanitize=thread" in one for one in said)


def flags(text: str) -> dict[str, str]:
    """``TSAN_OPTIONS`` taken apart as the runtime does it: blanks, commas and colons separate, quotes hold together."""
    return {one["name"]: one["value"].strip("\"'") for one in _FLAG.finditer(text)}


def wanted(prefix: Path) -> str:
    """What ``TSAN_OPTIONS`` has to say for logs that begin with this path; ready to be typed in a shell."""
    path = str(prefix)
    quoted = f'"{path}"' if re.search(r"[\s,:]", path) else path
    return f"TSAN_OPTIONS={shlex.quote(f'log_path={quoted}:exitcode=0:halt_on_error=0')}"


def complaint(prefix: Path, environment: Mapping[str, str]) -> str:
    """What is wrong with ``TSAN_OPTIONS`` for a run that reads logs with this prefix; empty: nothing."""
    said = flags(environment.get("TSAN_OPTIONS", ""))
    path = said.get("log_path")
    if path is None:
        return "TSAN_OPTIONS sets no log_path, so that there is no log to be read"
    if path in ("stdout", "stderr"):
        return f"TSAN_OPTIONS has log_path={path}, where reports cannot be told from other output"
    if not os.path.isabs(path):
        return f"TSAN_OPTIONS has log_path={path}: a relative path is another one as soon as a test changes the folder"
    if Path(os.path.normpath(path)) != prefix:
        return f"TSAN_OPTIONS has log_path={path}, and --ftcheck-tsan-log has {prefix}"
    if said.get("exitcode") != "0":
        has = f"exitcode={said['exitcode']}" if "exitcode" in said else "no exitcode, and the default is 66"
        return f"TSAN_OPTIONS has {has}: a worker that reports anything would end as if it had crashed"
    if said.get("halt_on_error", "0").lower() in _YES:
        return "TSAN_OPTIONS has halt_on_error=1: the first report would end the process, and the other tests with it"
    return ""

"""Finds interpreters: by a version (``3.14t``, ``3.14``), a path, the folder of a virtual environment, or a command.

A version is looked for where people have interpreters, in this order; the first that is what was asked for is taken, so the
same machine gives the same answer each time:

1. the virtual environment that is active (``VIRTUAL_ENV``), and the interpreter that runs this
2. virtual environments in the current folder: ``.venv*``, ``venv*``, ``.tox/*``, ``.nox/*``, by name
3. ``PATH``: ``python3.14t``, ``python3.14``, ``python3``, ``python``
4. pyenv's versions
5. uv's interpreters, and what ``tools/interpreter.py`` of a checkout of ftcheck has made

What a candidate is, it says itself: it is run once. ``3.14`` means the build with the GIL, ``3.14t`` the one without.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROBE = """\
import json, sys, sysconfig
print("ftcheck-probe", json.dumps(dict(
    version=".".join(map(str, sys.version_info[:3])), implementation=sys.implementation.name,
    free_threaded=bool(sysconfig.get_config_var("Py_GIL_DISABLED")), executable=sys.executable)))
"""
_SECONDS = 20
_VERSION = re.compile(r"(?:(?:c?python)-?)?(3\.\d+)(\.\d+)?(t|\+gil|\+freethreaded)?")


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter that runs.

    :param path: as it was found: of a virtual environment, the one within it.
    :param source: where it was found.
    """

    path: str
    version: str
    free_threaded: bool
    source: str

    @property
    def name(self) -> str:
        """``3.14t``."""
        return ".".join(self.version.split(".")[:2]) + ("t" if self.free_threaded else "")


class NoPythonError(Exception):
    """There is none; says what was looked at."""


def find(wanted: str) -> Python:
    """The interpreter for a version (``3.14t``, ``3.14.2``), a path, a virtual environment, or a command's name.

    :raises NoPythonError: there is none that is what was asked for.
    """
    version = _VERSION.fullmatch(wanted)
    if version is None:
        return _named(wanted)
    threaded = version[3] in ("t", "+freethreaded")
    tried: list[str] = []
    for source, path in _places(version[1], threaded):
        found = probe(path, source)
        if isinstance(found, str):
            tried.append(f"{path}: {found}")
            continue
        right = found.version.startswith(f"{version[1]}.") and found.free_threaded is threaded
        if right and (version[2] is None or found.version == version[1] + version[2]):
            return found
        tried.append(f"{path}: it is {found.version}{' free-threaded' if found.free_threaded else ''}")
    shown = "; ".join(tried[:6]) + (f"; and {len(tried) - 6} more" if len(tried) > 6 else "")
    raise NoPythonError(
        f"no Python {wanted} was found ({len(tried)} interpreters looked at{f': {shown}' if tried else ''}). "
        f"Name it by its path, or get one: uv python install {version[1]}{'t' if threaded else ''}"
    )


def _named(wanted: str) -> Python:
    path = os.path.expanduser(wanted)
    if os.path.isdir(path):
        path = _of_environment(path)
    found = shutil.which(path)
    if found is None:
        raise NoPythonError(
            f"there is no interpreter {wanted}: it is no version (3.14t), no file that can be run, no command"
        )
    answer = probe(os.path.abspath(found), "named")
    if isinstance(answer, str):
        raise NoPythonError(f"{wanted} is no interpreter that can be used: {answer}")
    return answer


def probe(path: str, source: str) -> Python | str:
    """What an interpreter says of itself; or why it does not."""
    try:
        done = subprocess.run(
            [path, "-I", "-S", "-c", _PROBE], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"it did not answer in {_SECONDS} s"
    except OSError as error:
        return f"it cannot be run: {error.strerror}"
    answer = re.search(r"^ftcheck-probe (\{.*\})$", done.stdout, re.MULTILINE)
    if done.returncode or answer is None:
        return f"it does not run as Python (status {done.returncode})"
    facts = json.loads(answer[1])
    if facts["implementation"] != "cpython":
        return f"it is {facts['implementation']}, not CPython"
    return Python(path, facts["version"], facts["free_threaded"], source)


def _places(version: str, threaded: bool) -> Iterator[tuple[str, str]]:
    """Every file that might do, each once. (A link in a virtual environment is not the same as what it leads to.)"""
    seen: set[str] = set()
    for source, path in _everywhere(version, threaded):
        absolute = os.path.abspath(path)
        if absolute not in seen and os.path.isfile(absolute) and os.access(absolute, os.X_OK):
            seen.add(absolute)
            yield source, absolute


def _everywhere(version: str, threaded: bool) -> Iterator[tuple[str, str]]:
    active = os.environ.get("VIRTUAL_ENV")
    if active:
        yield "the active virtual environment", _of_environment(active)
    yield "this one", sys.executable
    for pattern in (".venv*", "venv*", ".tox/*", ".nox/*"):
        for folder in sorted(Path().glob(pattern)):
            if (folder / "pyvenv.cfg").is_file():
                yield "a virtual environment here", _of_environment(str(folder))
    names = (f"python{version}{'t' if threaded else ''}", "python3", "python")
    for name in names:
        for folder_name in os.get_exec_path():
            yield "PATH", os.path.join(folder_name, name)
    pyenv = Path(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")) / "versions"
    for folder in _newest_first(pyenv.glob(f"{version}*"), version):
        if folder.name.removesuffix("-dev").endswith("t") is threaded:
            yield "pyenv", _of_environment(str(folder))
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    ours = os.environ.get("FTCHECK_CACHE") or f"{cache}/ftcheck"
    for root in (os.environ.get("UV_PYTHON_INSTALL_DIR") or f"{data}/uv/python", f"{ours}/uv"):
        for folder in _newest_first(Path(root).glob(f"cpython-{version}*"), version):
            if ("freethreaded" in folder.name) is threaded:
                yield "uv", _of_environment(str(folder))
    if threaded:
        yield "ftcheck's own", f"{ours}/python{version}t/bin/python{version}t"


def _of_environment(folder: str) -> str:
    return os.path.join(folder, "bin", "python")


def _newest_first(folders: Iterator[Path], version: str) -> list[Path]:
    def patch(folder: Path) -> int:
        number = re.search(re.escape(version) + r"\.(\d+)", folder.name)
        return int(number[1]) if number else -1

    return sorted(folders, key=lambda folder: (-patch(folder), folder.name))

"""``ftcheck doctor``: what this interpreter and this machine are, what ftcheck can do here, and what to do next.

Two steps: :func:`look` collects facts, :func:`text` and :func:`plain` show them. What can be tried is tried (a compiler
is run, a file of ``/proc`` is read), not concluded from the name of the platform.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ftcheck import interpreter

SCHEMA, VERSION = "ftcheck-doctor", 1
PEERS = (
    "pytest-ftcheck", "pytest", "pytest-xdist", "pyelftools", "rich", "hypothesis", "pytest-run-parallel",
    "pytest-timeout", "pytest-asyncio", "pytest-cov", "Cython", "cffi",
)  # fmt: skip
"""What ftcheck stands on, and what is often run beside it."""
_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that ftcheck can do on some platforms.

    :param here: whether it can here.
    :param note: why not, or what limits it.
    """

    name: str
    here: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program of the machine.

    :param path: empty: there is none.
    :param version: its own first line.
    """

    name: str
    path: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is looked at.

    :param gil: whether it is on now.
    :param gil_why: who decides that.
    :param gil_modules: extension modules in this process that ask for it.
    :param flags: of :data:`sys.flags`, as far as they concern threads; None: this interpreter has no such flag.
    :param packages: versions by name; empty: not installed.
    :param next: what to do, the most important first.
    """

    interpreter: str
    executable: str
    environment: str
    free_threaded: bool
    debug: bool
    abi: str
    built_with: str
    system: str
    gil: bool
    gil_why: str
    gil_modules: tuple[str, ...]
    flags: dict[str, bool | None]
    tools: tuple[Tool, ...]
    features: tuple[Feature, ...]
    packages: dict[str, str]
    next: tuple[str, ...]


def run(as_json: bool) -> int:
    """Print it.

    :returns: the exit status: 3 where this interpreter cannot run without the GIL.
    """
    facts = look()
    if as_json:
        import json

        print(json.dumps(plain(facts), indent=1))
    else:
        print(text(facts))
    return 0 if facts.free_threaded else 3


def look() -> Facts:
    """The facts of this process and this machine."""
    free_threaded = interpreter.free_threaded_build()
    gil = interpreter.gil_enabled()
    asking = interpreter.asking() if free_threaded and gil else ()
    tools = tuple(_tools())
    features = tuple(_features())
    return Facts(
        interpreter=interpreter.describe(),
        executable=sys.executable,
        environment="virtual environment" if sys.prefix != sys.base_prefix else "no virtual environment",
        free_threaded=free_threaded,
        debug=bool(sysconfig.get_config_var("Py_DEBUG")),
        abi=sysconfig.get_config_var("SOABI") or "",
        built_with=platform.python_compiler(),
        system=" ".join(filter(None, [platform.system(), platform.release(), platform.machine(), *platform.libc_ver()])),
        gil=gil,
        gil_why=_why(free_threaded, gil, asking),
        gil_modules=asking,
        flags={name: _flag(name) for name in ("thread_inherit_context", "context_aware_warnings")},
        tools=tools,
        features=features,
        packages={name: _version(name) for name in PEERS},
        next=tuple(_next(free_threaded, features, asking)),
    )


def _why(free_threaded: bool, gil: bool, asking: tuple[str, ...]) -> str:
    if not free_threaded:
        return "this build cannot run without it"
    if interpreter.gil_forced() is not None:
        typed = "-X gil" if "gil" in sys._xoptions else "PYTHON_GIL"
        return f"forced by {typed}={int(interpreter.gil_forced() or 0)}"
    if not gil:
        return "nothing has turned it on"
    return f"turned on by {', '.join(asking)}" if asking else "turned on by a module that is not known"


def _flag(name: str) -> bool | None:
    value = getattr(sys.flags, name, None)
    return None if value is None else bool(value)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _tools() -> Iterator[Tool]:
    from ftcheck.native import toolchain
    from ftcheck.native.command import CompilerError

    for name, variable, candidates in (
        ("C compiler", "FTCHECK_CC", toolchain.C_COMPILERS),
        ("C++ compiler", "FTCHECK_CXX", toolchain.CXX_COMPILERS),
    ):
        try:
            command = toolchain.real_compiler("ftcheck-cc", variable, candidates)
        except CompilerError:
            yield Tool(name, "")
        else:
            yield Tool(name, " ".join(command), _first_line([*command, "--version"]))
    for name, programs in (("addr2line", ("addr2line", "llvm-addr2line")), ("nm", ("nm", "llvm-nm"))):
        path = next(filter(None, map(shutil.which, programs)), "")
        yield Tool(name, path, _first_line([path, "--version"]) if path else "")


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"cannot be run: {error}"
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return lines[0].strip() if lines else f"ended with status {done.returncode}"


def _features() -> Iterator[Feature]:
    from ftcheck import _core

    really = interpreter.free_threaded_build()
    yield Feature("tests in parallel threads", True, "" if really else "threads take turns, as the GIL is on")
    yield Feature("tests isolated in worker processes", os.name == "posix", "" if os.name == "posix" else "POSIX only")
    readable = _readable("/proc/self/syscall")
    yield Feature("deadlocks noticed before the timeout", readable, "" if readable else "/proc/self/syscall cannot be read")
    taken = [number for number in range(6) if sys.monitoring.get_tool(number)]
    yield Feature(
        "interleavings explored", len(taken) < 6, "" if len(taken) < 6 else "every tool id of sys.monitoring is taken"
    )
    statics = hasattr(_core, "static_changes")
    yield Feature("static variables of extensions watched", statics, "" if statics else "Linux only")
    yield _building(hasattr(_core, "native_begin"))
    several = importlib.util.find_spec("concurrent.interpreters") is not None
    yield Feature("tests in several interpreters", several, "" if several else "no concurrent.interpreters here")
    yield Feature("nothing of that needs ptrace, perf or root", True)


def _building(native: bool) -> Feature:
    """Whether ``ftcheck-cc`` works is found out by letting it make an object file."""
    name = "data races in extensions (ftcheck-cc)"
    if not native:
        return Feature(name, False, "Linux with glibc, on x86-64 and aarch64 only")
    import tempfile

    from ftcheck.native.command import CompilerError
    from ftcheck.native.toolchain import standin

    try:
        standin()
    except CompilerError as error:
        return Feature(name, False, str(error))
    program = "import sys; from ftcheck.native.compiler import cc; sys.exit(cc())"
    with tempfile.TemporaryDirectory(prefix="ftcheck-doctor-") as folder:
        source = os.path.join(folder, "x.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write("#include <Python.h>\nint f(int *p) { return ++*p; }\n")
        words = [sys.executable, "-c", program, "-c", "-I", sysconfig.get_path("include"), source, "-o", f"{source}.o"]
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=60, check=False,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            return Feature(name, False, f"it cannot be tried: {error}")
    if done.returncode:
        said = (
            [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["no reason given"]
        )
        return Feature(name, False, said[0].replace(folder + os.sep, "").strip())
    return Feature(name, True)


def _readable(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False


def _next(free_threaded: bool, features: tuple[Feature, ...], asking: tuple[str, ...]) -> Iterator[str]:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not free_threaded:
        yield (
            f"This is a build with the GIL: Python {version} is not {version}t. "
            "Code that breaks only without the GIL passes here."
        )
        yield (
            f"Install the free-threaded build (for example `uv python install {version}t`), make a virtual environment "
            "with it, and run pytest there."
        )
    elif interpreter.gil_forced():
        yield "The GIL is forced on: unset PYTHON_GIL (and -X gil) to run in parallel."
    elif interpreter.gil_forced() is False:
        yield "The GIL is forced off, so nobody notices modules that ask for it: unset PYTHON_GIL (and -X gil) in CI."
    elif asking:
        yield f"Get releases of {', '.join(asking)} that declare Py_mod_gil, or test without them."
    if any(one.name.startswith("data races") and not one.here for one in features):
        yield "Data races within extensions cannot be seen here; all else works."
    if free_threaded:
        yield "Go on with: pytest --ftcheck"


def plain(facts: Facts) -> dict[str, Any]:
    """For JSON."""
    return {"schema": SCHEMA, "version": VERSION, **asdict(facts)}


def text(facts: Facts) -> str:
    """For people."""
    rows = [
        ("interpreter", facts.interpreter),
        ("executable", f"{facts.executable} ({facts.environment})"),
        ("build", f"{facts.abi}{', with debug checks' if facts.debug else ''}, by {facts.built_with}"),
        ("system", facts.system),
        ("GIL", f"{'on' if facts.gil else 'off'}: {facts.gil_why}"),
        *((name, {True: "on", False: "off", None: "not known to this interpreter"}[value])
          for name, value in facts.flags.items()),
    ]  # fmt: skip
    lines = [f"{name:<24}{value}" for name, value in rows]
    lines += ["", "programs"]
    lines += [f"  {one.name:<22}{f'{one.path} ({one.version})' if one.path else 'none was found'}" for one in facts.tools]
    lines += ["", "what works here"]
    lines += [f"  {'yes' if one.here else 'NO':<5}{one.name}{f': {one.note}' if one.note else ''}" for one in facts.features]
    lines += ["", "packages"]
    lines += [f"  {name:<22}{version or 'not installed'}" for name, version in facts.packages.items()]
    return "\n".join([*lines, "", *facts.next])

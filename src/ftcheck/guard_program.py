"""Runs a program under :mod:`ftcheck.guard`, in this process, as ``python`` itself would run it.

The program is ``__main__``, has its own ``sys.argv`` and ``sys.path[0]``, the same standard input and the same exit
status. Its tracebacks begin where they always do: our own frames are taken off just before the interpreter prints one.
A module or a folder is run by what the interpreter itself uses for that, :mod:`runpy`.
"""

from __future__ import annotations

import io
import os
import runpy
import sys
from collections.abc import Callable, Sequence
from types import ModuleType, TracebackType

from ftcheck import guard

_USAGE = """\
usage: python -m ftcheck.guard [--action warn|raise|exit] SCRIPT|FOLDER|-m MODULE|-c CODE [ARGUMENT ...]

Run a Python program, and say so the moment a module turns the GIL on.
"""


def main(words: Sequence[str]) -> None:
    """See :func:`ftcheck.guard.main`."""
    action, program = _read(list(words))
    guard.install(action)  # type: ignore[arg-type]
    _as_main(program)()


def _read(words: list[str]) -> tuple[str, list[str]]:
    """:raises SystemExit: wrong usage, or a request for help."""
    action = "warn"
    while words and words[0].startswith("-") and words[0] not in ("-m", "-c", "-"):
        word = words.pop(0)
        if word in ("-h", "--help"):
            print(_USAGE, end="")
            raise SystemExit(0)
        if word == "--":
            break
        name, given, value = word.partition("=")
        if name != "--action":
            _wrong(f"there is no option {word!r}")
        action = value if given else words.pop(0) if words else ""
        if action not in guard.ACTIONS:
            _wrong(f"--action must be one of {', '.join(guard.ACTIONS)}, not {action!r}")
    if not words or (words[0] in ("-m", "-c") and len(words) < 2):
        _wrong("what is to be run?")
    return action, words


def _wrong(text: str) -> None:
    print(f"{_USAGE}\nftcheck.guard: {text}", file=sys.stderr)
    raise SystemExit(2)


def _as_main(words: list[str]) -> Callable[[], None]:
    """Make ``__main__`` what it is in a program of its own; what is left is to run it.

    The rules are those of ``Modules/main.c`` (``pymain_run_python``) and ``Python/sysmodule.c`` for ``sys.path[0]``.
    """
    main = ModuleType("__main__")
    main.__dict__.update(__builtins__=sys.modules["builtins"], __annotations__={})
    del main.__annotations__
    sys.modules["__main__"] = main
    first, *rest = words
    if first == "-m":
        sys.argv[:] = ["-m", *rest[1:]]
        return lambda: _run(lambda: runpy._run_module_as_main(rest[0]))  # type: ignore[attr-defined]
    if first == "-c":
        sys.argv[:] = ["-c", *rest[1:]]
        _path("")
        source: str | bytes = rest[0] + "\n"
        name = "<string>"
    elif first == "-":
        sys.argv[:] = ["-", *rest]
        _path("")
        source, name = sys.stdin.read(), "<stdin>"
    elif os.path.isdir(first) or _is_zip(first):
        sys.argv[:] = [first, *rest]
        if sys.flags.safe_path:
            sys.path.insert(0, os.path.abspath(first))
        else:
            sys.path[0] = os.path.abspath(first)
        return lambda: _run(lambda: runpy._run_module_as_main("__main__", alter_argv=False))  # type: ignore[attr-defined]
    else:
        sys.argv[:] = [first, *rest]
        try:
            with io.open_code(os.path.abspath(first)) as file:
                source = file.read()
        except OSError as error:
            print(f"{sys.executable}: can't open file {os.path.abspath(first)!r}: [Errno {error.errno}] {error.strerror}",
                  file=sys.stderr)  # fmt: skip
            raise SystemExit(2) from None
        name = os.path.abspath(first)
        _path(os.path.dirname(os.path.realpath(first)))
        from importlib.machinery import SourceFileLoader

        main.__dict__.update(__file__=name, __cached__=None, __loader__=SourceFileLoader("__main__", name))
    return lambda: _run(lambda: exec(compile(source, name, "exec", dont_inherit=True), main.__dict__))


def _is_zip(path: str) -> bool:
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        if file.read(2) != b"PK":
            return False
    import zipfile

    return zipfile.is_zipfile(path)


def _path(folder: str) -> None:
    if not sys.flags.safe_path:  # then `-m` has put the current folder there
        sys.path[0] = folder


def _run(program: Callable[[], object]) -> None:
    """Run it; what it raises is left to the interpreter, less our own frames."""
    try:
        program()
    except SystemExit:
        raise
    except BaseException:
        hook = sys.excepthook

        def shown(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
            sys.excepthook = hook
            trace = _its_own(trace)
            hook(kind, value.with_traceback(trace), trace)

        sys.excepthook = shown
        raise


def _its_own(trace: TracebackType | None) -> TracebackType | None:
    ours, at = trace, trace
    while at is not None:
        if at.tb_frame.f_code.co_filename in (__file__, guard.__file__):
            ours = at.tb_next
        at = at.tb_next
    return ours

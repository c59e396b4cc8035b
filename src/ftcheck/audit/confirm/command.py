"""``ftcheck confirm`` (also ``ftcheck audit --confirm``): options, progress, output, exit status."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftcheck.audit.confirm.confirming import Confirmed, Progress, Wish
    from ftcheck.audit.confirm.reported import Reported

_KINDS = ("mutated", "object", "first", "own")
_DESCRIPTION = """\
Does a finding of the source rules show, and only without the GIL? The callers of the C function are followed to Python
callables; threads call these in processes of their own, several times, with the GIL off and on.

  ftcheck confirm path/to/source                     its findings, on the module that is installed
  ftcheck confirm path/to/source --only FT103        ... of these rules; --function NAME: in these C functions
  ftcheck confirm path/to/source --report FILE       the static variables that tests wrote (--ftcheck-statics)
  ftcheck confirm path/to/source --variable NAME     functions that use this static variable
  ftcheck confirm --callable pkg.mod.func            without source: this callable, or a pattern: 'pkg.mod.*'
  ftcheck confirm pkg                                the callables that can be named
  ftcheck audit --confirm ...                        the same

Where no argument is found that a callable takes, give one: --arguments 'shared, indent=2' (Python source; shared is the
container that is changed, n the number of the thread), --object 'pkg.Type(3)' for the methods of a type."""
_END = """\
workloads (--workload): mutated  some threads call it with a container that the others change
                        object   all threads call the methods of one object
                        first    all threads call it at once, for the first time in their process
                        own      all threads call it, each with an argument of its own; results are compared

The code is run, with arguments that nobody has thought about, in a temporary folder. That is no sandbox: do not name
functions that delete, send or kill.

exit status: 0 nothing was reproduced, 1 something was, 2 wrong usage, 3 it cannot be done, or nothing could be run."""


def add_to(commands: Any) -> None:
    """Declare the command (of :mod:`argparse`'s sub-commands)."""
    parser = commands.add_parser(
        "confirm",
        help="run threads into a finding of the source rules, with the GIL and without",
        description=_DESCRIPTION,
        epilog=_END,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="*", metavar="WHAT", help="source files or folders; or modules or distributions")
    parser.add_argument(
        "--python", default="", metavar="PATH", help="the interpreter that has the module (default: this one)"
    )
    parser.add_argument("--path", action="append", default=[], metavar="DIR", help="a folder to import from, before others")
    parser.add_argument("--module", action="append", default=[], metavar="NAME", help="the extension module (pkg.mod)")
    parser.add_argument("--callable", action="append", default=[], metavar="NAME", help="a callable, or a pattern")
    parser.add_argument("--only", default="", metavar="IDS", help="findings of these rules, separated by commas")
    parser.add_argument("--function", action="append", default=[], metavar="NAME", help="findings in this C function")
    parser.add_argument("--variable", action="append", default=[], metavar="NAME", help="a static variable, not findings")
    parser.add_argument("--report", action="append", type=Path, default=[], metavar="FILE",
                        help="its static variables (pytest --ftcheck-statics=MODULE --ftcheck-json=FILE)")  # fmt: skip
    parser.add_argument("--workload", action="append", default=[], choices=_KINDS, help="these only (default: by the rule)")
    parser.add_argument("--arguments", metavar="SOURCE", help="of the call, as Python source")
    parser.add_argument(
        "--object",
        default="",
        metavar="SOURCE",
        help="makes the object of a method, as Python source; its type needs no name",
    )
    parser.add_argument("--threads", type=_between(2, 64), default=4, metavar="N", help="at the same time (4)")
    parser.add_argument("--seconds", type=_between(0.01, 3600.0), default=1.0, metavar="S", help="that one run calls (1)")
    parser.add_argument("--times", type=_between(1, 1000), default=5, metavar="N", help="runs, with the GIL and without (5)")
    parser.add_argument("--timeout", type=_between(1.0, 86400.0), default=30.0, metavar="S",
                        help="after which a run hangs, besides --seconds (30)")  # fmt: skip
    parser.add_argument("--most", type=_between(1, 10_000), default=12, metavar="N", help="callables to try, at most (12)")
    parser.add_argument("--write-test", type=Path, metavar="FILE", help="write the programs as a test file for pytest")
    parser.add_argument("--json", action="store_true", help="print JSON, with everything, instead of text")


def _between[N: (int, float)](low: N, high: N) -> Any:
    def read(text: str) -> N:
        number = type(low)(text)
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return number

    read.__name__ = "number"
    return read


def redirected(words: list[str]) -> list[str]:
    """``audit --confirm ...`` is ``confirm ...``."""
    if words[:1] == ["audit"] and "--confirm" in words:
        return ["confirm", *(one for one in words[1:] if one != "--confirm")]
    return words


def run(chosen: argparse.Namespace) -> int:
    """Do it.

    :returns: the exit status.
    """
    from ftcheck.audit.confirm.words import ConfirmError  # not before it is asked for: `ftcheck --help` is quick
    from ftcheck.audit.probes import ProbeError
    from ftcheck.audit.rules import RULES, NothingError

    only = frozenset(one.strip().upper() for one in chosen.only.split(",") if one.strip())
    if unknown := sorted(only - RULES.keys()):
        return _wrong(f"there is no rule {', '.join(unknown)}; `ftcheck rules --list` lists them")
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        return _confirm(chosen, only)
    except ConfirmError as error:
        return _wrong(str(error), error.status)
    except NothingError as error:
        return _wrong(str(error))
    except ProbeError as error:
        return _wrong(str(error), 3)
    except KeyboardInterrupt:
        return _wrong("interrupted: nothing is left behind", 3)
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _confirm(chosen: argparse.Namespace, only: frozenset[str]) -> int:
    from ftcheck.audit.confirm import confirming, listing, reported
    from ftcheck.audit.confirm.running import Runner

    known = reported.read(chosen.report) if chosen.report else None
    wish = _wish(chosen, only, known)
    if not wish.sources and not wish.callables and not wish.modules:
        return _wrong("name a path with source code, or a callable: `ftcheck confirm --callable pkg.mod.func`")
    if not wish.sources and (only or wish.functions or wish.variables):
        return _wrong("--only, --function, --variable and --report are about source code: name its path, too")
    if only and wish.variables:
        return _wrong("--only is about findings of rules, --variable and --report are about static variables: one of them")
    if chosen.write_test is not None and not chosen.write_test.absolute().parent.is_dir():
        return _wrong(f"{chosen.write_test.parent}, where the test should go, is no folder: make it first")
    python = os.path.abspath(chosen.python) if os.sep in chosen.python else chosen.python or sys.executable
    runner = Runner(python, timeout=chosen.timeout + chosen.seconds, path=chosen.path)
    if not wish.sources and not wish.callables:
        return _wrong(_names(wish, runner))
    with _progress(chosen.json) as progress:
        confirmed = confirming.confirm(wish, runner, progress)
    if chosen.json:
        _print([json.dumps(listing.plain(confirmed), indent=1)])
    else:
        _print(listing.text(confirmed, colour=_colour()))
    if chosen.write_test is not None and (status := _write(chosen, confirmed)):
        return status
    if any(one.verdict.found for one in confirmed.results):
        return 1
    return 0 if any(one.runs for one in confirmed.results) else _wrong("nothing was run, so nothing is known", 3)


def _wish(chosen: argparse.Namespace, only: frozenset[str], known: Reported | None) -> Wish:
    from ftcheck.audit.confirm.confirming import Wish
    from ftcheck.audit.confirm.trying import Asked
    from ftcheck.audit.confirm.words import Kind

    paths = [one for one in chosen.what if os.path.lexists(one) or os.sep in one or one.endswith((".c", ".cpp"))]
    return Wish(
        sources=tuple(map(Path, paths)),
        modules=(*chosen.module, *(one for one in chosen.what if one not in paths), *(known.modules if known else ())),
        callables=tuple(chosen.callable),
        rules=only,
        functions=frozenset(chosen.function),
        variables=tuple(dict.fromkeys([*chosen.variable, *(known.variables if known else ())])),
        left_out=known.left_out if known else (),
        kinds=frozenset(map(Kind, chosen.workload)),
        times=chosen.times,
        most=chosen.most,
        asked=Asked(chosen.threads, chosen.seconds, chosen.arguments, chosen.object),
    )


def _names(wish: Wish, runner: Any) -> str:
    from ftcheck.audit.confirm import trying

    found = trying.callables(runner, wish.modules)
    names = [dotted for some in found.values() for dotted, _ in some]
    listed = "".join(f"\n  {one}" for one in names)
    return (
        f"without source code nothing says which of the {len(names)} callables to try. Name one with --callable, or several "
        f"by a pattern, or the source:{listed}"
    )


def _write(chosen: argparse.Namespace, confirmed: Confirmed) -> int:
    from ftcheck.audit.confirm import written

    some = [one for one in confirmed.results if one.workload is not None and one.verdict.found]
    some = some or [one for one in confirmed.results if one.workload is not None]
    if not some:
        return _wrong(f"{chosen.write_test} was not written: there is no workload", 3)
    try:
        chosen.write_test.write_text(
            written.text(some, times=chosen.times, timeout=chosen.timeout + chosen.seconds), encoding="utf-8"
        )
    except OSError as error:
        return _wrong(f"{chosen.write_test} cannot be written: {error.strerror}", 3)
    print(f"ftcheck confirm: {len(some)} of the workloads are in {chosen.write_test} now", file=sys.stderr)
    return 0


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress]:
    """On a terminal, one line on standard error that says what is run."""
    if quiet or not sys.stderr.isatty():
        yield lambda what: None
        return
    from rich.console import Console

    with Console(stderr=True).status("looking") as status:
        yield status.update


def _colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _print(lines: Iterable[str]) -> None:
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:  # whoever read it has seen enough: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _wrong(text: str, status: int = 2) -> int:
    print(f"ftcheck confirm: {text}", file=sys.stderr)
    return status

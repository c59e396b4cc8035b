"""``ftcheck audit``: options, progress, output, exit status. What it does is in :mod:`ftcheck.audit.targets`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_DESCRIPTION = """\
Is everything here ready for free-threaded Python (3.14t), and who turns the GIL on?

  ftcheck audit                          every distribution and extension module of this environment
  ftcheck audit --python PATH            ... of the environment of another interpreter
  ftcheck audit .venv                    ... of an environment, or of a site-packages folder
  ftcheck audit x-1.0-cp314-cp314t-linux_x86_64.whl     a wheel; it is not installed
  ftcheck audit x-1.0.tar.gz             an sdist; it is not built, and its sources are read (ftcheck rules)
  ftcheck audit path/to/project          a source tree, with the modules that were built in it; its sources are read, too
  ftcheck audit requirements.txt         asks the configured index for wheels of these, and of what they require
  ftcheck audit pylock.toml              (also uv.lock, poetry.lock) a lock file, which names its files: no index is asked
  ftcheck audit module.so                one extension module
  ftcheck audit --record env.json        write what this environment is (as ftcheck record --probe does)
  ftcheck audit diff a.json b.json       what differs between two of these (as ftcheck diff does)
  ftcheck audit --confirm path/to/src    run threads into the findings of the source rules (as ftcheck confirm does)

Of each extension module three things are asked: what its file says (nothing is run), what its PyInit_ function declares
(called in a child process, without running the module), and whether an import in a child process really turns the GIL on.
A module that crashes, hangs, forks or exits costs its row, not the audit."""
_VERDICTS = """\
verdicts:
  tested                          declared, and a report of ftcheck says what was run (--tested)
  declared, untested              its modules declare that they do without the GIL: a claim, until threads have met in them
  undeclared: turns the GIL on    importing it turns the GIL on, for the whole process
  not installable (...)           there is no wheel for it that this interpreter could use
  pure Python                     no extension module; nothing to declare
  not checked: ...                nothing decides it, and why; never a pass
  failed: ...                     it cannot be read, loaded or imported, and why

exit status: 0 nothing needs attention, 1 something does, 2 wrong usage, 3 it cannot be done.
Nothing here says that code is free of races: pytest --ftcheck runs tests in threads."""


def add_to(commands: Any) -> None:
    """Declare the command (of :mod:`argparse`'s sub-commands)."""
    parser = commands.add_parser(
        "audit",
        help="is everything in this environment ready for free-threaded Python, and who turns the GIL on?",
        description=_DESCRIPTION,
        epilog=_VERDICTS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="*", metavar="WHAT", help="see above; nothing: the environment of this interpreter")
    parser.add_argument("--python", default="", metavar="PATH", help="the interpreter to ask (default: this one)")
    parser.add_argument(
        "--json", metavar="FILE", help="write everything as JSON; - is standard output, instead of the table"
    )
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the environment's record, and do nothing else")
    parser.add_argument("--verbose", "-v", action="store_true", help="every row, module and remark")
    parser.add_argument(
        "--subinterpreters", action="store_true", help="also import each module in an interpreter with a GIL of its own"
    )
    parser.add_argument("--no-run", action="store_true", help="run no code of others: read files only")
    parser.add_argument("--offline", action="store_true", help="ask no index")
    parser.add_argument("--no-deps", action="store_true", help="only what a list names, and not what that requires in turn")
    parser.add_argument(
        "--tested",
        action="append",
        default=[],
        metavar="[NAME=]REPORT",
        help="a report of pytest --ftcheck-json; NAME is the distribution that its tests are about",
    )
    parser.add_argument("--no-rules", action="store_true", help="do not read the source code of an sdist or a source tree")
    parser.add_argument(
        "--sources",
        action="append",
        default=[],
        metavar="[NAME=]DIR",
        help="read these sources by the rules, too; NAME is the distribution that they are of",
    )
    parser.add_argument(
        "--rules-timeout", type=_seconds, default=300.0, metavar="SECONDS", help="that the rules may take for a tree (300)"
    )
    parser.add_argument("--timeout", type=_seconds, default=60.0, metavar="SECONDS", help="that one module may take (60)")
    parser.add_argument(
        "--jobs", type=_jobs, default=0, metavar="N", help="child processes at the same time (one for each CPU)"
    )


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError("a number of seconds above 0")
    return number


def _jobs(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 256:
        raise argparse.ArgumentTypeError("a number from 1 to 256")
    return int(text)


def run(chosen: argparse.Namespace) -> int:
    """Do it.

    :returns: the exit status.
    """
    if chosen.record is not None or chosen.what[:1] == ["diff"]:
        return _record_or_diff(chosen)
    if len(chosen.what) > 1:
        return _refuse(f"one thing at a time: {' '.join(chosen.what)} are {len(chosen.what)}", 2)
    # Not before it is asked for: `ftcheck --help` is quick.
    from ftcheck.audit import json_file, sources, table, targets, tested
    from ftcheck.audit.options import AuditError, Options
    from ftcheck.audit.probes import ProbeError

    options = Options(
        python=chosen.python,
        run=not chosen.no_run,
        subinterpreters=chosen.subinterpreters,
        timeout=chosen.timeout,
        jobs=chosen.jobs or min(8, os.process_cpu_count() or 1),
        offline=chosen.offline,
        follow=not chosen.no_deps,
        tested=tuple(map(_named, chosen.tested)),
        rules=not chosen.no_rules,
        rules_timeout=chosen.rules_timeout,
    )
    if chosen.sources and chosen.no_rules:
        return _refuse("--sources is for the rules, and --no-rules leaves them out: leave one of the two out", 2)
    if options.subinterpreters and not options.run:
        return _refuse("--subinterpreters runs code, and --no-run forbids that: leave one of them out", 2)
    try:
        with _progress() as progress:
            audit = targets.audit(chosen.what[0] if chosen.what else None, options, progress)
            audit = sources.applied(audit, tuple(map(_named, chosen.sources)), options.rules_timeout, progress)
        audit = tested.applied(audit, options.tested)
        if chosen.json:
            json_file.write(chosen.json, json.dumps(json_file.to_json(audit), indent=1))
        if chosen.json != "-":
            width = shutil.get_terminal_size().columns if sys.stdout.isatty() or "COLUMNS" in os.environ else 100
            colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
            print(table.render(audit, width=width, colour=colour, verbose=chosen.verbose))
        json_file.flush()
    except AuditError as error:
        return _refuse(str(error), error.status)
    except ProbeError as error:
        return _refuse(str(error), 3)
    except BrokenPipeError:
        json_file.flush()
    except KeyboardInterrupt:
        return _refuse("interrupted: nothing is left behind", 3)
    if audit.needs_attention:
        return 1
    if audit.rows and not audit.decided:
        return _refuse("nothing could be decided: the rows and notes say why", 3)
    return 0


def _record_or_diff(chosen: argparse.Namespace) -> int:
    from ftcheck.audit import record_command

    if chosen.record is not None:
        if chosen.what:
            return _refuse(f"--record is of an environment: leave {' '.join(chosen.what)} out, or name it with --python", 2)
        return record_command.run_record(chosen.record, Path(chosen.python) if chosen.python else None, not chosen.no_run)
    if len(chosen.what) != 3:
        return _refuse("diff takes two files that --record has written: ftcheck audit diff a.json b.json", 2)
    return record_command.run_diff(Path(chosen.what[1]), Path(chosen.what[2]), bool(chosen.json))


def _named(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    return (name, Path(path)) if equals and os.sep not in name else ("", Path(text))


def _refuse(text: str, status: int) -> int:
    print(f"ftcheck audit: {text}", file=sys.stderr)
    return status


@contextmanager
def _progress() -> Iterator[Any]:
    """On a terminal, one line on standard error that says how far it is."""
    if not sys.stderr.isatty():
        yield lambda what, done, of: None
        return
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("looking") as status:
        yield lambda what, done, of: status.update(f"{what}: {done} of {of}" if of else f"{what}: {done}")

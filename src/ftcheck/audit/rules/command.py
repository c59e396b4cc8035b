"""``ftcheck rules [PATH...]``: what the source rules find, with the line of code, and what was looked at.

Only this much is loaded for ``ftcheck --help``; the rules themselves when the command runs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftcheck.audit.rules.words import Scan

_DESCRIPTION = """\
Read source code (C, C++, Cython, Python, a little Rust) and list the places that rely on the GIL. Nothing is compiled,
run or imported. Each rule has an id; --explain ID says what it is about, what to write instead, and how often it is right.

Findings of tier A and B are listed; notes (tier C) with --notes. To silence a finding, give the reason beside the code:
    /* ftcheck: ignore[FT103] keyword dict of this call */        # ftcheck: ignore[FT601] filled before threads start

Exit status: 0 nothing was found by a rule that fails a run, 1 something was, 2 wrong usage, 3 nothing could be looked at, or
what is asked for needs something that is not there. Which rules fail a run was measured: docs/audit-rules.md; with
--strict all of tier A and B do."""


def add_to(commands: Any) -> None:
    """Declare the command (of :mod:`argparse`'s sub-commands)."""
    parser = commands.add_parser(
        "rules",
        help="list places in source code that rely on the GIL",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="a file, or a folder with all that is in it")
    parser.add_argument("--list", action="store_true", help="list the rules, with what was measured of them")
    parser.add_argument("--explain", metavar="ID", help="explain one rule: why, what instead, an example, its limits")
    parser.add_argument("--only", metavar="IDS", help="these rules only, separated by commas")
    parser.add_argument("--notes", action="store_true", help="list notes (tier C) as well")
    parser.add_argument("--suppressed", action="store_true", help="list what is suppressed as well, with the reasons")
    parser.add_argument("--skipped", action="store_true", help="list the files that were not looked at, with the reasons")
    parser.add_argument(
        "--clang", action="store_true", help="ask libclang for types: needed by FT307; pip install 'pytest-ftcheck[clang]'"
    )
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="findings in this file are known, and suppressed")
    parser.add_argument("--write-baseline", type=Path, metavar="FILE", help="write what is found now into such a file")
    parser.add_argument("--strict", action="store_true", help="every finding of tier A or B makes the exit status 1")
    parser.add_argument("--json", action="store_true", help="print JSON, with everything, instead of text")


def run(chosen: argparse.Namespace) -> int:
    """Do it.

    :returns: the exit status.
    """
    from ftcheck.audit.rules import RULES, BaselineError, NothingError, clang_facts, listing

    if chosen.list:
        return _print(listing.rules(as_json=chosen.json))
    if chosen.explain is not None:
        rule = RULES.get(chosen.explain.upper())
        if rule is None:
            return _wrong(f"there is no rule {chosen.explain}; `ftcheck rules --list` lists them")
        return _print(listing.page(rule))
    only = {one.strip().upper() for one in (chosen.only or "").split(",") if one.strip()}
    if unknown := sorted(only - RULES.keys()):
        return _wrong(f"there is no rule {', '.join(unknown)}; `ftcheck rules --list` lists them")
    if not chosen.paths:
        return _wrong("name a file or a folder: `ftcheck rules src`. Or --list, or --explain ID")
    if chosen.clang and not clang_facts.available():
        return _wrong(f"--clang needs libclang: {clang_facts.INSTALL}. Without it all rules but FT307 work", 3)
    try:
        scanned = _scan(chosen)
    except NothingError as error:
        return _wrong(str(error))
    except BaselineError as error:
        return _wrong(str(error), 3)
    except KeyboardInterrupt:
        return _wrong("interrupted; nothing was written", 130)
    if chosen.write_baseline is not None and (status := _write_baseline(scanned, chosen.write_baseline)):
        return status
    shown = listing.Shown(frozenset(only), chosen.notes, chosen.suppressed, chosen.skipped, chosen.strict)
    if chosen.json:
        _print([json.dumps(listing.plain(scanned, shown), indent=1)])
    else:
        _print(listing.text(scanned, shown, colour=_colour()))
    if not scanned.looked.total:
        return _wrong("nothing was looked at, so nothing is known", 3)
    return 0 if chosen.write_baseline is not None else int(bool(listing.failing(scanned, shown)))


def _scan(chosen: argparse.Namespace) -> Scan:
    from ftcheck.audit.rules import scan

    if not sys.stderr.isatty() or chosen.json:
        return scan(chosen.paths, clang=chosen.clang, baseline=chosen.baseline)
    from rich.console import Console

    with Console(stderr=True).status("reading") as status:
        return scan(
            chosen.paths,
            clang=chosen.clang,
            baseline=chosen.baseline,
            progress=lambda path, number, total: status.update(f"{number:,} of {total:,} files: {os.path.basename(path)}"),
        )


def _write_baseline(scanned: Scan, path: Path) -> int:
    from ftcheck.audit.rules import fingerprints

    try:
        path.write_text(fingerprints.text(scanned.findings), encoding="utf-8")
    except OSError as error:
        return _wrong(f"cannot write {path}: {error.strerror}", 3)
    number = sum(1 for one in scanned.findings if not one.suppressed or one.suppressed == fingerprints.KNOWN)
    print(f"ftcheck rules: {number:,} findings are in {path} now", file=sys.stderr)
    return 0


def _colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _print(lines: Iterable[str]) -> int:
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:  # whoever read it has seen enough: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _wrong(text: str, status: int = 2) -> int:
    print(f"ftcheck rules: {text}", file=sys.stderr)
    return status

"""``ftcheck tsan-log FILE...``: logs of ThreadSanitizer that are there already, each race once.

For runs under a CPython with ThreadSanitizer that were not made with ``--ftcheck-tsan-log``, such as another project's CI.
Which test a report belongs to cannot be told from a log alone.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ftcheck.coverage import grouped
from ftcheck.native import tsan_log, tsan_races, tsan_symbols
from ftcheck.native.tsan_races import Entry
from ftcheck.native.tsan_report import Report
from ftcheck.verdicts import to_plain

_BATCH = 1000
SCHEMA, VERSION = "ftcheck-tsan-log", 1
_DESCRIPTION = """\
Read what ThreadSanitizer has written (TSAN_OPTIONS=log_path=PREFIX makes a file PREFIX.PID for each process; its output on
stderr, caught in a file, will do as well), and print each race once, with how often it was reported. Two reports are the
same if their innermost lines outside of the interpreter and of ThreadSanitizer itself are. Races within the interpreter are
listed last, and do not count as found.

Exit status: 0 nothing was found, 1 something was, 2 a file is not there, 3 a file cannot be read or is no such log. All
files that can be read are, whatever is wrong with others."""


def add_to(commands: Any) -> None:
    """Declare the command (of :mod:`argparse`'s sub-commands)."""
    parser = commands.add_parser(
        "tsan-log",
        help="print what logs of ThreadSanitizer say, each race once",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a log")
    parser.add_argument("--json", action="store_true", help="print JSON, with all that the reports say, instead of text")
    parser.add_argument(
        "--modules",
        type=Path,
        metavar="FOLDER",
        help="where the extensions are: gives lines to calls for which the log has just a name and an offset",
    )
    parser.add_argument("--brief", action="store_true", help="one line for each race")


def run(files: Sequence[Path], *, as_json: bool, brief: bool, folder: Path | None = None) -> int:
    """Do it.

    :param folder: where the extensions are; None: what the log does not say stays unknown.
    :returns: the exit status.
    """
    troubles: list[tuple[int, str]] = []

    def everything() -> Iterator[Report]:
        for file in files:
            try:
                yield from tsan_log.read(file)
            except tsan_log.LogError as error:
                troubles.append((3 if file.exists() else 2, str(error)))

    modules = {} if folder is None else tsan_symbols.modules_in(folder)
    batches = itertools.batched(everything(), _BATCH, strict=False)  # addr2line is asked once for many
    entries = tsan_races.merged(one for batch in batches for one in tsan_symbols.named(batch, modules))
    found = [one for one in entries if not one.own]
    own = [one for one in entries if one.own]
    said = _text(found, own, brief)
    if as_json:
        said = iter([json.dumps(_plain(files, found, own, [text for _, text in troubles]), indent=1)])
    for _, text in troubles:
        print(f"ftcheck tsan-log: {text}", file=sys.stderr)
    try:
        print("\n".join(said), flush=True)
    except BrokenPipeError:  # whoever read it has seen enough: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1 if found else min((status for status, _ in troubles), default=0)


def _text(found: Sequence[Entry], own: Sequence[Entry], brief: bool) -> Iterator[str]:
    for number, one in enumerate(found, 1):
        yield f"{number}. {one.headline}" + (f"  ({one.times:,} times)" if one.times > 1 else "")
        if not brief:
            yield from ("", *(f"   {line}" for line in one.text.splitlines()), "")
    if own:
        yield f"the interpreter's own (reports: {sum(one.times for one in own):,}, places: {len(own):,}):"
        yield from (f"  {one.times:,} x {one.headline}" for one in own)
        yield ""
    reports = sum(one.times for one in found)
    yield f"{grouped(reports, 'report')} of {grouped(len(found), 'place')}" if found else "nothing was found in these logs"


def _plain(files: Sequence[Path], found: Sequence[Entry], own: Sequence[Entry], troubles: Sequence[str]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "files": [to_plain(str(file)) for file in files],
        "found": [_one(entry) for entry in found],
        "interpreter": [_one(entry) for entry in own],
        "troubles": to_plain(list(troubles)),
    }


def _one(entry: Entry) -> dict[str, Any]:
    return {
        "verdict": entry.verdict.value,
        "headline": to_plain(entry.headline),
        "times": entry.times,
        "text": to_plain(entry.text),
        "report": to_plain(entry.report),
    }

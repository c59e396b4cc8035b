"""``ftcheck record FILE`` and ``ftcheck diff A B`` on the command line."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    type _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_RECORD = """\
Write what decides whether a wheel that works here works elsewhere: the interpreter's build, each distribution with its
version and wheel tags, each extension module with its ABI tag, the libraries that it is linked with and what they resolve
to, the versions of glibc's and libstdc++'s symbols that it needs, and those that this system has. Files are read, not run.

  ftcheck record env.json                            the environment of this interpreter
  ftcheck record env.json --python /usr/bin/python3  another one: CPython 3.8 or later, which need not have ftcheck
  ftcheck record env.json --probe                    import each extension module, too: which of them turn the GIL on?
"""
_DIFF = """\
Print what differs between two files that `ftcheck record` has written, and what of that breaks something in the second
one: a library that is not found, a symbol version that the system does not have, a module that turns the GIL on.

Exit status: 0 nothing differs, 1 something does, 2 wrong usage, 3 a file cannot be read or is no such record.
"""


def add_to(commands: _Commands) -> None:
    """Declare both."""
    record = commands.add_parser(
        "record",
        help="write what an environment is, to compare it with another one",
        description=_RECORD,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    record.add_argument("file", type=Path, metavar="FILE")
    record.add_argument("--python", type=Path, metavar="PYTHON", help="its interpreter, or a virtual environment's folder")
    record.add_argument("--probe", action="store_true", help="import each extension module, in child processes")
    diff = commands.add_parser(
        "diff",
        help="print what differs between two environments",
        description=_DIFF,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    diff.add_argument("a", type=Path, metavar="A")
    diff.add_argument("b", type=Path, metavar="B")
    diff.add_argument("--json", action="store_true", help="print JSON instead of text")


def run_record(file: Path, python: Path | None, probe: bool) -> int:
    """Write a record.

    :returns: the exit status.
    """
    from ftcheck.audit import record as records

    live = sys.stderr.isatty()

    def say(text: str) -> None:
        if live:
            print(f"\r\033[K{text[:100]}", end="", file=sys.stderr, flush=True)

    try:
        found = records.record(python, probe=probe, say=say)
        say("")
        records.write(found, file)
    except records.RecordError as error:
        say("")
        print(f"ftcheck record: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        say("")
        print("ftcheck record: stopped; nothing was written", file=sys.stderr)
        return 130
    print(f"{file}: {found.summary}")
    return 0


def run_diff(a: Path, b: Path, as_json: bool) -> int:
    """Compare two.

    :returns: the exit status.
    """
    from ftcheck.audit import diff as diffs
    from ftcheck.audit import record as records

    try:
        found = diffs.compare(records.read(a), records.read(b))
    except records.RecordError as error:
        print(f"ftcheck diff: {error}", file=sys.stderr)
        return 3
    said = json.dumps(diffs.plain(found), indent=1) if as_json else diffs.text(found, str(a), str(b))
    try:
        print(said, flush=True)
    except BrokenPipeError:  # whoever read it has seen enough: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0 if found.same else 1

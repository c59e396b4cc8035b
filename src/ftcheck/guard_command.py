"""``ftcheck guard``: run a command under :mod:`ftcheck.guard`, or have it done by an environment variable."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ftcheck import program_words
from ftcheck.program_words import ProgramError

if TYPE_CHECKING:
    type _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

ACTIONS = ("warn", "raise", "exit")
_FILE = "ftcheck-guard.pth"
_LINE = (
    'import os; os.environ.get("FTCHECK_GUARD") and '
    '__import__("ftcheck.guard", fromlist=["from_environment"]).from_environment()\n'
)
_DESCRIPTION = """\
Run a Python program, and say so on stderr the moment a module turns the GIL on: which one, and who imported it. Each module
that asks for the GIL is named, not only the first. Besides, the program runs as it does without: same output, same
tracebacks, same exit status, same standard input.

  ftcheck guard -- python app.py              say so, and go on
  ftcheck guard --action=raise -- app.py      raise ftcheck.guard.GilEnabledError in place of the import
  ftcheck guard --action=exit -- -m package   end the program at once, with status 3
  ftcheck guard -- gunicorn app:app           a command that is a Python script; its forked workers are watched, too

python -m ftcheck.guard SCRIPT does the same, and so does a line in the program: ftcheck.guard.install(). Processes that are
started anew (not forked) are watched where the environment variable FTCHECK_GUARD is set to the action:

  ftcheck guard --enable                      once for this environment: it looks at the variable from now on
  FTCHECK_GUARD=exit python app.py
  ftcheck guard --disable
"""
_END = """\
Exit status: the program's own; 2 wrong usage; 3 it was ended because the GIL came on, or cannot be watched at all.
"""


def add_to(commands: _Commands) -> None:
    """Declare it."""
    parser = commands.add_parser(
        "guard",
        help="run a program, and say so the moment a module turns the GIL on",
        description=_DESCRIPTION,
        epilog=_END,
        usage="ftcheck guard [--action warn|raise|exit] -- COMMAND ...\n       ftcheck guard --enable | --disable",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--action", choices=ACTIONS, default="warn", help="what to do when the GIL comes on (default: warn)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--enable", action="store_true", help=f"write {_FILE} into this environment's site-packages")
    how.add_argument("--disable", action="store_true", help="remove it")


def run(action: str, *, enable: bool, disable: bool, command: Sequence[str]) -> int:
    """Do it. Where a program is run, this process becomes that program, and this does not return.

    :returns: the exit status.
    """
    if enable or disable:
        if command:
            return _wrong("--enable and --disable run nothing; leave out the command")
        return _switch(Path(sysconfig.get_path("purelib")), enable)
    try:
        program = program_words.read(command)
    except ProgramError as error:
        return _wrong(str(error))
    python = program.python or sys.executable
    if os.path.realpath(python) != os.path.realpath(sys.executable) or os.path.dirname(python) != os.path.dirname(
        sys.executable
    ):
        trouble = _without_ftcheck(python)
        if trouble:
            print(f"ftcheck guard: {trouble}", file=sys.stderr)
            return 3
    words = [python, *program.options, "-m", "ftcheck.guard", f"--action={action}", *program.words]
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(python, words)
    except OSError as error:
        print(f"ftcheck guard: {python} cannot be run: {error.strerror}", file=sys.stderr)
        return 3


def _wrong(text: str) -> int:
    print(f"ftcheck guard: {text}", file=sys.stderr)
    return 2


def _without_ftcheck(python: str) -> str:
    """Why another interpreter cannot watch its program; empty: it can."""
    try:
        done = subprocess.run(
            [python, "-c", "import ftcheck.guard"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{python} cannot be run: {error}"
    if done.returncode:
        return (
            f"ftcheck is not installed for {python}: install pytest-ftcheck there ({python} -m pip install pytest-ftcheck)"
        )
    return ""


def _switch(folder: Path, enable: bool) -> int:
    file = folder / _FILE
    try:
        if enable:
            file.write_text(_LINE, encoding="utf-8")
            print(f"written: {file}")
            print("Programs of this environment that start with FTCHECK_GUARD=warn, raise or exit are watched from now on.")
        elif file.exists():
            file.unlink()
            print(f"removed: {file}")
        else:
            print(f"there is none: {file}")
    except OSError as error:
        print(f"ftcheck guard: {file}: {error.strerror}; who owns this environment can do it", file=sys.stderr)
        return 3
    return 0

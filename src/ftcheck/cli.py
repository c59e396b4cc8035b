"""The ``ftcheck`` command. Thin: it prints facts and points to where the work is done."""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from collections.abc import Sequence

import ftcheck
from ftcheck import interpreter
from ftcheck.audit.rules import command as rules_command
from ftcheck.native import build_command, tsan_command

_DESCRIPTION = """\
ftcheck tells whether Python code and C extensions are thread-safe on free-threaded CPython.

It works inside pytest:

  pytest --ftcheck                        rerun every test in several threads at once, isolated, a verdict for each
  pytest --ftcheck --ftcheck-seconds=30   look longer: rare races need time
  pytest --help                           all options, in the group "ftcheck"
  pytest --markers                        @pytest.mark.ftcheck(threads=8, rounds=500, ...)

Extension modules are looked into while they run if they were compiled for it: see `ftcheck build --help`.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    :returns: the exit status: 0, or 1 where something was found, or 2 for a usage error, or 3 where what is asked for
        cannot be done (this interpreter cannot run without the GIL; a file cannot be read).
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    words, behind = build_command.apart(words)
    parser = argparse.ArgumentParser(
        prog="ftcheck", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"ftcheck {ftcheck.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser(
        "doctor",
        help="say what this interpreter is, and whether it can run without the GIL",
        description="Print the facts about this interpreter that matter here. Exit status 3: it is not free-threaded.",
    )
    tsan_command.add_to(commands)
    build_command.add_to(commands)
    rules_command.add_to(commands)
    chosen = parser.parse_args(words)
    if chosen.command is None:
        parser.print_help()
        return 0
    if chosen.command == "tsan-log":
        return tsan_command.run(chosen.files, as_json=chosen.json, brief=chosen.brief, folder=chosen.modules)
    if chosen.command == "build":
        return build_command.run(chosen.what, into=chosen.into, compiler=chosen.compiler, pip_options=behind)
    if chosen.command == "rules":
        return rules_command.run(chosen)
    return _doctor()


def _doctor() -> int:
    print(f"interpreter          {interpreter.describe()}")
    print(f"executable           {sys.executable}")
    for name in ("pytest-ftcheck", "pytest", "pytest-xdist", "hypothesis", "pytest-run-parallel"):
        try:
            print(f"{name:<20} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            print(f"{name:<20} not installed")
    if not interpreter.free_threaded_build():
        print("\nThis is a build with the GIL: Python 3.14 is not 3.14t. Code that breaks only without the GIL passes here.")
        print("Install the free-threaded build (for example `uv python install 3.14t`) and run pytest with it.")
        return 3
    return 0

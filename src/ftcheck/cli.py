"""The ``ftcheck`` command. Thin: it prints facts and points to where the work is done."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

import ftcheck
from ftcheck import guard_command, select_command
from ftcheck.audit import command as audit_command
from ftcheck.audit import record_command
from ftcheck.audit.confirm import command as confirm_command
from ftcheck.audit.rules import command as rules_command
from ftcheck.native import build_command, tsan_command

_DESCRIPTION = """\
ftcheck tells whether Python code and C extensions are thread-safe on free-threaded CPython.

It works inside pytest:

  pytest --ftcheck                        rerun every test in several threads at once, isolated, a verdict for each
  pytest --ftcheck --ftcheck-seconds=30   look longer: rare races need time
  pytest --help                           all options, in the group "ftcheck"
  pytest --markers                        @pytest.mark.ftcheck(threads=8, rounds=500, ...)

Before that: is everything that is installed ready for it, and who turns the GIL on? See `ftcheck audit --help`.
Extension modules are looked into while they run if they were compiled for it: see `ftcheck build --help`.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    :returns: the exit status: 0, or 1 where something was found, or 2 for a usage error, or 3 where what is asked for
        cannot be done (this interpreter cannot run without the GIL; a file cannot be read).
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    words, behind = build_command.apart(confirm_command.redirected(words))
    parser = argparse.ArgumentParser(
        prog="ftcheck", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"ftcheck {ftcheck.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    doctor = commands.add_parser(
        "doctor",
        help="say what this interpreter is, whether it can run without the GIL, and what works here",
        description="Print the facts about this interpreter and this machine that matter here, and what to do next. "
        "Exit status 3: the interpreter is not free-threaded.",
    )
    doctor.add_argument("--json", action="store_true", help="print JSON instead of text")
    guard_command.add_to(commands)
    select_command.add_to(commands)
    audit_command.add_to(commands)
    record_command.add_to(commands)
    tsan_command.add_to(commands)
    build_command.add_to(commands)
    rules_command.add_to(commands)
    confirm_command.add_to(commands)
    chosen, unknown = parser.parse_known_args(words)
    if unknown and chosen.command in ("guard", "select") and not behind and not unknown[0].startswith("-"):
        at = words.index(unknown[0])
        parser.error(f"put -- before the program: {shlex.join(['ftcheck', *words[:at], '--', *words[at:]])}")
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if chosen.command is None:
        parser.print_help()
        return 0
    if chosen.command == "audit":
        return audit_command.run(chosen)
    if chosen.command == "tsan-log":
        return tsan_command.run(chosen.files, as_json=chosen.json, brief=chosen.brief, folder=chosen.modules)
    if chosen.command == "build":
        return build_command.run(chosen.what, into=chosen.into, compiler=chosen.compiler, pip_options=behind)
    if chosen.command == "rules":
        return rules_command.run(chosen)
    if chosen.command == "confirm":
        return confirm_command.run(chosen)
    if chosen.command == "guard":
        return guard_command.run(chosen.action, enable=chosen.enable, disable=chosen.disable, command=behind)
    if chosen.command == "select":
        wanted = [chosen.prefer, *(chosen.fallback or ["3.14"])]
        return select_command.run(wanted, timeout=chosen.timeout, json_file=chosen.json, command=behind)
    if chosen.command == "record":
        return record_command.run_record(chosen.file, chosen.python, chosen.probe)
    if chosen.command == "diff":
        return record_command.run_diff(chosen.a, chosen.b, chosen.json)
    from ftcheck import doctor as doctors  # each command imports what it needs, so that the others are quick

    return doctors.run(chosen.json)

"""``ftcheck select``: run a program on the best interpreter on which its imports work, and say why.

Each candidate is asked in a child process of its own (:mod:`ftcheck.select_probe`), under ``-v``, which names every module
for which the interpreter turns the GIL on (CPython ``Python/import.c``). A candidate is rejected if something that the
program always imports cannot be imported, if an import ends or hangs the process, or if it is free-threaded and the GIL
comes on. Then this process becomes the program, so signals, standard input and the exit status are the program's own.

Nothing is kept from one start to the next: the same environment gives the same answer, and a changed one is noticed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftcheck import probing, program_words
from ftcheck.probing import Answer
from ftcheck.program_words import Program, ProgramError

if TYPE_CHECKING:
    from ftcheck.pythons import Python

    type _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

SCHEMA, VERSION = "ftcheck-select", 1
_PROBE = Path(__file__).with_name("select_probe.py")
_DESCRIPTION = """\
Run a Python program on the first interpreter on which its imports work: --prefer, then each --fallback. Why it was taken,
and why the others were not, is one line on stderr, and more in --json.

  ftcheck select -- python app.py                                     3.14t if it works there, else 3.14
  ftcheck select --prefer .venv-t --fallback .venv -- -m package      two virtual environments
  ftcheck select --prefer 3.14t --fallback 3.14 --json why.json -- gunicorn app:app

The program's own files are read, not run. What they import from elsewhere is imported, in a child process, within --timeout.
An interpreter is rejected where something that the program always imports cannot be imported, where an import crashes or
hangs, and, if it is free-threaded, where one turns the GIL on. Imports in functions, and in try and if, are tried, too, but
may fail. What is imported by a computed name or by a plugin is not seen; ftcheck guard sees that.

An interpreter is a version (3.14t is the build without the GIL), a path, a virtual environment's folder, or a command.
A version is looked for in the active virtual environment, in .venv*, venv*, .tox/* and .nox/* here, on PATH, in pyenv's and
uv's folders.
"""
_END = """\
Exit status: the program's own; 2 wrong usage; 3 it works on none of the interpreters.
"""


@dataclass(frozen=True, slots=True)
class Failed:
    """An import that did not work."""

    module: str
    at: str
    required: bool
    error: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of one interpreter.

    :param reason: why it is rejected; empty: it works.
    :param tried: imports that were tried, of so many: **imports**.
    :param read: files of the program.
    :param gil_modules: modules that turn the GIL on.
    """

    wanted: str
    path: str = ""
    version: str = ""
    free_threaded: bool = False
    source: str = ""
    reason: str = ""
    imports: int = 0
    tried: int = 0
    read: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    gil_modules: tuple[str, ...] = ()
    failed: tuple[Failed, ...] = field(default=())
    seconds: float = 0.0


def add_to(commands: _Commands) -> None:
    """Declare it."""
    parser = commands.add_parser(
        "select",
        help="run a program on the best interpreter on which its imports work",
        description=_DESCRIPTION,
        epilog=_END,
        usage="ftcheck select [--prefer PYTHON] [--fallback PYTHON ...] [--timeout S] [--json FILE] -- COMMAND ...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--prefer", default="3.14t", metavar="PYTHON", help="the interpreter to try first (default: 3.14t)")
    parser.add_argument(
        "--fallback", action="append", metavar="PYTHON", help="the next one; can be given several times (default: 3.14)"
    )
    parser.add_argument("--timeout", type=_seconds, default=30.0, metavar="S", help="seconds for the imports (default: 30)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was tried, and the reasons")


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"a number of seconds above 0, not {text!r}")
    return number


def run(wanted: Sequence[str], *, timeout: float, json_file: Path | None, command: Sequence[str]) -> int:
    """Do it. Where an interpreter works, this process becomes the program, and this does not return.

    :returns: the exit status.
    """
    try:
        program = program_words.read(command)
    except ProgramError as error:
        print(f"ftcheck select: {error}", file=sys.stderr)
        return 2
    candidates: list[Candidate] = []
    try:
        for name in dict.fromkeys(wanted):
            candidates.append(look_at(name, program, timeout))
            if not candidates[-1].reason:
                break
    except KeyboardInterrupt:
        print("ftcheck select: stopped; the program was not started", file=sys.stderr)
        return 130
    chosen = candidates[-1] if not candidates[-1].reason else None
    if json_file is not None:
        try:
            _write(json_file, plain(command, candidates, chosen))
        except OSError as error:
            print(f"ftcheck select: {json_file} cannot be written: {error.strerror}", file=sys.stderr)
            return 3
    print(said(candidates, chosen), file=sys.stderr, flush=True)
    if chosen is None:
        return 3
    sys.stdout.flush()
    try:
        os.execv(chosen.path, [chosen.path, *program.options, *_words_for(program, chosen.path)])
    except OSError as error:
        print(f"ftcheck select: {chosen.path} cannot be run: {error.strerror}", file=sys.stderr)
        return 3


def look_at(wanted: str, program: Program, timeout: float) -> Candidate:
    """Find an interpreter, and try the program's imports on it."""
    from ftcheck import pythons

    try:
        python = pythons.find(wanted)
    except pythons.NoPythonError as error:
        return Candidate(wanted, reason=str(error))
    if python.free_threaded and _forced_on(program):
        why = "the GIL is forced on (PYTHON_GIL=1 or -X gil=1)"
        return Candidate(wanted, python.path, python.version, True, python.source, reason=why)
    return _try(wanted, python, program, timeout)


def _forced_on(program: Program) -> bool:
    typed = [word.removeprefix("-X") for word in program.options]
    if "gil=1" in typed:
        return True
    return os.environ.get("PYTHON_GIL") == "1" and "gil=0" not in typed and not {"-E", "-I"} & set(program.options)


def _words_for(program: Program, python: str) -> tuple[str, ...]:
    """A script that was found on PATH is the one that belongs to this interpreter, if it has one of that name."""
    beside = os.path.join(os.path.dirname(python), program.command)
    if program.command and os.path.isfile(beside):
        return (beside, *program.words[1:])
    return program.words


def _try(wanted: str, python: Python, program: Program, timeout: float) -> Candidate:
    began = time.monotonic()
    task = {"words": _words_for(program, python.path)}
    answer = probing.run([python.path, *program.options, "-v"], _PROBE, task, timeout, here=True)
    lines, asking = answer.lines, answer.requiring
    done = [line for line in lines if "imported" in line]
    failed = tuple(Failed(line["imported"], line["at"], line["required"], line["error"]) for line in done if line["error"])
    about: dict[str, Any] = next((line for line in lines if "read" in line), {})
    reason = _reason(answer, timeout, failed)
    if not reason and python.free_threaded and done and lines[-1]["gil"]:
        reason = f"{_listed(asking) or 'an import'} {'turn' if len(asking) > 1 else 'turns'} the GIL on"
    return Candidate(
        wanted, python.path, python.version, python.free_threaded, python.source, reason, about.get("wanted", 0), len(done),
        tuple(about.get("read", ())), tuple(about.get("unreadable", ())), asking, failed, round(time.monotonic() - began, 3),
    )  # fmt: skip


def _reason(answer: Answer, timeout: float, failed: Sequence[Failed]) -> str:
    """Why it does not work, whatever the GIL does; empty: it does."""
    lines, status = answer.lines, answer.status
    current = next((line["begins"] for line in reversed(lines[-1:]) if "begins" in line), "")
    if not any("done" in line for line in lines):
        what = f"importing {current}" if current else "reading the program"
        if status is None:
            return f"{what} was not over after {timeout:g} s"
        if status < 0:
            return f"{what} crashed ({signal.Signals(-status).name})"
        if not lines:
            said = [line for line in answer.words if line.strip() and not line.startswith(("#", "import "))]
            return f"it does not run this ({said[-1].strip() if said else f'status {status}'})"
        return f"{what} ended the process (status {status})"
    for one in failed:
        if one.required:
            return f"cannot import {one.module} ({one.error}; {one.at})"
    return ""


def _listed(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def said(candidates: Sequence[Candidate], chosen: Candidate | None) -> str:
    """The line for people."""
    rejected = [one for one in candidates if one.reason]
    parts = [f"{one.wanted} rejected: {one.reason}" for one in rejected]
    if chosen is None:
        return "ftcheck select: " + "; ".join(parts) + " -> none is left, the program was not started"
    numbers = f"{chosen.tried} import{'' if chosen.tried == 1 else 's'} tried"
    optional = len(chosen.failed)
    numbers += f", {optional} of them optional and failed" if optional else ""
    if chosen.unreadable:
        numbers += f", {len(chosen.unreadable)} files could not be read"
    chosen_text = f"{chosen.wanted} ({chosen.path}; {numbers})"
    return "ftcheck select: " + (f"{'; '.join(parts)} -> {chosen_text}" if parts else chosen_text)


def plain(command: Sequence[str], candidates: Sequence[Candidate], chosen: Candidate | None) -> dict[str, Any]:
    """For JSON."""
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "command": list(command),
        "chosen": None if chosen is None else chosen.path,
        "candidates": [{"works": not one.reason, **asdict(one)} for one in candidates],
    }


def _write(file: Path, data: dict[str, Any]) -> None:
    """In one step: whoever reads it never sees half of it."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as stream:
            json.dump(data, stream, indent=1)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise

"""Prints the path of a free-threaded CPython 3.14 or later; gets one if this machine has none.

The project needs an interpreter that few machines have yet.  `make` asks here for one, and so can
you:

    $(python3 tools/interpreter.py) -m venv .venv

Every candidate is judged by running it: its version, its build (sysconfig's Py_GIL_DISABLED), its C
headers, and whether it can make a virtual environment with pip.  A candidate that is itself a
virtual environment stands for the interpreter it was made from.  The answer is kept in the cache
folder and only tried again (0.1 s) the next time; --fresh searches anew.

Standard library only, and Python 3.9: it runs before there is any environment.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info < (3, 9):  # noqa: UP036 (whoever starts this may have any version)
    sys.exit("error: tools/interpreter.py needs Python 3.9 or later to start; set PYTHON=/path/to/one for make")

import console
from assemble_python import BY_HAND, assemble
from console import USAGE, DiskFull, Trouble, detail, last_line, main, run, say
from workshop import alone, cache_folder, workshop

WANTED = (3, 14)
PROBE_SECONDS, VENV_SECONDS, UV_SECONDS = 20, 120, 300
PROBE = """\
import json, os, sys, sysconfig
include = sysconfig.get_path("include")
print("ftcheck-probe", json.dumps(dict(
    version=list(sys.version_info[:3]), implementation=sys.implementation.name,
    free_threaded=bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    executable=getattr(sys, "_base_executable", "") or sys.executable,
    include=include, headers=os.path.exists(os.path.join(include, "Python.h")),
)))
"""
DESCRIPTION = """\
Print the absolute path of a free-threaded CPython 3.14 or later.  If none is found, get one.

It is looked for in this order; the first that passes every check is the answer:
  1. $FTCHECK_PYTHON; if it is set and unusable, that is an error
  2. the answer of the last time, if it still works
  3. PATH: python3.14t, python3.15t, ..., then any python3.14, python3, python that is free-threaded
  4. pyenv's versions ($PYENV_ROOT or ~/.pyenv), such as 3.14.0t
  5. uv's interpreters
  6. what this program made earlier
and then, unless --no-install is given:
  7. `uv python install 3.14t`, into the cache folder, where its source can be reached
  8. assembled from registry packages, into the cache folder (Debian and Ubuntu; about half a minute)
"""
EPILOG = """\
environment:
  FTCHECK_PYTHON   the interpreter to use: a path or a command's name
  FTCHECK_CACHE    the cache folder (default: $XDG_CACHE_HOME/ftcheck or ~/.cache/ftcheck);
                   400 MB are needed there while an interpreter is made, and 110 MB after that
  FTCHECK_NO_UV    if not empty, as --no-uv
  FTCHECK_OFFLINE  if not empty, as --no-install

exit codes: 0 the path was printed · 2 wrong usage or FTCHECK_PYTHON unusable · 3 none could be had
"""


@dataclass(frozen=True)
class Candidate:
    source: str
    command: str


@dataclass(frozen=True)
class Verdict:
    executable: str = ""
    version: str = ""
    reason: str = ""  # why not; empty: it is good

    @property
    def good(self) -> bool:
        return not self.reason


class Memory:
    """What earlier runs found out: the last answer in these surroundings, and who can make a venv."""

    def __init__(self, cache: Path) -> None:
        self.file = cache / "interpreter.json"
        surroundings = [os.environ.get(name, "") for name in ("PATH", "PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "HOME")]
        self.key = hashlib.sha256("\0".join(surroundings).encode()).hexdigest()[:16]
        self.answers: dict[str, str] = {}
        self.checked: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(self.file.read_text())
            self.answers, self.checked = dict(kept["answers"]), dict(kept["checked"])

    def save(self) -> None:
        """Write the memory in one step; it is only a memory, so that it cannot be written is no error."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix="memory-", dir=self.file.parent)
        except OSError as error:
            return detail(f"the answer is not kept: {error}")
        try:
            with open(descriptor, "w") as file:
                json.dump({"answers": self.answers, "checked": self.checked}, file, indent=1)
            os.replace(name, self.file)
        except OSError as error:
            os.unlink(name)
            detail(f"the answer is not kept: {error}")


def fingerprint(executable: str) -> str:
    status = os.stat(executable)
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}"


def judge(candidate: Candidate, memory: Memory) -> Verdict:
    """Run a candidate and say whether it will do."""
    facts, reason = probe(candidate.command)
    if reason:
        return Verdict(candidate.command, reason=reason)
    executable, version = str(facts["executable"]), ".".join(map(str, facts["version"]))
    if facts["implementation"] != "cpython":
        reason = f"it is {facts['implementation']}, not CPython"
    elif tuple(facts["version"][:2]) < WANTED:
        reason = f"its version is {version}; 3.14 or later is needed"
    elif not facts["free_threaded"]:
        reason = f"it is a {version} with the GIL (Py_GIL_DISABLED is not 1)"
    elif not facts["headers"]:
        reason = f"its C headers are missing: no Python.h in {facts['include']}"
    elif memory.checked.get(executable) != fingerprint(executable):
        reason = venv_trouble(executable)
        if not reason:
            memory.checked[executable] = fingerprint(executable)
    return Verdict(executable, version, reason)


def probe(command: str) -> tuple[dict[str, Any], str]:
    """What an interpreter says about itself, and a reason if it does not."""
    try:
        done = run([command, "-I", "-c", PROBE], timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return {}, f"it did not answer in {PROBE_SECONDS} s"
    except OSError as error:
        return {}, f"it cannot be run: {error.strerror}"
    answer = re.search(r"^ftcheck-probe (\{.*\})$", done.stdout, re.MULTILINE)
    if done.returncode or not answer:
        return {}, f"it does not run as Python (exit code {done.returncode}): {last_line(done.stderr)}"
    facts: dict[str, Any] = json.loads(answer[1])
    if not os.access(facts["executable"], os.X_OK):
        return {}, f"the interpreter it was made from is gone: {facts['executable']}"
    return facts, ""


def venv_trouble(executable: str) -> str:
    """Why this interpreter cannot make a virtual environment with pip; empty if it can."""
    with tempfile.TemporaryDirectory(prefix="ftcheck-") as folder:
        for what, command in (
            ("it cannot make a virtual environment", [executable, "-m", "venv", "--without-pip", folder]),
            ("it cannot put pip into a virtual environment", [f"{folder}/bin/python", "-m", "ensurepip"]),
        ):
            try:
                done = run(command, timeout=VENV_SECONDS)
            except (OSError, subprocess.TimeoutExpired) as error:
                return f"{what}: {error}"
            if done.returncode:
                return f"{what}: {last_line(done.stdout + done.stderr)}"
    return ""


def candidates(cache: Path, memory: Memory) -> Iterator[Candidate]:
    """Every interpreter that might do, likeliest first; the same file once."""
    seen = set()
    for source, command in places(cache, memory):
        file = os.path.realpath(command)
        if file not in seen and os.access(file, os.X_OK) and os.path.isfile(file):
            seen.add(file)
            yield Candidate(source, os.path.abspath(command))


def places(cache: Path, memory: Memory) -> Iterator[tuple[str, str]]:
    if memory.key in memory.answers:
        yield "the last answer", memory.answers[memory.key]
    yield from on_path()
    pyenv = Path(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")) / "versions"
    for version in newest_first(pyenv.glob("3.*t")) + newest_first(pyenv.glob("3.*t-dev")):
        yield "pyenv", executable_in(version)
    yield from known_to_uv(cache)
    yield "made earlier", str(cache / "python3.14t" / "bin" / "python3.14t")


def on_path() -> Iterator[tuple[str, str]]:
    found: list[tuple[tuple[int, int], str]] = []
    for folder in os.get_exec_path():
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(folder)):
                if match := re.fullmatch(r"python(?:3(?:\.(\d+)(t|-nogil)?)?)?", name):
                    minor, threaded = int(match[1] or 0), bool(match[2])
                    if match[1] and minor < WANTED[1]:
                        continue
                    # python3.14t, python3.15t, ..., python3.14, ..., and last the names without a version
                    rank = (0 if threaded else 1 if minor else 2, minor)
                    found.append((rank, os.path.join(folder, name)))
    for _, command in sorted(found, key=lambda item: item[0]):
        yield "PATH", command


def known_to_uv(cache: Path) -> Iterator[tuple[str, str]]:
    if uv := shutil.which("uv"):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = run([uv, "python", "find", "3.14t"], timeout=PROBE_SECONDS, env={"UV_PYTHON_DOWNLOADS": "never"})
            if done.returncode == 0 and done.stdout.strip():
                yield "uv", done.stdout.strip()
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    for folder in (os.environ.get("UV_PYTHON_INSTALL_DIR") or f"{data}/uv/python", cache / "uv"):
        for install in newest_first(Path(folder).glob("cpython-3.*freethreaded*")):
            yield "uv", executable_in(install)


def executable_in(prefix: Path) -> str:
    return str(next(prefix.glob("bin/python3.*t"), prefix / "bin" / "python"))


def newest_first(folders: Iterator[Path]) -> list[Path]:
    """3.14 before later ones, the newest patch release of each first."""

    def rank(folder: Path) -> tuple[int, int]:
        numbers = [*re.findall(r"\d+", folder.name)[1:3], "0", "0"]
        return int(numbers[0]), -int(numbers[1])

    return sorted((folder for folder in folders if rank(folder)[0] >= WANTED[1]), key=rank)


def search(cache: Path, memory: Memory) -> Verdict | None:
    for candidate in candidates(cache, memory):
        verdict = judge(candidate, memory)
        if verdict.good:
            detail(f"{candidate.source}: {candidate.command}: good, {verdict.version}")
            return verdict
        detail(f"{candidate.source}: {candidate.command}: no, {verdict.reason}")
    return None


def chosen(command: str, memory: Memory) -> Verdict:
    """The verdict on FTCHECK_PYTHON, the reader's own choice: it is taken or refused, never replaced."""
    found = shutil.which(os.path.expanduser(command))
    verdict = judge(Candidate("FTCHECK_PYTHON", found), memory) if found else Verdict(reason="there is no such program")
    if not verdict.good:
        raise Trouble(
            f"FTCHECK_PYTHON={command} cannot be used: {verdict.reason}",
            "Set it to a free-threaded CPython 3.14 or later, or unset it to have one found.",
            USAGE,
        )
    return verdict


def install(cache: Path, memory: Memory, *, with_uv: bool, assemble_only: bool = False) -> Verdict:
    """Get an interpreter into the cache.  Only one process does; another waits and takes what it made."""
    target = cache / "python3.14t"
    made = Candidate("made earlier", str(target / "bin" / "python3.14t"))
    with alone(cache) as waited:
        if waited and not assemble_only and (verdict := search(cache, memory)):
            return verdict
        if os.path.exists(made.command) and (verdict := judge(made, memory)).good:
            return verdict
        if with_uv and install_with_uv(cache) and (verdict := search(cache, memory)):
            return verdict
        say(f"assembling a free-threaded CPython 3.14 in {target} (about half a minute, once)")
        with workshop(cache) as shop:
            assemble(shop, target)
        verdict = judge(made, memory)
    if not verdict.good:
        raise Trouble(f"the assembled interpreter does not work: {verdict.reason}", BY_HAND)
    say(f"CPython {verdict.version} free-threading is ready")
    return verdict


def install_with_uv(cache: Path) -> bool:
    """`uv python install 3.14t` into the cache; whether it worked, which on a closed network it does not."""
    say("no free-threaded CPython here yet; trying `uv python install 3.14t`")
    with workshop(cache) as shop:
        try:
            uv = shutil.which("uv") or shop.tool("uv")
            settings = {
                "UV_PYTHON_INSTALL_DIR": str(cache / "uv"),  # uv itself makes it in one step
                "UV_PYTHON_INSTALL_BIN": "0",  # leave ~/.local/bin alone
                "UV_CACHE_DIR": str(shop.folder / "uv-cache"),
                "UV_HTTP_RETRIES": os.environ.get("UV_HTTP_RETRIES", "1"),
            }
            command = [uv, "--no-progress", "python", "install", "3.14t"]
            shop.command("uv python install 3.14t", command, "", UV_SECONDS, env=settings)
            return True
        except DiskFull:
            raise
        except Trouble as trouble:
            detail(str(trouble))
    say("uv's downloads are not reachable; going on without")
    return False


def print_all(cache: Path, memory: Memory) -> int:
    """--list: every candidate with its verdict, the answer marked."""
    answer = ""
    for candidate in candidates(cache, memory):
        verdict = judge(candidate, memory)
        mark = "no  " if not verdict.good else "good" if answer else "this"
        answer = answer or (verdict.executable if verdict.good else "")
        print(f"{mark}  {candidate.source:<15}  {candidate.command}: {verdict.reason or verdict.version}")
    print(f"the answer would be {answer}" if answer else "none will do; without --list and --no-install one is made")
    return 0 if answer else console.NOT_FOUND


def find(arguments: argparse.Namespace) -> int:
    console.verbose = arguments.verbose
    cache = cache_folder()
    memory = Memory(cache)
    if arguments.fresh or arguments.list:
        memory.answers.pop(memory.key, None)
    if arguments.fresh:
        memory.checked.clear()
    before = (dict(memory.answers), dict(memory.checked))
    no_install = arguments.no_install or bool(os.environ.get("FTCHECK_OFFLINE"))
    with_uv = not (arguments.no_uv or os.environ.get("FTCHECK_NO_UV") or arguments.assemble_only)
    if arguments.list:
        return print_all(cache, memory)

    verdict: Verdict | None
    if arguments.assemble_only:
        verdict = install(cache, memory, with_uv=False, assemble_only=True)
    elif command := os.environ.get("FTCHECK_PYTHON"):
        verdict = chosen(command, memory)
    else:
        verdict = search(cache, memory)
        if verdict is None and no_install:
            raise Trouble("no free-threaded CPython 3.14 was found, and none may be installed now", BY_HAND)
        verdict = verdict or install(cache, memory, with_uv=with_uv)
        memory.answers[memory.key] = verdict.executable
    if (memory.answers, memory.checked) != before:
        memory.save()
    print(verdict.executable)
    return 0


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/interpreter.py",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="say why each candidate was taken or rejected")
    parser.add_argument("--list", action="store_true", help="print every candidate with its verdict, and install nothing")
    parser.add_argument("--fresh", action="store_true", help="forget earlier answers and search anew")
    parser.add_argument("--no-install", action="store_true", help="only look; download nothing")
    parser.add_argument("--no-uv", action="store_true", help="do not try `uv python install`")
    parser.add_argument("--assemble-only", action="store_true", help="do not look; assemble one into the cache folder")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    parsed = parse()
    sys.exit(main(lambda: find(parsed)))

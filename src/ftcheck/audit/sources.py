"""What the source rules say of a distribution: those of :mod:`ftcheck.audit.rules`, run over its source tree.

Sources are what an sdist and a source tree have; of an installed distribution somebody must say where they are (``--sources
NAME=DIR``). The rules read them in a child process, ``ftcheck rules --json DIR``, so a tree on which they take very long, or
all memory, costs its row and not the audit. Nothing is built or run.

What is shown is the same as that command shows for the same folder: which findings fail a run was measured there. A tree of
which nothing could be read is *not checked*, and that is said.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from packaging.utils import canonicalize_name

from ftcheck.audit import projects
from ftcheck.audit.model import Audit, Distribution, Place, Remark, Sources
from ftcheck.audit.options import AuditError
from ftcheck.coverage import counted

_PROGRAM = "import sys; from ftcheck.cli import main; sys.exit(main())"
_TESTS = frozenset(("test", "tests", "testing"))


def look(folder: Path, timeout: float) -> Sources:
    """Run the rules over a folder.

    :param timeout: seconds that it may take.
    """
    root = os.path.realpath(folder)
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-P", "-c", _PROGRAM, "rules", "--json", root]  # -P: the folder that one is in has a json.py
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Sources(problem=f"reading the sources took more than {timeout:g} s: give --rules-timeout more")
    try:
        said = json.loads(done.stdout)
        return _read(said, root)
    except ValueError, KeyError, TypeError:
        ended = signal.Signals(-done.returncode).name if done.returncode < 0 else f"status {done.returncode}"
        last = (done.stderr.strip().splitlines() or [f"their process ended with {ended}"])[-1]
        return Sources(problem=f"the rules did not get to the end: {last}")


def _read(said: Any, root: str) -> Sources:
    active = [one for one in said["findings"] if not one["suppressed"]]
    places = [
        Place(
            one["rule"],
            os.path.relpath(one["path"], root),
            one["line"],
            one["function"],
            one["message"],
            one["tier"],
            one["gates"],
        )
        for one in active
        if one["tier"] != "C"
    ]
    looked = said["looked"]
    files = sum(looked["files"].values())
    return Sources(
        tuple(sorted(places, key=lambda one: (not one.gates, one.file, one.line, one.rule))),
        notes=len(active) - len(places),
        suppressed=len(said["findings"]) - len(active),
        files=files,
        functions=looked["functions"],
        calls=looked["calls"],
        lines=looked["lines"],
        skipped=len(looked["skipped"]),
        unchecked=tuple(sorted({rule for rule, _ in looked["unchecked"]})),
        seconds=looked["seconds"],
        problem="" if files else "no source file that the rules know",
    )


def with_rules(row: Distribution, folder: Path, timeout: float, how: str) -> Distribution:
    """The row with what the rules say of the sources in a folder.

    :param how: the command that lists everything.
    """
    seen = look(folder, timeout)
    return replace(row, sources=seen, remarks=(*row.remarks, Remark("rules", _words(seen, how), bool(seen.gating))))


def _words(seen: Sources, how: str) -> str:
    if seen.problem:
        return f"not checked: {seen.problem}"
    return f"{findings(seen)}, in {denominator(seen)}" + (f"; {how}" if seen.places or seen.notes or seen.suppressed else "")


def findings(seen: Sources) -> str:
    """How many there are, in words."""
    if not seen.places:
        found = "no finding"
    else:
        fails = len(seen.gating)
        inside = sum(_of_tests(one) for one in seen.gating)
        found = f"{counted(len(seen.places), 'finding')}, of which {fails:,} {'fails' if fails == 1 else 'fail'} the run"
        found += f" ({inside:,} in tests)" if inside else ""
    more = [counted(seen.notes, "note")] if seen.notes else []
    return ", ".join([found, *more, *([f"{seen.suppressed:,} suppressed"] if seen.suppressed else [])])


def denominator(seen: Sources) -> str:
    """What was looked at, in words."""
    words = f"{counted(seen.files, 'file')}, {counted(seen.functions, 'function')}, {counted(seen.lines, 'line')}"
    return words + (f" ({counted(seen.skipped, 'file')} not looked at)" if seen.skipped else "")


def _of_tests(one: Place) -> bool:
    return any(part.lower() in _TESTS or part.startswith("test_") for part in PurePath(one.file).parts)


def applied(
    audit: Audit, given: Sequence[tuple[str, Path]], timeout: float, progress: Callable[[str, int, int], object]
) -> Audit:
    """The audit with what the rules say of sources that somebody has named.

    :param given: names of distributions (empty: as the project says by itself) and folders.
    :param timeout: seconds that each folder may take.
    :raises AuditError: there is no such folder, or no such distribution.
    """
    found = list(audit.rows)
    for number, (name, folder) in enumerate(given, 1):
        if not folder.is_dir():
            raise AuditError(f"--sources {folder}: there is no such folder", 2)
        own = canonicalize_name(name or projects.read(folder).row.name)
        places = [place for place, row in enumerate(found) if row.name and canonicalize_name(row.name) == own]
        if not places:
            text = f"there is no distribution {own} among those that were looked at: write --sources NAME={folder}"
            raise AuditError(f"--sources {folder}: {text}", 2)
        progress("reading sources", number, len(given))
        for place in places:
            found[place] = with_rules(found[place], folder, timeout, f"`ftcheck rules {folder}` lists them with their code")
    return replace(audit, rows=tuple(found))

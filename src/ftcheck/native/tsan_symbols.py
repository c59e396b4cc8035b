"""Source lines for calls that ThreadSanitizer could not name.

The runtime of gcc looks at the modules of a process only once, at its first report: extensions that are imported later stay
without names. Where it is known which file a module is, ``addr2line`` names them (:mod:`ftcheck.native.symbols`).
"""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ftcheck.native import symbols
from ftcheck.native.tsan_report import Frame, Report


def modules() -> dict[str, str]:
    """The shared objects of this process, by the name that a log has for them (Linux; elsewhere none)."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/maps").read_text(errors="surrogateescape").splitlines():
            path = line.partition("/")
            if path[1] and ".so" in path[2]:
                found.setdefault(os.path.basename(path[2]), f"/{path[2]}")
    return found


def modules_in(folder: Path) -> dict[str, str]:
    """The shared objects below a folder, by the name that a log has for them."""
    return {path.name: str(path) for path in sorted(folder.rglob("*.so*"), reverse=True) if path.is_file()}


def named(reports: Iterable[Report], files: Mapping[str, str]) -> list[Report]:
    """The same reports, with source lines where they have none and there is one to be found.

    :param files: the paths of modules, by their names.
    """
    reports = list(reports)
    wanted: dict[str, set[int]] = defaultdict(set)
    for report in reports:
        for stack in _stacks(report):
            for frame in stack:
                if not frame.file and frame.module in files and frame.offset:
                    wanted[frame.module].add(frame.offset)
    known: dict[tuple[str, int], tuple[Frame, ...]] = {}
    for module, offsets in wanted.items():
        for offset, lines in symbols.lines(files[module], offsets).items():
            if lines[0].file:
                known[module, offset] = tuple(Frame(one.function, one.file, one.line, 0, module, offset) for one in lines)
    return [_with(report, known) for report in reports] if known else reports


def _stacks(report: Report) -> list[tuple[Frame, ...]]:
    parts = (report.accesses, report.blocks, report.places, report.threads, report.mutexes)
    return [one.stack for part in parts for one in part]


def _with(report: Report, known: Mapping[tuple[str, int], tuple[Frame, ...]]) -> Report:
    def stack(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
        return tuple(
            better for one in frames for better in (known.get((one.module, one.offset), (one,)) if not one.file else (one,))
        )

    return replace(
        report,
        accesses=tuple(replace(one, stack=stack(one.stack)) for one in report.accesses),
        blocks=tuple(replace(one, stack=stack(one.stack)) for one in report.blocks),
        places=tuple(replace(one, stack=stack(one.stack)) for one in report.places),
        threads=tuple(replace(one, stack=stack(one.stack)) for one in report.threads),
        mutexes=tuple(replace(one, stack=stack(one.stack)) for one in report.mutexes),
    )

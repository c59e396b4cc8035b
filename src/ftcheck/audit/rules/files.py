"""Which files a scan looks at, and which it does not, with the reason.

Of a folder, all files in it whose suffix is known. Left out are environments, what version control and builds keep,
copies of compatibility headers, C code that Cython has written, and programs (files with a ``main``): they are not the
extension.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftcheck.audit.rules.scanner import cython, project
from ftcheck.audit.rules.words import Skipped

_FOLDERS = frozenset((".git", ".hg", ".svn", ".tox", ".nox", "__pycache__", "node_modules", ".mypy_cache", ".ruff_cache",
                      ".pytest_cache", ".eggs", "_built"))  # fmt: skip
_SHIMS = frozenset(("pythoncapi_compat.h", "pythoncapi-compat.h", "upgrade_pythoncapi.py"))
"""Copies of pythoncapi-compat, which have both ways of each function in them."""
_LARGEST = 12 * 1024 * 1024
LANGUAGES = {
    **dict.fromkeys(project.C_SUFFIXES | project.CPP_SUFFIXES, "C"),
    **dict.fromkeys(cython.SUFFIXES, "Cython"),
    ".py": "Python",
    ".rs": "Rust",
}


class NothingError(Exception):
    """A path cannot be scanned at all; says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to look at.

    :param name: its path from what was named, for fingerprints.
    """

    path: Path
    name: str
    language: str
    text: str


def collect(paths: Sequence[Path]) -> tuple[list[Source], list[Skipped]]:
    """Read the files.

    :raises NothingError: a path is not there, or is a file of no language that is known.
    """
    found: list[Source] = []
    skipped: list[Skipped] = []
    seen: set[str] = set()
    for root in paths:
        if not root.exists():
            raise NothingError(f"{root} is not there")
        if root.is_file() and root.suffix not in LANGUAGES:
            raise NothingError(f"{root} is no source file that the rules know: {', '.join(sorted(LANGUAGES))}")
        for path in [root] if root.is_file() else _walk(root, skipped):
            real = os.path.realpath(path)
            if real in seen:
                continue
            seen.add(real)
            one = _read(path, path.name if root.is_file() else path.relative_to(root).as_posix(), skipped)
            if one is not None:
                found.append(one)
    return found, skipped


def _walk(root: Path, skipped: list[Skipped]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        skipped.append(Skipped(str(error.filename), f"cannot be read: {error.strerror}"))

    for folder, folders, files in os.walk(root, onerror=unreadable):
        for name in sorted(folders):
            if (Path(folder) / name / "pyvenv.cfg").exists():
                skipped.append(Skipped(str(Path(folder) / name), "an environment"))
                folders.remove(name)
        folders[:] = sorted(set(folders) - _FOLDERS)
        for name in sorted(files):
            path = Path(folder) / name
            if path.suffix in LANGUAGES:
                yield path


def _read(path: Path, name: str, skipped: list[Skipped]) -> Source | None:
    reason = ""
    text = ""
    try:
        size = path.stat().st_size
        if not path.is_file():
            reason = "no regular file"
        elif path.name in _SHIMS:
            reason = "a copy of pythoncapi-compat"
        elif size > _LARGEST:
            reason = f"larger than {_LARGEST // 1024 // 1024} MiB"
        else:
            data = path.read_bytes()
            if b"\0" in data:
                reason = "not text (null bytes)"
            else:
                text = data.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    if reason:
        skipped.append(Skipped(str(path), reason))
        return None
    return Source(path, name, LANGUAGES[path.suffix], text)

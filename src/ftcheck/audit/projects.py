"""What a source tree says of itself without being built: its name, its claims, and which sources it has.

A build may do anything, so none is made. Whether the modules that come out of it will declare themselves is a question to
their sources, which has an answer of its own kind; here it is only said that there are some.
"""

from __future__ import annotations

import email.parser
import os
import tomllib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ftcheck.audit.model import Distribution, Readiness, Remark
from ftcheck.audit.survey import is_no_source

_LANGUAGES = {".c": "C", ".cc": "C++", ".cpp": "C++", ".cxx": "C++", ".pyx": "Cython", ".pxd": "Cython", ".rs": "Rust",
              ".f": "Fortran", ".f90": "Fortran", ".cu": "CUDA", ".go": "Go"}  # fmt: skip
_FREE_THREADING = "Programming Language :: Python :: Free Threading :: "
_MOST_FILES = 200_000


@dataclass(frozen=True, slots=True)
class Project:
    """A source tree.

    :param row: without verdict.
    :param known: whether anything says that it is a project: a name, or sources.
    :param sources: how many files there are of each language that is compiled.
    """

    row: Distribution
    sources: tuple[tuple[str, int], ...]
    known: bool
    limits: tuple[str, ...] = ()

    def without_modules(self, row: Distribution) -> Distribution:
        """The verdict where nothing was built."""
        if not self.sources:
            return row
        said = ", ".join(f"{number} {language}" for language, number in self.sources)
        what = "sources only: build a wheel (pip wheel --no-deps .) and audit that"
        return replace(row, readiness=Readiness.NOT_CHECKED, what=what, evidence=(f"source files: {said}",))


def read(path: Path) -> Project:
    """Look at a source tree."""
    remarks: list[Remark] = []
    head = _pyproject(path, remarks) | _pkg_info(path)
    claims = [claim for claim in head.get("classifiers", []) if claim.startswith(_FREE_THREADING)]
    classifier = claims[-1].removeprefix(_FREE_THREADING) if claims else ""
    if not head.get("name"):
        remarks.append(Remark("metadata", "neither pyproject.toml nor PKG-INFO gives it a name"))
    sources, limits = _sources(path)
    row = Distribution(
        str(head.get("name") or path.resolve().name),
        str(head.get("version") or ""),
        Readiness.NOT_CHECKED,
        folder=str(path),
        classifier=classifier,
        remarks=tuple(remarks),
    )
    known = bool(head.get("name") or sources or (path / "setup.py").exists() or (path / "pyproject.toml").exists())
    return Project(row, sources, known, limits)


def _pyproject(path: Path, remarks: list[Remark]) -> dict[str, Any]:
    try:
        project = tomllib.loads((path / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except FileNotFoundError, NotADirectoryError:
        return {}
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        remarks.append(Remark("metadata", f"pyproject.toml cannot be read: {error}", attention=True))
        return {}
    if not isinstance(project, dict):
        return {}
    claims = project.get("classifiers", [])
    kept = [str(one) for one in claims] if isinstance(claims, list) else []
    return {"name": project.get("name"), "version": project.get("version"), "classifiers": kept}


def _pkg_info(path: Path) -> dict[str, Any]:
    try:
        head = email.parser.HeaderParser().parsestr((path / "PKG-INFO").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}
    return {
        "name": head["Name"],
        "version": head["Version"],
        "classifiers": [str(one) for one in head.get_all("Classifier", [])],
    }


def _sources(path: Path) -> tuple[tuple[tuple[str, int], ...], tuple[str, ...]]:
    found: Counter[str] = Counter()
    seen = 0
    for folder, folders, files in os.walk(path):
        folders[:] = [one for one in folders if not is_no_source(folder, one)]
        seen += len(files)
        if seen > _MOST_FILES:
            return tuple(found.most_common()), (f"{path} has more than {_MOST_FILES:,} files: the rest was not looked at",)
        found.update(_LANGUAGES[suffix] for file in files if (suffix := os.path.splitext(file)[1].lower()) in _LANGUAGES)
    return tuple(found.most_common()), ()

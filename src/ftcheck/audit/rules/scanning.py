"""One scan: files in, findings and what was looked at out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ftcheck.audit.rules import clang_facts, families, files, fingerprints, suppressions
from ftcheck.audit.rules.context import Extension
from ftcheck.audit.rules.families import RULES, cython_rules, objects
from ftcheck.audit.rules.files import Source
from ftcheck.audit.rules.gates import gating
from ftcheck.audit.rules.scanner import cython, project, python
from ftcheck.audit.rules.scanner.fresh import Origins
from ftcheck.audit.rules.scanner.project import Project, Unit
from ftcheck.audit.rules.scanner.tokens import Comment
from ftcheck.audit.rules.words import Hit, Looked, Scan, Skipped, SourceFinding

type Progress = Callable[[str, int, int], None]
"""Told what is read: the file, how many were before it, how many there are."""


@dataclass(slots=True)
class _Work:
    sources: list[Source]
    skipped: list[Skipped]
    units: list[Unit] = field(default_factory=list)
    cython_files: list[cython.CythonFile] = field(default_factory=list)
    comments: dict[Path, Sequence[Comment]] = field(default_factory=dict)
    hits: list[Hit] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)


def scan(
    paths: Sequence[Path], *, clang: bool = False, baseline: Path | None = None, progress: Progress | None = None
) -> Scan:
    """Look for everything that the rules know in source files.

    The files of one call are taken for one extension, or for several that do not define the same names.

    :param paths: files, or folders with all that is in them.
    :param clang: ask libclang for types as well, which FT307 needs.
    :param baseline: a file of findings that are known; they are suppressed.
    :raises files.NothingError: a path cannot be scanned. :raises fingerprints.BaselineError: the baseline cannot be used.
    """
    return examine(paths, clang=clang, baseline=baseline, progress=progress)[0]


def examine(
    paths: Sequence[Path], *, clang: bool = False, baseline: Path | None = None, progress: Progress | None = None
) -> tuple[Scan, Project]:
    """:func:`scan`, and the files of C and C++ as it understands them: who calls whom, what is a Python method."""
    began = time.perf_counter()
    known = fingerprints.load(baseline) if baseline is not None else {}
    work = _Work(*files.collect(paths))
    for number, source in enumerate(work.sources):
        if progress is not None:
            progress(str(source.path), number, len(work.sources))
        _read(work, source)
    extension_project = Project(work.units)
    extension = Extension(extension_project, Origins(extension_project))
    work.hits += families.find_c(extension)
    work.hits += cython_rules.find(work.cython_files)
    unchecked = _with_clang(work, extension) if clang else [("FT307", "needs libclang: --clang")] if work.units else []
    findings = _findings(work, known)
    every = [function for unit in work.units for function in unit.shape.functions]
    looked = Looked(
        files=dict(work.languages),
        functions=len(every) + work.counts["functions"],
        calls=sum(len(function.calls) for function in every) + work.counts["calls"],
        resolved=extension_project.graph.resolved,
        lines=work.counts["lines"],
        dropped=sum(unit.compiled.dropped for unit in work.units),
        undecided=sum(unit.compiled.unknown for unit in work.units),
        recovered=sum(unit.shape.recovered for unit in work.units),
        skipped=tuple(work.skipped),
        unchecked=tuple(unchecked),
        seconds=time.perf_counter() - began,
    )
    return Scan(tuple(findings), looked), extension_project


def _read(work: _Work, source: Source) -> None:
    match source.language:
        case "C":
            kept = _read_c(work, source)
        case "Python":
            kept = _read_python(work, source)
        case "Cython":
            one = cython.read(source.path, source.text)
            work.cython_files.append(one)
            work.comments[source.path] = one.comments
            work.counts["functions"] += one.functions
            kept = True
        case _:
            work.hits += families.bindings.find_rust(source.path, source.text)
            kept = True
    if kept:
        work.languages[source.language] += 1
        work.counts["lines"] += len(source.text.splitlines())


def _read_c(work: _Work, source: Source) -> bool:
    version = cython_rules.generated(source.text)
    if version is not None:
        work.hits += cython_rules.find_version(source.path, version)
        work.skipped.append(
            Skipped(str(source.path), f"written by Cython {version[0]}.{version[1]}: the rules look at the .pyx")
        )
        return False
    unit = project.read(source.path, source.text)
    if any(function.name == "main" for function in unit.shape.functions) and not _is_module(unit):
        work.skipped.append(Skipped(str(source.path), "a program (it has a main)"))
        return False
    work.units.append(unit)
    work.comments[source.path] = unit.text.comments
    return True


def _is_module(unit: Unit) -> bool:
    return any(function.name.startswith("PyInit_") for function in unit.shape.functions)


def _read_python(work: _Work, source: Source) -> bool:
    try:
        file = python.read(source.path, source.text)
    except SyntaxError as error:
        work.skipped.append(Skipped(str(source.path), f"line {error.lineno}: {error.msg}"))
        return False
    except (ValueError, RecursionError) as error:
        work.skipped.append(Skipped(str(source.path), f"cannot be parsed: {error}"))
        return False
    work.hits += families.find_python(file)
    work.comments[source.path] = file.comments
    work.counts["functions"] += len(file.functions)
    work.counts["calls"] += file.calls
    return True


def _with_clang(work: _Work, extension: Extension) -> list[tuple[str, str]]:
    folders = sorted({unit.path.resolve().parent for unit in work.units})
    facts = clang_facts.gather([(unit.path, unit.cplusplus) for unit in work.units], folders)
    work.hits += objects.find(extension, facts)
    return [("FT307", f"{path}: {reason}") for path, reason in sorted(facts.failed.items())]


def _findings(work: _Work, known: Mapping[str, str]) -> list[SourceFinding]:
    sources = {source.path: source for source in work.sources}
    marks: dict[Path, list[suppressions.Suppression]] = {}
    for path, comments in work.comments.items():
        marks[path], wrong = suppressions.read(path, comments, sources[path].text, RULES.keys())
        work.hits += wrong
    lines = {path: source.text.split("\n") for path, source in sources.items()}
    seen: Counter[str] = Counter()
    found: list[SourceFinding] = []
    for hit in sorted(set(work.hits), key=lambda one: (sources[one.path].name, one.line, one.rule, one.message)):
        text = lines[hit.path]
        code = text[hit.line - 1].strip() if 0 < hit.line <= len(text) else ""
        mark = fingerprints.fingerprint(hit.rule, sources[hit.path].name, hit.function, code, seen)
        reason = suppressions.reason(marks.get(hit.path, ()), hit.rule, hit.line) or known.get(mark, "")
        tier = hit.tier or RULES[hit.rule].tier
        gates = gating(RULES[hit.rule], tier)
        found.append(
            SourceFinding(
                hit.rule, str(hit.path), hit.line, hit.function, hit.message, tier, mark, reason, code[:300], gates
            )
        )
    return found

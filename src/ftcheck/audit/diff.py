"""What differs between two records of environments, and what of that breaks something in the second one.

The same change of many modules is one row: from one interpreter to another, every extension module has another ABI tag.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from ftcheck.audit.record import STDLIB, Module, Record
from ftcheck.native.linking import numbers

SCHEMA, VERSION = "ftcheck-diff", 1
_SHOWN = 4
"""Modules that are named in a row; the others are counted."""
_PROVIDER = {"GLIBC": "libc.so.6", "GLIBCXX": "libstdc++.so.6", "CXXABI": "libstdc++.so.6"}
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is not the same in both.

    :param room: ``interpreter``, ``system``, ``distributions`` or ``extension modules``.
    :param subject: what it is about; several, where it is the same for all of them.
    :param what: which of its properties; empty: whether it is there.
    :param before, after: ``-``: it is not there.
    """

    room: str
    subjects: tuple[str, ...]
    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not work in the second environment, whether it did in the first or not.

    :param new: it did work there, or was not there.
    """

    subjects: tuple[str, ...]
    text: str
    new: bool


@dataclass(frozen=True, slots=True)
class Diff:
    """All of it."""

    changes: tuple[Change, ...]
    problems: tuple[Problem, ...]
    looked: str

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.changes


def compare(a: Record, b: Record) -> Diff:
    """From **a** to **b**."""
    changes = [*_interpreter(a, b), *_system(a, b), *_distributions(a, b), *_modules(a, b, False), *_modules(a, b, True)]
    before, after = set(_broken(a)), set(_broken(b))
    problems = [
        Problem(tuple(name for name, _ in group), text, new)
        for (text, new), group in _grouped(
            [(name, (text, (name, text) not in before)) for name, text in sorted(after, key=lambda one: one[::-1])]
        )
    ]
    looked = (
        f"{len(a.distributions)} and {len(b.distributions)} distributions, "
        f"{len(a.modules)} and {len(b.modules)} extension modules and libraries"
    )
    unknown = [one for one in (a, b) if one.interpreter.free_threaded and not one.probed]
    if unknown:
        of = "both" if len(unknown) == 2 else "the first" if unknown[0] is a else "the second"
        looked += f"; what imports do to the GIL is not known of {of} (ftcheck record --probe)"
    return Diff(tuple(changes), tuple(problems), looked)


def _interpreter(a: Record, b: Record) -> Iterator[Change]:
    yield from _fields("interpreter", "", asdict(a.interpreter), asdict(b.interpreter))


def _system(a: Record, b: Record) -> Iterator[Change]:
    for name in ("name", "machine", "libc"):
        yield from _fields("system", "", {name: getattr(a.system, name)}, {name: getattr(b.system, name)})
    for library in sorted({*a.system.libraries, *b.system.libraries}):
        yield from _fields("system", library, a.system.libraries.get(library, {}), b.system.libraries.get(library, {}))


def _fields(room: str, subject: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        one, other = before.get(name, NOTHING), after.get(name, NOTHING)
        if one != other:
            label = name.replace("_", " ")
            yield Change(room, (subject or label,), label if subject else "", _word(one), _word(other))


def _word(value: object) -> str:
    return {True: "yes", False: "no", "": "(empty)"}.get(value, str(value)) if isinstance(value, (bool, str)) else str(value)


def _distributions(a: Record, b: Record) -> Iterator[Change]:
    room = "distributions"
    mine = {one.name.lower().replace("_", "-"): one for one in a.distributions}
    theirs = {one.name.lower().replace("_", "-"): one for one in b.distributions}
    pairs: list[tuple[str, tuple[str, str, str]]] = []
    for key in sorted({*mine, *theirs}):
        one, other = mine.get(key), theirs.get(key)
        if one is None or other is None:
            there = one or other
            assert there is not None
            yield Change(room, (there.name,), "", one.version if one else NOTHING, other.version if other else NOTHING)
            continue
        if one.version != other.version:
            yield Change(room, (other.name,), "", one.version, other.version)
        if one.tags != other.tags:
            tags = (", ".join(one.tags) or NOTHING, ", ".join(other.tags) or NOTHING)
            pairs.append((other.name, ("wheel tags", *tags)))
    yield from _as_changes(room, pairs)


def _modules(a: Record, b: Record, stdlib: bool) -> Iterator[Change]:
    """Those of the interpreter's own library apart: they come with it."""
    room = "extension modules of the standard library" if stdlib else "extension modules"
    mine = {one.name: one for one in a.modules if (one.distribution == STDLIB) is stdlib}
    theirs = {one.name: one for one in b.modules if (one.distribution == STDLIB) is stdlib}
    pairs: list[tuple[str, tuple[str, str, str]]] = []
    for name in sorted({*mine, *theirs}):
        one, other = mine.get(name), theirs.get(name)
        if one is None or other is None:
            there = one or other
            assert there is not None
            pairs.append((name, ("", there.abi if one else NOTHING, there.abi if other else NOTHING)))
            continue
        pairs += [(name, change) for change in _module(one, other)]
    yield from _as_changes(room, pairs)


def _module(one: Module, other: Module) -> Iterator[tuple[str, str, str]]:
    if one.abi != other.abi:
        yield "ABI tag", one.abi, other.abi
    if one.gil != other.gil:
        yield "GIL", one.gil, other.gil
    if one.problem != other.problem:
        yield "file", one.problem or "readable", other.problem or "readable"
    for family in sorted({*(one.needs or {}), *(other.needs or {})}):
        before, after = (one.needs or {}).get(family, NOTHING), (other.needs or {}).get(family, NOTHING)
        if before != after:
            yield f"needs {family}", before, after
    mine, theirs = {need.library: need.file for need in one.needed}, {need.library: need.file for need in other.needed}
    for library in sorted({*mine, *theirs}):
        if mine.get(library) != theirs.get(library):
            yield f"needs {library}", _file(mine.get(library)), _file(theirs.get(library))


def _file(file: str | None) -> str:
    return NOTHING if file is None else file or "not found"


def _as_changes(room: str, pairs: Sequence[tuple[str, tuple[str, str, str]]]) -> Iterator[Change]:
    for (what, before, after), group in _grouped(pairs):
        yield Change(room, tuple(name for name, _ in group), what, before, after)


def _grouped[K](pairs: Sequence[tuple[str, K]]) -> Iterator[tuple[K, list[tuple[str, K]]]]:
    """Those with the same second part together, in the order in which these come first."""
    order = {key: number for number, key in reversed(list(enumerate(key for _, key in pairs)))}
    for key, group in groupby(sorted(pairs, key=lambda pair: order[pair[1]]), key=lambda pair: pair[1]):
        yield key, list(group)


def _broken(record: Record) -> Iterator[tuple[str, str]]:
    """What does not work in an environment: (module, why)."""
    for one in record.modules:
        if one.problem:
            yield one.name, one.problem
        if one.gil.startswith("cannot be imported"):
            yield one.name, one.gil
        if one.gil == "turns it on":
            yield one.name, "turns the GIL on"
        for need in one.needed:
            if not need.file:
                yield one.name, f"needs {need.library}, which is not found"
        for family, version in (one.needs or {}).items():
            provider = _PROVIDER[family]
            file = next((need.file for need in one.needed if need.library == provider), "")
            has = record.system.libraries.get(provider, {})
            if has and file == has["file"] and family in has and numbers(version) > numbers(has[family]):
                yield one.name, f"needs {family} {version}, and {provider} of the system has {has[family]}"


# --- how it is shown --------------------------------------------------------------------------------------------------


def text(diff: Diff, a: str, b: str) -> str:
    """For people.

    :param a, b: names of the two.
    """
    lines = [f"from {a} to {b}"]
    for title, new in (("what breaks", True), ("what was broken already", False)):
        problems = [one for one in diff.problems if one.new is new]
        if problems:
            lines += ["", title, *(f"  {_names(one.subjects)}: {one.text}" for one in problems)]
    for room, changes in groupby(diff.changes, key=lambda one: one.room):
        lines += ["", room]
        for one in changes:
            subject = _names(one.subjects)
            lines.append(f"  {f'{subject}: {one.what}' if one.what else subject}")
            lines += [f"      {one.before}", f"   -> {one.after}"] if _long(one) else [f"      {one.before} -> {one.after}"]
    if diff.same:
        lines += ["", "nothing differs"]
    return "\n".join([*lines, "", f"compared: {diff.looked}"])


def _long(one: Change) -> bool:
    return len(one.before) + len(one.after) > 90


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def plain(diff: Diff) -> dict[str, Any]:
    """For JSON."""
    return {"schema": SCHEMA, "version": VERSION, "same": diff.same, **asdict(diff)}

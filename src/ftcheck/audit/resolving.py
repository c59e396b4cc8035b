"""Chooses versions that fit together, the way pip does: by resolvelib, which pip has inside, and in pip's order.

The order decides which of several solutions is found (``pip/_internal/resolution/resolvelib/provider.py``): what is pinned
comes first, then what has an upper bound, then what the list names, as it names it; and before all of these what was in the
way a few times. A project with extras is another one, which requires the same version of the project without; who asks for
the one asks for the other, too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible, ResolutionTooDeep, Resolver

from ftcheck.audit import available
from ftcheck.audit.abi import Target
from ftcheck.audit.index import File
from ftcheck.audit.lists import applies
from ftcheck.audit.remote import UnknownMetadataError

_ROUNDS = 20_000
_IN_THE_WAY = 5
"""Conflicts of a project that has no version yet, after which it comes first."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Somebody requires a project.

    :param by: the project that does; empty: the list.
    """

    name: str
    extras: frozenset[str]
    specifier: SpecifierSet
    by: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A version of a project; **file** says what it requires."""

    name: str
    extras: frozenset[str]
    version: Version
    file: File | None


@dataclass(frozen=True, slots=True)
class Pins:
    """What was chosen.

    :param versions: of each project; empty: nothing fits together, and **problem** says what does not.
    :param asks: all who require something.
    :param older: projects of which there is a newer version that fits all who ask for it.
    """

    versions: dict[str, Version] = field(default_factory=dict)
    asks: tuple[Ask, ...] = ()
    older: frozenset[str] = frozenset()
    problem: str = ""


class Known:
    """What is known of projects: asked for once each.

    :ivar constraints: versions that may be taken, whoever requires a project.
    :ivar all_files: by the name of the project; None: nobody knows.
    """

    def __init__(
        self,
        look_up: Callable[[str], list[File] | None],
        read: Callable[[File], tuple[str, ...]],
        target: Target,
        environment: dict[str, str],
        constraints: Mapping[str, SpecifierSet],
    ) -> None:
        self._look_up, self._read, self._target, self._environment = look_up, read, target, environment
        self.constraints = constraints
        self._entries: dict[str, list[available.Entry]] = {}
        self._candidates: dict[tuple[str, SpecifierSet], list[tuple[Version, File | None]]] = {}
        self._requirements: dict[File, tuple[tuple[Requirement, ...], str]] = {}
        self.all_files: dict[str, list[File] | None] = {}

    def look_up_all(self, names: Iterable[str], pool: ThreadPoolExecutor) -> None:
        """Ask for all projects of which nothing is known, at once."""
        new = [name for name in names if name not in self.all_files]
        self.all_files |= dict(zip(new, pool.map(self._look_up, new), strict=True))

    def read_all(self, files: Iterable[File], pool: ThreadPoolExecutor) -> None:
        """Read all that were not read, at once."""
        new = [file for file in dict.fromkeys(files) if file not in self._requirements]
        self._requirements |= dict(zip(new, pool.map(self._said, new), strict=True))

    def candidates(self, name: str, specifier: SpecifierSet) -> list[tuple[Version, File | None]]:
        """The versions to try, in this order; with each the file that says what it requires."""
        key = name, specifier
        if key not in self._candidates:
            if name not in self.all_files:
                self.all_files[name] = self._look_up(name)
            if name not in self._entries:
                self._entries[name] = available.entries(name, self.all_files[name] or (), self._target)
            allowed = specifier & self.constraints.get(name, SpecifierSet())
            self._candidates[key] = available.candidates(self._entries[name], allowed, self._target)
        return self._candidates[key]

    def required(self, name: str, file: File | None, extras: frozenset[str]) -> Iterator[Ask]:
        """What a version of a project requires of others, and of itself with other extras."""
        for one in self._applying(file, extras):
            if not one.url:
                yield Ask(canonicalize_name(one.name), frozenset(one.extras), one.specifier, name)

    def addresses(self, file: File | None, asks: Iterable[Ask]) -> list[Requirement]:
        """What a version requires that is an address."""
        extras = frozenset(extra for one in asks for extra in one.extras)
        return [one for one in self._applying(file, extras) if one.url]

    def unknown(self, file: File | None) -> str:
        """Why it is not known what a version requires; empty: it is."""
        return "there is no wheel of it" if file is None else self._requirements_of(file)[1]

    def _applying(self, file: File | None, extras: frozenset[str]) -> Iterator[Requirement]:
        for one in self._requirements_of(file)[0] if file is not None else ():
            marker = str(one.marker) if one.marker is not None else ""
            if not marker or any(applies(marker, self._environment, extra) for extra in ("", *sorted(extras))):
                yield one

    def _requirements_of(self, file: File) -> tuple[tuple[Requirement, ...], str]:
        if file not in self._requirements:
            self._requirements[file] = self._said(file)
        return self._requirements[file]

    def _said(self, file: File) -> tuple[tuple[Requirement, ...], str]:
        try:
            return tuple(_readable(self._read(file))), ""
        except UnknownMetadataError as error:
            return (), str(error)


def _readable(lines: Iterable[str]) -> Iterator[Requirement]:
    for line in lines:
        try:
            yield Requirement(line)
        except InvalidRequirement:  # of old metadata; what cannot be read, no installer can follow
            continue


def resolve(asks: Sequence[Ask], known: Known) -> Pins:
    """Choose versions for what is asked for, and for all that is required in turn.

    What the list names and no index has is left out: that keeps nothing else from being chosen.
    """
    asks = [one for one in asks if known.candidates(one.name, one.specifier)]
    provider = _Provider(known, [one.name for one in asks])
    resolver: Resolver[Ask, _Candidate, _Named] = Resolver(provider, BaseReporter())
    try:
        roots = sorted(_with_and_without(asks), key=lambda one: bool(one.extras))
        result = resolver.resolve(roots, max_rounds=_ROUNDS)
    except ResolutionImpossible as error:
        causes = sorted({f"{one.requirement.name} {one.requirement.specifier} ({one.requirement.by or 'the list'})"
                         for one in error.causes})  # fmt: skip
        return Pins(problem=f"no versions fit together: {', '.join(causes)}")
    except ResolutionTooDeep:
        return Pins(problem=f"no versions that fit together were found in {_ROUNDS} steps")
    versions = {one.name: one.version for one in result.mapping.values()}
    everybody = tuple(info.requirement for one in result.criteria.values() for info in one.information)
    everybody = tuple(one for one in everybody if one.by != one.name)
    older = set()
    for name, version in versions.items():
        whole = SpecifierSet()
        for ask in everybody:
            whole &= ask.specifier if ask.name == name else SpecifierSet()
        if (some := known.candidates(name, whole)) and some[0][0] != version:
            older.add(name)
    return Pins(versions, everybody, frozenset(older))


def _with_and_without(asks: Iterable[Ask]) -> Iterator[Ask]:
    for one in asks:
        if one.extras:
            yield replace(one, extras=frozenset())
        yield one


type _Named = tuple[str, frozenset[str]]
"""A project, and extras of it."""


class _Provider(AbstractProvider[Ask, _Candidate, _Named]):
    def __init__(self, known: Known, listed: Sequence[str]) -> None:
        self._known = known
        self._listed = {name: number for number, name in reversed(list(enumerate(listed)))}
        self._conflicts: Counter[_Named] = Counter()

    def identify(self, requirement_or_candidate: Ask | _Candidate) -> _Named:
        return requirement_or_candidate.name, requirement_or_candidate.extras

    def get_preference(
        self,
        identifier: _Named,
        resolutions: Mapping[_Named, _Candidate],
        candidates: Mapping[_Named, Iterator[_Candidate]],
        information: Mapping[_Named, Iterator[Any]],
        backtrack_causes: Sequence[Any],
    ) -> tuple[bool, bool, bool, bool, float, bool, str, list[str]]:
        asks = [one.requirement for one in information[identifier]]
        signs = [(one.operator, one.version) for ask in asks if ask.by != ask.name for one in ask.specifier]
        pinned = any(sign[:2] == "==" and "*" not in version for sign, version in signs)
        bounded = any(sign in ("<", "<=", "~=") or (sign == "==" and "*" in version) for sign, version in signs)
        return (
            self._conflicts[identifier] < _IN_THE_WAY,
            not any(one.by == one.name for one in asks),  # it is to be the same as with extras
            not pinned,
            not bounded,
            self._listed.get(identifier[0], math.inf) if not identifier[1] else math.inf,
            not signs,
            identifier[0],
            sorted(identifier[1]),
        )

    def narrow_requirement_selection(
        self,
        identifiers: Iterable[_Named],
        resolutions: Mapping[_Named, _Candidate],
        candidates: Mapping[_Named, Iterator[_Candidate]],
        information: Mapping[_Named, Iterator[Any]],
        backtrack_causes: Sequence[Any],
    ) -> Iterable[_Named]:
        """What did not fit comes first: before it does, there is no solution."""
        causes = [self.identify(one) for cause in backtrack_causes for one in (cause.requirement, cause.parent) if one]
        self._conflicts.update(one for one in causes if one not in resolutions)
        every = list(identifiers)
        first = [one for one in every if one in causes]
        return first or [one for one in every if self._conflicts[one] >= _IN_THE_WAY] or every

    def find_matches(
        self,
        identifier: _Named,
        requirements: Mapping[_Named, Iterator[Ask]],
        incompatibilities: Mapping[_Named, Iterator[_Candidate]],
    ) -> list[_Candidate]:
        name, extras = identifier
        asks = [*requirements.get(identifier, ()), *(requirements.get((name, frozenset()), ()) if extras else ())]
        whole = SpecifierSet()
        for ask in asks:
            whole &= ask.specifier
        never = {one.version for one in incompatibilities.get(identifier, ())}
        some = self._known.candidates(name, whole)
        return [_Candidate(name, extras, version, file) for version, file in some if version not in never]

    def is_satisfied_by(self, requirement: Ask, candidate: _Candidate) -> bool:
        return requirement.specifier.contains(candidate.version, prereleases=True)

    def get_dependencies(self, candidate: _Candidate) -> Iterator[Ask]:
        if candidate.extras:
            yield Ask(candidate.name, frozenset(), SpecifierSet(f"=={candidate.version}"), candidate.name)
        yield from _with_and_without(self._known.required(candidate.name, candidate.file, candidate.extras))

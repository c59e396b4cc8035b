"""What can be installed of each requirement on a free-threaded interpreter: a row for each, from the names of files alone.

That there is a ``cp314t`` wheel says that somebody has built it, and not what its modules declare; so such a row is *not
checked*, and says how it can be.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidSdistFilename, parse_sdist_filename
from packaging.version import InvalidVersion, Version

from ftcheck.audit.abi import Target, Wheel, wheel
from ftcheck.audit.index import File
from ftcheck.audit.lists import Wanted
from ftcheck.audit.model import Distribution, Readiness, Remark

_OLD_SDISTS = (".tar.gz", ".zip", ".tar.bz2", ".tgz")


@dataclass(frozen=True, slots=True)
class _Release:
    """All files of one version."""

    wheels: tuple[Wheel, ...]
    sdist: bool


def row(wanted: Wanted, files: Iterable[File] | None, target: Target, *, why_unknown: str = "") -> Distribution:
    """The row of one requirement.

    :param files: of its project, from an index or a lock file; None: nothing is known, and **why_unknown** says why.
    """
    base = Distribution(
        wanted.name or wanted.text,
        "",
        Readiness.NOT_CHECKED,
        asked_for=wanted.text,
        folder=wanted.place,
        needed_by=wanted.needed_by,
    )
    if wanted.problem or files is None:
        what = wanted.problem or why_unknown
        return _with(base, Readiness.NOT_CHECKED, what, "", (wanted.place,))
    releases = _releases(entries(wanted.name, files, target), wanted.specifier)
    if not releases:
        known = (
            "no file of it is known to the index" if not list(files) else f"no version for {target.words} fits {wanted.text}"
        )
        return _with(base, Readiness.NOT_INSTALLABLE, known, "", (wanted.place,))
    newest = max(_installable(releases, target) or releases)
    release = releases[newest]
    usable = _usable(release, target)
    if usable:
        best = usable[0]
        if all(one.pure for one in usable):
            return _with(base, Readiness.PURE, "", str(newest), (best.file,), (best,))
        if target.abi not in best.abis and "abi3t" not in best.abis:
            what = "a wheel without an ABI: its native parts, if any, are no extension modules"
            return _with(base, Readiness.NOT_CHECKED, what, str(newest), (best.file,), (best,))
        what = f"there is a {target.abi} wheel: install it, or audit the wheel"
        return _with(base, Readiness.NOT_CHECKED, what, str(newest), (best.file,), (best,))
    elsewhere = [one for one in release.wheels if one.fits(target)]
    what = (
        f"no {target.abi} wheel{' for this platform' if elsewhere else ''}; sdist {'present' if release.sdist else 'absent'}"
    )
    abis = sorted({abi for one in release.wheels for abi in one.abis})
    evidence = [f"{newest}: wheels for {', '.join(abis)}" if abis else f"{newest}: no wheels"]
    tags = target.tags()
    older = [version for version, one in releases.items() if any(some.tags & tags for some in one.wheels)]
    if older:
        evidence.append(f"the newest with a usable wheel is {max(older)}")
    return _with(base, Readiness.NOT_INSTALLABLE, what, str(newest), tuple(evidence))


def _with(
    base: Distribution,
    readiness: Readiness,
    what: str,
    version: str,
    evidence: tuple[str, ...],
    wheels: Iterable[Wheel] = (),
    remarks: tuple[Remark, ...] = (),
) -> Distribution:
    tags = tuple(sorted(str(tag) for one in wheels for tag in one.tags))
    return replace(base, version=version, readiness=readiness, what=what, evidence=evidence, tags=tags, remarks=remarks)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a project, by what its name says. **wheel** is None: it is an sdist."""

    file: File
    version: Version
    wheel: Wheel | None


def entries(name: str, files: Iterable[File], target: Target) -> list[Entry]:
    """The files that an installer would consider for this version of Python."""
    found = []
    for file in files:
        if not _for_python(file.python, target):
            continue
        if (one := wheel(file.name)) is not None:
            found.append(Entry(file, one.version, one))
        elif (version := _sdist(file.name, name)) is not None:
            found.append(Entry(file, version, None))
    return found


def candidates(some: Iterable[Entry], specifier: SpecifierSet, target: Target) -> list[tuple[Version, File | None]]:
    """The versions that an installer would try, in this order; with each a wheel that says what it requires, if it has one.

    One for another platform or interpreter mostly says the same.
    """
    known = list(some)
    releases = _releases(known, specifier)
    files = {entry.file.name: entry.file for entry in known}
    found = []
    for version in sorted(_installable(releases, target) or releases, reverse=True):
        wheels = [*_usable(releases[version], target), *sorted(releases[version].wheels, key=lambda one: one.file)]
        found.append((version, files[wheels[0].file] if wheels else None))
    return found


def _releases(some: Iterable[Entry], specifier: SpecifierSet) -> dict[Version, _Release]:
    """Versions that an installer would consider: no pre-releases where there is anything else, nothing that was taken
    back."""
    wheels: dict[Version, list[Wheel]] = {}
    sdists: set[Version] = set()
    exact = _exact(specifier)
    for one in some:
        if one.file.yanked and not exact:
            continue
        if one.wheel is not None:
            wheels.setdefault(one.version, []).append(one.wheel)
        else:
            sdists.add(one.version)
    fitting = list(specifier.filter(sorted({*wheels, *sdists})))
    return {version: _Release(tuple(wheels.get(version, ())), version in sdists) for version in fitting}


def _installable(releases: dict[Version, _Release], target: Target) -> list[Version]:
    """Installers pass over what has nothing for them."""
    tags = target.tags()
    return [version for version, one in releases.items() if one.sdist or any(some.tags & tags for some in one.wheels)]


def _usable(release: _Release, target: Target) -> list[Wheel]:
    """The wheels that can be used, the best first."""
    tags = target.tags()
    usable = [one for one in release.wheels if one.tags & tags]
    return sorted(usable, key=lambda one: (one.pure, target.abi not in one.abis))


def _exact(specifier: SpecifierSet) -> bool:
    return any(one.operator in ("==", "===") and not one.version.endswith(".*") for one in specifier)


def _sdist(file: str, project: str) -> Version | None:
    try:
        return parse_sdist_filename(file)[1]
    except InvalidSdistFilename, InvalidVersion:
        pass
    for ending in _OLD_SDISTS:
        if file.endswith(ending):
            try:
                return Version(file.removesuffix(ending)[len(project) + 1 :])
            except InvalidVersion:
                return None
    return None


@functools.cache
def _for_python(python: str, target: Target) -> bool:
    try:
        return not python or SpecifierSet(python).contains(f"{target.version[0]}.{target.version[1]}.0")
    except InvalidSpecifier:
        return True


def rows(
    wanted: Iterable[Wanted], look_up: Callable[[str], list[File] | None], target: Target, why_unknown: str
) -> list[Distribution]:
    """Rows for all, with an index asked for those of which the list does not name the files."""
    found = []
    for one in wanted:
        if one.problem:
            files: list[File] | None = None
        elif one.files is not None:
            files = [File(name) for name in one.files]
        else:
            files = look_up(one.name)
        found.append(row(one, files, target, why_unknown=why_unknown))
    return found

"""What can be installed of each requirement on a free-threaded interpreter: a row for each, from the names of files alone.

That there is a ``cp314t`` wheel says that somebody has built it, and not what its modules declare; so such a row is *not
checked*, and says how it can be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

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
    base = Distribution(wanted.name or wanted.text, "", Readiness.NOT_CHECKED, asked_for=wanted.text, folder=wanted.place)
    if wanted.problem or files is None:
        what = wanted.problem or why_unknown
        return _with(base, Readiness.NOT_CHECKED, what, "", (wanted.place,))
    releases = _releases(wanted, files, target)
    if not releases:
        known = (
            "no file of it is known to the index" if not list(files) else f"no version for {target.words} fits {wanted.text}"
        )
        return _with(base, Readiness.NOT_INSTALLABLE, known, "", (wanted.place,))
    tags = target.tags()
    installable = [version for version, one in releases.items() if one.sdist or any(some.tags & tags for some in one.wheels)]
    newest = max(installable or releases)  # installers pass over what has nothing for them
    release = releases[newest]
    usable = [one for one in release.wheels if one.tags & tags]
    if usable:
        best = min(usable, key=lambda one: (one.pure, target.abi not in one.abis))
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
    return Distribution(
        base.name, version, readiness, what, evidence, base.folder, tags, remarks=remarks, asked_for=base.asked_for
    )


def _releases(wanted: Wanted, files: Iterable[File], target: Target) -> dict[Version, _Release]:
    """Versions that an installer would consider: no pre-releases where there is anything else, nothing that was taken
    back."""
    wheels: dict[Version, list[Wheel]] = {}
    sdists: set[Version] = set()
    for file in files:
        if not _for_python(file.python, target) or (file.yanked and not _exact(wanted.specifier)):
            continue
        if (one := wheel(file.name)) is not None:
            wheels.setdefault(one.version, []).append(one)
        elif (version := _sdist(file.name, wanted.name)) is not None:
            sdists.add(version)
    fitting = list(wanted.specifier.filter(sorted({*wheels, *sdists})))
    return {version: _Release(tuple(wheels.get(version, ())), version in sdists) for version in fitting}


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

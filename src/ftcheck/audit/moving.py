"""Distributions that are built for another interpreter: what the index has of them for this one.

Who audits the environment of a Python with the GIL is about to move, and knows that its modules cannot be loaded. The
question is whether there is something else to install. So the index is asked, as it is for a list of requirements: for the
version that is there, and where that has no wheel, for the newest one since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from ftcheck.audit import available
from ftcheck.audit.abi import Target
from ftcheck.audit.index import File
from ftcheck.audit.lists import Wanted
from ftcheck.audit.model import Distribution, Module, Readiness


def is_elsewhere(rows: Iterable[Distribution], target: Target) -> bool:
    """Whether a folder is that of another interpreter: no module in it has the ABI of this one."""
    return not any(f".cpython-{target.abi.removeprefix('cp')}-" in one.file for row in rows for one in row.modules)


def concerned(row: Distribution) -> bool:
    """Whether all that is wrong with a distribution is that it is built for another interpreter."""
    failed = [one for one in row.modules if one.readiness is Readiness.FAILED]
    by_abi = all(any(remark.rule == "FT005" for remark in one.remarks) for one in failed)
    return row.readiness is Readiness.FAILED and bool(row.name and failed) and by_abi


def with_wheels(
    rows: Iterable[Distribution], look_up: Callable[[str], list[File] | None], target: Target
) -> tuple[Distribution, ...]:
    """The rows, and in those that are concerned what there is to install.

    :param look_up: the files of a project; None: nobody knows.
    """
    return tuple(_with_wheel(row, look_up(row.name), target) if concerned(row) else row for row in rows)


def _with_wheel(row: Distribution, files: list[File] | None, target: Target) -> Distribution:
    if files is None:
        return row
    built = sorted({one.what for one in row.modules if one.readiness is Readiness.FAILED})[0].partition(",")[0]
    row = replace(row, modules=tuple(_not_checked(one) for one in row.modules))
    found = [available.row(_wanted(row, sign), files, target) for sign in ("==", ">=")]
    best = next((one for one in found if one.readiness is not Readiness.NOT_INSTALLABLE), found[-1])
    if best.readiness is Readiness.PURE:
        what, evidence = f"{built}; {best.version} is pure Python: install it", best.evidence
    elif best.readiness is Readiness.NOT_CHECKED:
        newer = "" if best.version == row.version else f" of {best.version}"
        what, evidence = f"{built}; {best.what.replace(' wheel', f' wheel{newer}', 1)}", best.evidence
    else:
        return replace(row, readiness=Readiness.NOT_INSTALLABLE, what=best.what, evidence=(built, *best.evidence))
    return replace(row, readiness=Readiness.NOT_CHECKED, what=what, evidence=evidence)


def _not_checked(one: Module) -> Module:
    """A module that cannot be loaded here, which is no flaw of it."""
    return replace(one, readiness=Readiness.NOT_CHECKED) if one.readiness is Readiness.FAILED else one


def _wanted(row: Distribution, sign: str) -> Wanted:
    text = f"{row.name}{sign}{row.version}"
    try:
        specifier = SpecifierSet(f"{sign}{row.version}")
    except InvalidSpecifier:  # it is no version that an index can know
        specifier = SpecifierSet()
    return Wanted(text, row.folder, canonicalize_name(row.name), specifier)

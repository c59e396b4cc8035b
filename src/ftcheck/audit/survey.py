"""Which distributions and extension modules are in some folders: those of ``sys.path``, or one into which a wheel was
unpacked.

Metadata is read by :mod:`importlib.metadata`. A file belongs to the distribution in whose ``RECORD`` it stands; or, of an
editable installation, to the one whose project it lies in; or to none, and that is said. Folders are walked without
following links to folders, so a loop of links ends nothing; a folder that cannot be read is a trouble, not the end.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.markers import InvalidMarker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ftcheck.audit.model import Distribution, Readiness, Remark

_KINDS = (".so", ".pyd", ".dylib")
_MOST_FILES = 1_000_000
_FREE_THREADING = "Programming Language :: Python :: Free Threading :: "
_ABI = re.compile(r"\.(?P<abi>cpython-(?P<number>\d+)(?P<flags>[a-z]*)|abi3t?|cp(?P<windows>\d+)(?P<flag>t?))(?:[-.]|$)")
_FOLDERS_OF_LIBRARIES = re.compile(r"\.(libs|dylibs)$")


@dataclass(frozen=True, slots=True)
class Found:
    """A shared object.

    :param path: of the file, and **relative**: in the folder of ``sys.path`` that is its **root**.
    :param module: its name, as far as its place tells one; empty: it cannot be imported from there.
    """

    path: str
    relative: str
    root: str
    module: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is.

    :param files: the shared objects of each of the rows, by its place; those that no row has are in the last row.
    """

    rows: tuple[Distribution, ...]
    files: tuple[tuple[Found, ...], ...]
    troubles: tuple[str, ...]
    limits: tuple[str, ...] = ()


def abi_of(file: str) -> str:
    """What the name of a file says it is for: ``"cp314t"``, ``"cp312"``, ``"abi3"``; empty: nothing."""
    found = _ABI.search(os.path.basename(file))
    if found is None:
        return ""
    if found["number"]:
        return f"cp{found['number']}{found['flags'].replace('m', '')}"
    return f"cp{found['windows']}{found['flag']}" if found["windows"] else found["abi"]


def roots_of(path: Sequence[str], standard: Sequence[str]) -> tuple[str, ...]:
    """The folders of a ``sys.path`` that are not the standard library's."""
    found = []
    for entry in path:
        inside = any(entry == one or entry.startswith(one + os.sep) for one in standard)
        packages = any(part in ("site-packages", "dist-packages") for part in Path(entry).parts)
        if os.path.isdir(entry) and (packages or not inside):
            found.append(os.path.realpath(entry))
    return tuple(dict.fromkeys(found))


def look(roots: Sequence[str], *, project: bool = False) -> Survey:
    """Look through some folders.

    :param project: they are a source tree: hidden folders, environments and what was made there are no part of it.
    """
    troubles: list[str] = []
    limits: list[str] = []
    rows: list[Distribution] = []
    owner: dict[str, int] = {}
    editable: dict[str, int] = {}
    needs: list[tuple[str, ...]] = []
    for root in roots:
        for one in metadata.distributions(path=[root]):
            row, required = _row(one, root)
            for file in _recorded(one, root):
                owner.setdefault(file, len(rows))
            if (source := _editable(one)) is not None:
                editable[source] = len(rows)
            rows.append(row)
            needs.append(required)
    files: list[list[Found]] = [[] for _ in rows]
    stray: list[Found] = []
    seen: set[str] = set()
    for found in _shared_objects(roots, troubles, limits, project):
        real = os.path.realpath(found.path)
        if real in seen:
            continue
        seen.add(real)
        place = owner.get(real)
        if place is None:
            place = next((n for source, n in editable.items() if real.startswith(source + os.sep)), None)
        (stray if place is None else files[place]).append(found)
    rows = [_with_neighbours(row, place, rows, needs) for place, row in enumerate(rows)]
    for top in sorted({found.relative.partition(os.sep)[0] for found in stray}):
        some = [found for found in stray if found.relative.partition(os.sep)[0] == top]
        remark = Remark("metadata", "no dist-info: its files are in no RECORD, so nobody knows where they come from")
        rows.append(Distribution("", "", Readiness.NOT_CHECKED, folder=some[0].root, remarks=(remark,), asked_for=top))
        files.append(some)
    return Survey(tuple(rows), tuple(map(tuple, files)), tuple(troubles), tuple(limits))


def _row(one: metadata.Distribution, root: str) -> tuple[Distribution, tuple[str, ...]]:
    """A row without verdict, and what it requires."""
    remarks = []
    name, version, classifier = "", "", ""
    required: tuple[str, ...] = ()
    folder = str(getattr(one, "_path", root))
    try:
        head = one.metadata
        name, version = str(head.get("Name") or ""), str(head.get("Version") or "")
        claims = [str(claim) for claim in head.get_all("Classifier") or [] if str(claim).startswith(_FREE_THREADING)]
        classifier = claims[-1].removeprefix(_FREE_THREADING) if claims else ""
        required = tuple(_names(head.get_all("Requires-Dist") or []))
    except Exception as error:  # whatever stands there, it costs its row
        remarks.append(Remark("metadata", f"its metadata cannot be read: {type(error).__name__}: {error}", attention=True))
    if not name:
        stem = os.path.basename(folder).removesuffix(".dist-info").removesuffix(".egg-info")
        name, _, version = stem.partition("-")
        if not remarks:
            remarks.append(Remark("metadata", f"no METADATA in {os.path.basename(folder)}: its name is that of the folder",
                                  attention=True))  # fmt: skip
    if _text(one, "RECORD") is None and _text(one, "installed-files.txt") is None:
        remarks.append(Remark("metadata", "no RECORD: which files are its own is not known"))
    tags = tuple(
        line.partition(":")[2].strip() for line in (_text(one, "WHEEL") or "").splitlines() if line.startswith("Tag:")
    )
    row = Distribution(
        name, version, Readiness.NOT_CHECKED, folder=root, tags=tags, classifier=classifier, remarks=tuple(remarks)
    )
    return row, required


def _names(requirements: Sequence[object]) -> Iterator[str]:
    for text in requirements:
        try:
            one = Requirement(str(text))
            if one.marker is None or one.marker.evaluate({"extra": ""}):
                yield canonicalize_name(one.name)
        except InvalidRequirement, InvalidMarker, UndefinedComparison, UndefinedEnvironmentName:
            continue


def _text(one: metadata.Distribution, name: str) -> str | None:
    try:
        return one.read_text(name)
    except OSError, UnicodeError, ValueError:
        return None


def _recorded(one: metadata.Distribution, root: str) -> Iterator[str]:
    """Real paths of its shared objects."""
    lines = [line for line in (_text(one, "RECORD") or "").splitlines() if any(kind in line for kind in _KINDS)]
    for entry in csv.reader(lines):
        if entry and entry[0].endswith(_KINDS):
            yield os.path.realpath(os.path.join(root, entry[0]))


def _editable(one: metadata.Distribution) -> str | None:
    try:
        said = json.loads(_text(one, "direct_url.json") or "null")
        if said["dir_info"]["editable"]:
            return os.path.realpath(unquote(urlsplit(said["url"]).path))
    except ValueError, TypeError, KeyError:
        pass
    return None


def _with_neighbours(
    row: Distribution, place: int, rows: Sequence[Distribution], needs: Sequence[Sequence[str]]
) -> Distribution:
    name = canonicalize_name(row.name)
    needed_by = tuple(sorted({rows[n].name for n, some in enumerate(needs) if name in some and n != place}))
    twins = [one for n, one in enumerate(rows) if n != place and canonicalize_name(one.name) == name]
    remarks = row.remarks
    if twins:
        versions = ", ".join(one.version or "?" for one in (row, *twins))
        remarks += (Remark("metadata", f"installed {len(twins) + 1} times here ({versions}): remove all, and install one",
                           attention=True),)  # fmt: skip
    return replace(row, needed_by=needed_by, remarks=remarks)


def _shared_objects(roots: Sequence[str], troubles: list[str], limits: list[str], project: bool) -> Iterator[Found]:
    left = _MOST_FILES

    def unreadable(error: OSError) -> None:
        troubles.append(f"the folder {error.filename} cannot be read: {error.strerror}")

    for root in roots:
        for folder, inner, files in os.walk(root, onerror=unreadable):
            inner[:] = sorted(one for one in inner if one != "__pycache__" and os.path.join(folder, one) not in roots)
            if project:
                inner[:] = [one for one in inner if not is_no_source(folder, one)]
            left -= len(files)
            if left < 0:
                limits.append(f"{root} has more than {_MOST_FILES:,} files: the rest was not looked at")
                return
            for file in sorted(files):
                if file.endswith(_KINDS):
                    path = os.path.join(folder, file)
                    relative = os.path.relpath(path, root)
                    yield Found(path, relative, root, _module_name(relative))


def is_no_source(folder: str, name: str) -> bool:
    """Whether a folder in a source tree is something else: hidden, made by a build, or an environment."""
    made = name in ("build", "dist", "node_modules") or name.startswith(".")
    return made or os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))


def _module_name(relative: str) -> str:
    *packages, file = Path(relative).parts
    if any(_FOLDERS_OF_LIBRARIES.search(part) for part in packages):
        return ""
    stem = file.partition(".")[0]
    parts = packages if stem == "__init__" else [*packages, stem]
    return ".".join(parts) if parts and all(part.isidentifier() for part in parts) else ""


def machine_differs(binary: str, machine: str) -> bool:
    """Whether a file for one machine cannot be loaded on another."""
    return bool(binary and machine and _SAME.get(binary, binary) != _SAME.get(machine, machine))


_SAME: Mapping[str, str] = {"amd64": "x86_64", "arm64": "aarch64"}

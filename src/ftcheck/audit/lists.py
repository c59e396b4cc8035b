"""Lists of requirements: ``requirements.txt``, and the lock files of pip (PEP 751), uv and Poetry.

Lock files name the files that were there when they were written. So what a lock file allows is known without asking anybody;
of a requirements file it takes an index (:mod:`ftcheck.audit.index`).
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from ftcheck.audit.options import AuditError

_DEPTH = 16
_OPTION = re.compile(r"--?(?P<name>[A-Za-z][\w-]*)(?:[=\s]+(?P<value>.*))?\Z")
_SHORT = {"r": "requirement", "c": "constraint", "e": "editable", "i": "index-url", "f": "find-links"}
_OF_AN_INDEX = {"index-url", "extra-index-url", "find-links", "no-index", "trusted-host"}
_PER_REQUIREMENT = re.compile(r"\s+--(?:hash|config-settings|global-option)(?:[=\s])\S+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One requirement.

    :param text: as it stands there, and **place**: where.
    :param files: names of its files, of a lock file; None: an index has to be asked.
    :param problem: why it cannot be looked up: it is an address, or cannot be read.
    :param extras: of it, that are asked for.
    :param needed_by: projects that require it; empty: the list names it.
    """

    text: str
    place: str
    name: str = ""
    specifier: SpecifierSet = field(default_factory=SpecifierSet)
    files: tuple[str, ...] | None = None
    problem: str = ""
    extras: frozenset[str] = frozenset()
    needed_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class List:
    """All of a file.

    :param left_out: requirements whose markers say that they are not for this environment.
    :param options: for indexes, in their order.
    :param constraints: versions that may be taken of a project, whoever requires it (``--constraint``).
    """

    kind: str
    wanted: tuple[Wanted, ...]
    left_out: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    constraints: dict[str, SpecifierSet] = field(default_factory=dict)


def kind_of(path: Path) -> str:
    """What kind of list a file is, by its name; empty: none that is known."""
    name = path.name.lower()
    if name in ("uv.lock", "poetry.lock"):
        return name
    if name == "pylock.toml" or (name.startswith("pylock.") and name.endswith(".toml")):
        return "pylock.toml"
    return "requirements" if name.endswith((".txt", ".in", ".reqs")) else ""


def read(path: Path, environment: dict[str, str]) -> List:
    """Read a list.

    :param environment: for markers, where it differs from this interpreter's own.
    :raises AuditError: it cannot be read, or is no such list.
    """
    kind = kind_of(path)
    if not kind:
        raise AuditError(f"{path}: what kind of list this is cannot be told by its name", 2)
    if kind == "requirements":
        reader = _Requirements(environment)
        reader.read(path, 0)
        known = reader.constraints
        limited = (replace(one, specifier=one.specifier & known.get(one.name, SpecifierSet())) for one in reader.wanted)
        return List(kind, tuple(limited), tuple(reader.left_out), tuple(reader.options), known)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise AuditError(f"{path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise AuditError(f"{path} is no TOML: {error}") from None
    packages = data.get("packages" if kind == "pylock.toml" else "package")
    if not isinstance(packages, list):
        raise AuditError(f"{path} is no {kind}: it lists no packages")
    found, left_out = [], []
    for one in packages:
        wanted = _locked(kind, one, path)
        marker = one.get("marker") if isinstance(one, dict) else None
        if isinstance(marker, str) and not applies(marker, environment):
            left_out.append(wanted.text)
        elif not (kind == "uv.lock" and _is_the_project(one)):
            found.append(wanted)
    return List(kind, tuple(found), tuple(left_out))


def _is_the_project(one: Any) -> bool:
    source = one.get("source", {}) if isinstance(one, dict) else {}
    return isinstance(source, dict) and bool({"virtual", "editable"} & source.keys())


def _locked(kind: str, one: Any, path: Path) -> Wanted:
    """A package of a lock file."""
    place = path.name
    if not isinstance(one, dict) or not isinstance(one.get("name"), str):
        return Wanted(str(one)[:60], place, problem="an entry without a name")
    version = one.get("version")
    text = f"{one['name']}=={version}" if version else str(one["name"])
    files: list[str] = []
    entries = [*_tables(one.get("wheels")), *_tables(one.get("sdist")), *_tables(one.get("archive"))]
    if kind == "poetry.lock":
        entries = _tables(one.get("files"))
    for entry in entries:
        address = entry.get("name") or entry.get("file") or entry.get("filename") or entry.get("url") or entry.get("path")
        if isinstance(address, str):
            files.append(unquote(urlsplit(address).path).rpartition("/")[2])
    name = canonicalize_name(one["name"])
    if not files:
        return Wanted(
            text, place, name, problem="the lock file names no files of it: it comes from a folder or a repository"
        )
    return Wanted(text, place, name, _exactly(version), tuple(files))


def _tables(value: Any) -> list[dict[str, Any]]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _exactly(version: Any) -> SpecifierSet:
    try:
        return SpecifierSet(f"=={version}" if version else "")
    except InvalidSpecifier:
        return SpecifierSet()


def applies(marker: str, environment: dict[str, str], extra: str = "") -> bool:
    """Whether a marker holds here. One that is not understood does: rather one row too many."""
    try:
        return Marker(marker).evaluate({**environment, "extra": extra})
    except InvalidMarker, UndefinedComparison, UndefinedEnvironmentName:
        return True


class _Requirements:
    """Requirements files, and those that they include (pip's documentation, "Requirements File Format")."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._seen: set[Path] = set()
        self.wanted: list[Wanted] = []
        self.left_out: list[str] = []
        self.options: list[tuple[str, str]] = []
        self.constraints: dict[str, SpecifierSet] = {}

    def read(self, path: Path, depth: int) -> None:
        """Take all lines of a file."""
        real = path.resolve()
        if real in self._seen or depth > _DEPTH:
            return
        self._seen.add(real)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise AuditError(f"the list {path} cannot be read: {error.strerror or error}") from None
        except UnicodeError:
            raise AuditError(f"{path} is no text in UTF-8, so it is no list of requirements", 2) from None
        if "\0" in text:
            raise AuditError(f"{path} holds binary data, so it is no list of requirements", 2)
        for number, line in _lines(text):
            place = f"{path.name}:{number}"
            if line.startswith("-"):
                self._option(line, path, place, depth)
            else:
                self._requirement(line, place)

    def _option(self, line: str, path: Path, place: str, depth: int) -> None:
        found = _OPTION.match(line)
        if found is None:
            self.wanted.append(Wanted(line, place, problem="it cannot be read"))
            return
        name, value = _SHORT.get(found["name"], found["name"]), (found["value"] or "").strip()
        if name == "requirement" or (len(found["name"]) > 1 and line.startswith("-r") and not line.startswith("--")):
            self.read(path.parent / (value or line[2:].strip()), depth + 1)
        elif name == "constraint":
            self._constrain(path.parent / value, depth + 1)
        elif name == "editable":
            self.wanted.append(Wanted(line, place, problem="an editable project: audit its folder by itself"))
        elif name in _OF_AN_INDEX:
            words = shlex.split(value)
            self.options.append((name, words[0] if words else ""))

    def _constrain(self, path: Path, depth: int) -> None:
        """Take the lines of a file of constraints, which require nothing, but limit the versions of what is required."""
        inner = _Requirements(self._environment)
        inner.read(path, depth)
        for one in inner.wanted:
            if not one.problem:
                self.constraints[one.name] = self.constraints.get(one.name, SpecifierSet()) & one.specifier

    def _requirement(self, line: str, place: str) -> None:
        text = _PER_REQUIREMENT.sub("", line).strip()
        try:
            one = Requirement(text)
        except InvalidRequirement as error:
            looks_like_a_file = "://" in text or "/" in text or text.endswith((".whl", ".tar.gz", ".zip"))
            why = (
                "a file or an address: audit it by itself"
                if looks_like_a_file
                else f"no requirement: {str(error).splitlines()[0]}"
            )
            self.wanted.append(Wanted(text, place, problem=why))
            return
        if one.marker is not None and not applies(str(one.marker), self._environment):
            self.left_out.append(text)
        elif one.url:
            self.wanted.append(
                Wanted(text, place, canonicalize_name(one.name), problem="an address: audit the file by itself")
            )
        else:
            name, extras = canonicalize_name(one.name), frozenset(one.extras)
            self.wanted.append(Wanted(text, place, name, one.specifier, extras=extras))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines: continued by a backslash, without comments."""
    whole, begun = "", 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        begun = begun or number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            whole += line[:-1] + " "
            continue
        logical = re.sub(r"(^|\s+)#.*$", "", whole + line).strip()
        if logical:
            yield begun, logical
        whole, begun = "", 0

"""A record of an environment: what decides whether a wheel that works here works there, as one JSON file.

The interpreter is asked in a child process (:mod:`ftcheck.audit.record_probe`), so it can be any CPython from 3.8 on, with
or without the GIL, and need not have ftcheck. The shared objects are read from the files (:mod:`ftcheck.native.linking`):
nothing of an extension module is run, unless :func:`record` is told to probe.

A record has no time and no folder outside of the system's libraries in it, so two records of equal environments are equal.
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ftcheck.audit import record_imports
from ftcheck.elf import UnreadableError
from ftcheck.native import linking

SCHEMA, VERSION = "ftcheck-record", 1
STDLIB = "(standard library)"
NOBODY = "(no distribution)"
_OF_THE_SYSTEM = ("/", "/usr", "/usr/local")
_TAGGED = re.compile(r"\.(cpython-[^.]+|abi3t?|pypy[^.]+)(?:\.[^.]*)?\.so$")


class RecordError(Exception):
    """What is asked for cannot be done; says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The build."""

    implementation: str
    version: str
    free_threaded: bool
    debug: bool
    abiflags: str
    soabi: str
    platform: str
    compiler: str


@dataclass(frozen=True, slots=True)
class System:
    """The machine, as far as shared objects depend on it.

    :param libraries: the system's libc and libstdc++: by name, where they are and the newest symbol versions they have.
    """

    name: str
    machine: str
    libc: str
    libraries: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Distribution:
    """Something that is installed.

    :param tags: of its wheel; empty: it was not installed from one, or does not say.
    """

    name: str
    version: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Needed:
    """A library that a shared object is linked with.

    :param file: what it resolves to: an absolute path of the system, or a relative one within the environment. Empty:
        not found.
    """

    library: str
    file: str


@dataclass(frozen=True, slots=True)
class Module:
    """An extension module, or a library that comes with one.

    :param name: by which it is imported; of a library, its file.
    :param abi: ``cpython-314t-x86_64-linux-gnu``, ``abi3``; ``none``: its name has no such tag.
    :param needs: the newest symbol version that it needs, by family.
    :param gil: ``not probed``, ``keeps it off``, ``turns it on``, ``always on`` (a build with the GIL), or why it cannot be
        known: ``cannot be imported: ...``.
    :param problem: why the file could not be read.
    """

    name: str
    distribution: str
    abi: str
    library: bool = False
    needed: tuple[Needed, ...] = ()
    needs: Mapping[str, str] | None = None
    gil: str = "not probed"
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """All of it."""

    interpreter: Interpreter
    system: System
    distributions: tuple[Distribution, ...]
    modules: tuple[Module, ...]
    probed: bool

    @property
    def summary(self) -> str:
        """One line: what was looked at."""
        libraries = sum(one.library for one in self.modules)
        unread = sum(bool(one.problem) for one in self.modules)
        text = (
            f"{len(self.distributions)} distributions, {len(self.modules) - libraries} extension modules, "
            f"{libraries} libraries that come with them"
        )
        if unread:
            text += f", {unread} files that cannot be read"
        if not self.interpreter.free_threaded:
            return f"{text}; a build with the GIL"
        probed = "each was imported" if self.probed else "not known: what an import does to the GIL (--probe imports each)"
        return f"{text}; {probed}"


def record(python: Path | None = None, *, probe: bool = False, say: Callable[[str], object] = lambda text: None) -> Record:
    """Look at an environment.

    :param python: its interpreter, or the folder of a virtual environment; None: the one that runs this.
    :param probe: import each extension module, in child processes, to see whether it turns the GIL on.
    :param say: is told of progress.
    :raises RecordError: the interpreter does not answer.
    """
    command = _interpreter(python)
    facts = record_imports.ask(command)
    if isinstance(facts, str):
        raise RecordError(f"{command} cannot be recorded: {facts}")
    folders = sorted(_environment(facts), key=len, reverse=True)
    owners = {file: one["name"] for one in facts["distributions"] for file in one["files"]}
    files = sorted({*owners, *_shared_objects(folders)})
    modules: list[Module] = []
    for number, file in enumerate(files, 1):
        say(f"reading {number} of {len(files)}: {os.path.basename(file)}")
        if os.path.exists(file):
            modules.append(_module(file, folders, facts, owners.get(file, "")))
    if probe and facts["free_threaded"]:
        modules = _probed(command, modules, say)
    elif not facts["free_threaded"]:
        modules = [one if one.library else replace(one, gil="always on") for one in modules]
    build = ("implementation", "version", "free_threaded", "debug", "abiflags", "soabi", "platform", "compiler")
    return Record(
        Interpreter(**{name: facts[name] for name in build}),
        _system(),
        tuple(
            sorted((_distribution(one) for one in facts["distributions"]), key=lambda one: (one.name.lower(), one.version))
        ),
        tuple(sorted(modules, key=lambda one: (one.library, one.name, one.distribution))),
        probe and bool(facts["free_threaded"]),
    )


def _interpreter(python: Path | None) -> str:
    if python is None:
        return sys.executable
    path = python / "bin" / "python" if python.is_dir() else python
    if not path.exists():
        raise RecordError(f"there is no interpreter {path}; name the file of one, or the folder of a virtual environment")
    return os.path.abspath(path)


def _distribution(data: Mapping[str, Any]) -> Distribution:
    return Distribution(data["name"], data["version"], tuple(data["tags"]))


def _environment(facts: Mapping[str, Any]) -> list[str]:
    """Folders that belong to the interpreter, in which modules are looked for."""
    inside = ("site-packages", "dist-packages")
    folders = [one for one in facts["folders"] if os.path.basename(one) in inside]
    return [*folders, *(one for one in facts["folders"] if os.path.basename(one) == "lib-dynload")]


def _shared_objects(folders: Sequence[str]) -> Iterator[str]:
    for folder in folders:
        for root, inner, names in os.walk(folder):  # links to folders are not followed: there may be circles
            inner[:] = [one for one in inner if one != "__pycache__"]
            yield from (os.path.join(root, name) for name in names if name.endswith(".so") or ".so." in name)


def _module(file: str, folders: Sequence[str], facts: Mapping[str, Any], owner: str) -> Module:
    stdlib, base = facts["stdlib"], facts["base"]
    place = next((os.path.relpath(file, folder) for folder in folders if file.startswith(folder + os.sep)), file)
    tag = _TAGGED.search(file)
    distribution = owner or (STDLIB if file.startswith(stdlib + os.sep) and "-packages" not in file else NOBODY)
    try:
        what = linking.read(file)
    except UnreadableError as error:
        name = _TAGGED.sub("", place).removesuffix(".so").replace(os.sep, ".") if tag else place
        return Module(name, distribution, tag[1] if tag else "none", library=not tag, problem=f"cannot be read: {error}")
    library = tag is None and not (file.endswith(".so") and what.init)
    name = place if library else _TAGGED.sub("", place).removesuffix(".so").replace(os.sep, ".")
    needed = tuple(Needed(one, _shown(linking.resolve(one, what), folders, base)) for one in what.needed)
    return Module(name, distribution, tag[1] if tag else "none", library, needed, what.needs)


def _shown(file: str, folders: Sequence[str], base: str) -> str:
    """A path that is the same wherever the environment and its interpreter are."""
    real = os.path.realpath(file) if file else ""
    for folder in folders:
        if real.startswith(folder + os.sep):
            return os.path.relpath(real, folder)
    if base not in _OF_THE_SYSTEM and real.startswith(base + os.sep):
        return os.path.join("(interpreter)", os.path.relpath(real, base))
    return real


def _system() -> System:
    name = "unknown"
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", name)
    except OSError:
        name = platform.system()
    libraries: dict[str, Mapping[str, str]] = {}
    here = linking.Linking(_machine(), (), (), (), {}, {}, False)
    for library in ("libc.so.6", "libstdc++.so.6"):
        file = linking.resolve(library, here)
        if file:
            try:
                libraries[library] = {"file": os.path.realpath(file), **linking.read(file).provides}
            except UnreadableError as error:
                libraries[library] = {"file": os.path.realpath(file), "problem": str(error)}
    return System(name, platform.machine(), " ".join(filter(None, platform.libc_ver())) or "unknown", libraries)


def _machine() -> str:
    """That of the interpreter which runs this."""
    try:
        return linking.read(os.path.realpath(sys.executable)).machine
    except UnreadableError:
        return ""


def _probed(command: str, modules: Sequence[Module], say: Callable[[str], object]) -> list[Module]:
    """With what an import of each does; those of a distribution in one child process."""
    groups: dict[str, list[str]] = {}
    for one in modules:
        if not one.library and not one.problem:
            groups.setdefault(one.distribution, []).append(one.name)
    gil: dict[str, str] = {}
    for number, (distribution, names) in enumerate(groups.items(), 1):
        say(f"importing {number} of {len(groups)}: {distribution}")
        gil |= record_imports.gil_of(command, names)
    return [replace(one, gil=gil.get(one.name, one.gil)) if not one.library else one for one in modules]


# --- the file -------------------------------------------------------------------------------------------------------


def write(data: Record, file: Path) -> None:
    """Write a record, whole or not at all.

    :raises RecordError: it cannot be written.
    """
    text = json.dumps({"schema": SCHEMA, "version": VERSION, **asdict(data)}, indent=1, sort_keys=True) + "\n"
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(name, file)
    except OSError as error:
        raise RecordError(f"{file} cannot be written: {error.strerror}") from None


def read(file: Path) -> Record:
    """Read one.

    :raises RecordError: there is none, it is cut off, or it is something else.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise RecordError(f"{file} is no JSON, or is cut off ({error}): make it anew with `ftcheck record`") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise RecordError(f"{file} is no record of an environment: `ftcheck record FILE` makes one")
    if data.get("version") != VERSION:
        raise RecordError(
            f"{file} is a record of version {data.get('version')!r}, and this ftcheck reads version {VERSION}: make it anew"
        )
    try:
        return Record(
            Interpreter(**data["interpreter"]),
            System(**data["system"]),
            tuple(Distribution(**{**one, "tags": tuple(one["tags"])}) for one in data["distributions"]),
            tuple(
                Module(**{**one, "needed": tuple(Needed(**needed) for needed in one["needed"])}) for one in data["modules"]
            ),
            bool(data["probed"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{file} is a record that lacks something ({error}): make it anew with `ftcheck record`") from None

"""Which shared objects belong to the chosen extension modules, and where in memory their writable sections are.

A module is a shared object of its own. The libraries that it comes with are told from those of the system by where they are:
beside it, below the folder of its package, or in a folder ``*.libs``, where auditwheel puts them in a wheel; and it must be
linked with them, directly or through each other. What code loads later by ``dlopen()`` is not among them, unless it is a
Python extension.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ftcheck import _core, elf
from ftcheck.elf import Elf, Section, UnreadableError

_BEGINNING = 4096
"""Bytes of a file that are compared with what is mapped: no segment is shorter in memory."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """A file that is mapped into this process.

    :param start: the lowest address, and **offset**: where in the file that is.
    :param identity: device and inode.
    """

    path: str
    start: int
    offset: int
    identity: tuple[int, int]
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """A shared object that belongs to chosen modules.

    :param file: what it says of itself; None: it cannot be read, and **problem** says why.
    :param base: to be added to an address of the file.
    :param library: it is none of the modules, but comes with them.
    """

    path: str
    modules: tuple[str, ...]
    library: bool
    file: Elf | None
    base: int = 0
    problem: str = ""

    @property
    def sections(self) -> Sequence[Section]:
        """What is writable in it."""
        return () if self.file is None else self.file.sections


def mapped() -> dict[str, Mapped]:
    """All files that this process has mapped, by their path."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        return read_maps(maps)


def read_maps(lines: Iterable[str]) -> dict[str, Mapped]:
    """The same from the lines of ``/proc/PID/maps``."""
    found: dict[str, Mapped] = {}
    for line in lines:
        words = line.rstrip("\n").split(None, 5)
        if len(words) < 6 or not words[5].startswith("/"):
            continue
        path = words[5].removesuffix(" (deleted)")
        deleted = path != words[5]
        if path not in found:
            major, _, minor = words[3].partition(":")
            device = os.makedev(int(major, 16), int(minor, 16))
            start = int(words[0].partition("-")[0], 16)
            found[path] = Mapped(path, start, int(words[2], 16), (device, int(words[4])), deleted)
    return found


def of_modules(chosen: Mapping[str, str], files: Mapping[str, Mapped]) -> list[Loaded]:
    """The shared objects of these modules, and the libraries that they come with.

    :param chosen: the name of each module, and the file that it was loaded from.
    """
    modules: dict[str, list[str]] = {}
    for name, path in chosen.items():
        modules.setdefault(os.path.realpath(path), []).append(name)
    libraries: dict[str, list[str]] = {}
    for path, names in modules.items():
        for name in names:
            for library in _with(path, name, files):
                if library not in modules:
                    libraries.setdefault(library, []).append(name)
    return [_loaded(path, names, library, files)
            for group, library in ((modules, False), (libraries, True)) for path, names in group.items()]  # fmt: skip


def _loaded(path: str, names: Iterable[str], library: bool, files: Mapping[str, Mapped]) -> Loaded:
    known, modules = files.get(path), tuple(sorted(set(names)))
    if known is None:
        return Loaded(path, modules, library, None, problem="it is not mapped under this name")
    try:
        file = _read(known)
        return Loaded(path, modules, library, file, elf.base_of(file, known.start, known.offset))
    except UnreadableError as error:
        return Loaded(path, modules, library, None, problem=str(error))


def _read(known: Mapped) -> Elf:
    """:raises UnreadableError: it cannot be read, or is not what was loaded."""
    try:
        status = os.stat(known.path)
    except OSError:
        status = None
    if known.deleted or status is None or (status.st_ino != known.identity[1] and not _is_same(known)):
        raise UnreadableError("its file was replaced or removed after it was loaded")
    return elf.read(known.path, (status.st_dev, status.st_ino))


def _is_same(known: Mapped) -> bool:
    """Whether the beginning of a file is what is mapped of it: headers, build id, names of symbols.

    Asked where the number of the file differs: in the layers of a container the kernel may name that of another layer.
    """
    try:
        with open(known.path, "rb") as file:
            file.seek(known.offset)
            beginning = file.read(_BEGINNING)
    except OSError:
        return False
    there = _core.static_copy(known.start, len(beginning))
    return there is not None and bytes(there) == beginning


def _with(path: str, module: str, files: Mapping[str, Mapped]) -> Iterator[str]:
    """Libraries that a module comes with, of those that are mapped."""
    parts = module.split(".")
    root = os.path.dirname(path)
    for _ in parts[1:]:
        root = os.path.dirname(root)
    package = os.path.join(root, parts[0]) + os.sep if len(parts) > 1 else ""
    seen, todo = {path}, [path]
    while todo:
        here = todo.pop()
        needed = _file(files.get(here)).needed
        near = [other for other in files if needed and other not in seen and _belongs(other, here, root, package)]
        for other in near:
            if {os.path.basename(other), _file(files[other]).soname} & set(needed):  # the name may be that of a link to it
                seen.add(other)
                todo.append(other)
                yield other


@dataclass(frozen=True, slots=True)
class _Unknown:
    """In place of a file that cannot be read."""

    needed: tuple[str, ...] = ()
    soname: str = ""


def _file(known: Mapped | None) -> Elf | _Unknown:
    try:
        return _Unknown() if known is None else _read(known)
    except UnreadableError:
        return _Unknown()


def _belongs(library: str, user: str, root: str, package: str) -> bool:
    folder = os.path.dirname(library)
    if folder == os.path.dirname(user) or (package and library.startswith(package)):
        return True
    relative = os.path.relpath(folder, root)
    return relative.split(os.sep)[0].endswith(".libs")

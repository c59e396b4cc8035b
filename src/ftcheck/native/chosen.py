"""Which extension modules a run is to watch: names and patterns, checked before anything is run.

Modules are looked for without importing anything, not even the packages they are in: these may do anything, and it is not
this option that should make them do it earlier. One that is not found may be so only because the folder of its test comes
onto the path later; so that is asked once more when all tests are collected.
"""

from __future__ import annotations

import contextlib
import fnmatch
import importlib.machinery
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec, PathFinder
from typing import Any

from ftcheck.static_state import ALL

_WILD = "*?["
_OWN = {"ftcheck", "_pytest", "pytest", "pluggy", "xdist", "execnet", "coverage", "pytest_cov", "hypothesis"}
"""Not meant by :data:`ALL`: what tests are run with."""


class ChoiceError(ValueError):
    """What was given names no extension module. The message says what is there instead."""


def parse(text: str) -> tuple[str, ...]:
    """The names and patterns in the value of the option.

    :raises ChoiceError: one of them can be no name of a module.
    """
    names = tuple(dict.fromkeys(text.replace(",", " ").split()))
    for name in names:
        plain = name.replace("*", "_").replace("?", "_")
        if not _wild(name) and not all(part.isidentifier() for part in plain.split(".")):
            raise ChoiceError(f"{name!r} cannot be the name of a module: give names such as pkg._speedups, patterns such as "
                              f"'pkg.*', or {ALL}")  # fmt: skip
    return names


def unknown(names: Iterable[str]) -> list[str]:
    """Those names for which no module is found.

    :raises ChoiceError: there is one, and it is no extension module.
    """
    missing = []
    for name in names:
        if name != ALL and not _wild(name):
            found = _what(name)
            if found is None:
                missing.append(name)
            elif found:
                raise ChoiceError(found)
    return missing


def loaded(names: Sequence[str], finished: object = None) -> dict[str, str]:
    """The chosen modules that are in this process: the name of each, and its file.

    :param finished: a module that counts although it is still being imported.
    """
    return {name: file for name, file in extensions(finished).items() if any(_meant(one, name) for one in names)}


def extensions(finished: object = None) -> dict[str, str]:
    """Every extension module in this process that has been imported to the end: the name of each, and its file.

    :param finished: a module that counts although it is still being imported.
    """
    found = {}
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        if isinstance(getattr(spec, "loader", None), ExtensionFileLoader):
            origin = getattr(spec, "origin", None)
            if isinstance(origin, str) and (module is finished or not getattr(spec, "_initializing", False)):
                found[name] = origin
    return found


def _meant(one: str, module: str) -> bool:
    if one == ALL:
        top = module.partition(".")[0]
        return top not in _OWN and top not in sys.stdlib_module_names
    return fnmatch.fnmatchcase(module, one)


def _wild(name: str) -> bool:
    return any(letter in name for letter in _WILD)


def _what(name: str) -> str | None:
    """What there is under this name: empty for an extension module, else why it is none; None: nothing."""
    if name in sys.builtin_module_names:
        return f"{name} is built into the interpreter: it has no static memory of its own"
    spec = getattr(sys.modules.get(name), "__spec__", None) if name in sys.modules else find(name)
    if spec is None:
        return (
            f"{name} was made by another module, and has no file of its own: name that one" if name in sys.modules else None
        )
    if isinstance(spec.loader, ExtensionFileLoader):
        return ""
    inside = _extension_in(spec.submodule_search_locations or ())
    if spec.submodule_search_locations is not None:
        hint = f"its extension modules are '{name}.*'" if inside else "and there is no extension module in it"
        return f"{name} is a package of Python code: {hint}"
    return f"{name} is Python code ({spec.origin}): static memory is what extension modules have"


def find(name: str) -> ModuleSpec | None:
    """Where a module would be loaded from. Nothing is imported."""
    path: Sequence[str] | None = None
    spec: ModuleSpec | None = None
    parts = name.split(".")
    for number in range(len(parts)):
        here = ".".join(parts[: number + 1])
        spec = _from_finders(here, path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
    return spec


def _from_finders(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """Editable installs have finders of their own, which come before or after the one for folders."""
    finders: list[Any] = [PathFinder, importlib.machinery.FrozenImporter, *sys.meta_path]
    for finder in finders:
        with contextlib.suppress(Exception):  # a finder of somebody else, which may not expect to be asked now
            spec: ModuleSpec | None = finder.find_spec(name, path)
            if spec is not None:
                return spec
    return None


def _extension_in(folders: Iterable[str]) -> bool:
    suffixes = tuple(EXTENSION_SUFFIXES)
    return any(file.endswith(suffixes) for folder in folders for _, _, files in os.walk(folder) for file in files)

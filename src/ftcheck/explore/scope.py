"""Which code is explored, and where it is found before the first run."""

from __future__ import annotations

import inspect
import os
import sys
import sysconfig
import types
from collections.abc import Collection, Iterator
from typing import Any

_HOME = __file__.rpartition("explore")[0]


class Scope:
    """Which code is explored: that of some folders, without what is installed in them, and that of named packages.

    :param folders: absolute paths, with a separator at the end.
    :param packages: absolute paths of installed packages (with a separator at the end) or modules that are wanted as well.
    """

    def __init__(self, folders: Collection[str], packages: Collection[str] = ()) -> None:
        self._folders, self._packages = tuple(folders), tuple(packages)
        found = sysconfig.get_paths()
        installed = {found[name] + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
        self._outside = (*installed, _HOME)

    def __contains__(self, file: str) -> bool:
        return file.startswith(self._packages) or (file.startswith(self._folders) and not file.startswith(self._outside))

    def modules(self) -> Iterator[dict[str, Any]]:
        """What the modules hold that are loaded and of which this is the code."""
        for module in list(sys.modules.values()):
            if issubclass(type(module), types.ModuleType):  # cffi has libraries there that claim to be modules
                held = _dict_of(module)
                file = held.get("__file__")
                if isinstance(file, str) and file in self:
                    yield held


def _dict_of(module: types.ModuleType) -> dict[str, Any]:
    """Without asking the module: a lazy one (``importlib.util.LazyLoader``, ``six.moves``) would be imported now."""
    found: dict[str, Any] = types.ModuleType.__getattribute__(module, "__dict__")
    return found


def codes_in(value: object, depth: int = 0) -> Iterator[types.CodeType]:
    """The code of a function, or of the methods of a class, and of what these have closed over.

    :param depth: how far in this is already.
    """
    # Objects with a __getattr__ of their own are not asked: a proxy would resolve itself, a mock make an attribute.
    if isinstance(value, (types.MethodType, staticmethod, classmethod)):
        value = value.__func__
    if isinstance(value, property):
        for part in (value.fget, value.fset, value.fdel):
            yield from codes_in(part, depth)
        return
    wrapped = inspect.getattr_static(value, "__wrapped__", value)
    code = wrapped.__code__ if isinstance(wrapped, types.FunctionType) else None
    if isinstance(code, types.CodeType):
        yield code
        for cell in (value.__closure__ if isinstance(value, types.FunctionType) else None) or ():
            if depth < 3:
                try:
                    yield from codes_in(cell.cell_contents, depth + 1)
                except ValueError:
                    continue  # an empty cell
    elif isinstance(value, type) and depth < 3:
        for part in list(vars(value).values()):
            yield from codes_in(part, depth + 1)

"""Which installed code a name means: that of a package or of a module, as a prefix of file names."""

from __future__ import annotations

import importlib.util
import os


def folder_of(package: str) -> str:
    """The folder of a package, with a separator at its end, or the file of a module: what belongs to it begins with that.

    :raises LookupError: there is none.
    """
    try:
        spec = importlib.util.find_spec(package)
    except Exception:  # to find a part of a package, that is imported
        spec = None
    if spec is None or not (spec.submodule_search_locations or str(spec.origin).endswith(".py")):
        raise LookupError(f"there is no package {package!r} of Python code to explore. Is it installed?")
    if spec.submodule_search_locations:
        return os.path.abspath(next(iter(spec.submodule_search_locations))) + os.sep
    return os.path.abspath(str(spec.origin))

"""Rules for source code: C, C++, Cython and Python that relies on the GIL, found by reading it.

:func:`scan` looks at files and gives a :class:`Scan`: findings, and what was looked at. :data:`RULES` are the rules, by
    id. What
each is about, and how often it is right, is in docs/audit-rules.md.

``scanner`` reads the languages, ``families`` holds the rules, :mod:`~.gates` decides which of them fail a build. None
of that is loaded before somebody asks for it: ``ftcheck --help`` needs only the options of the command.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftcheck.audit.rules.families import RULES
    from ftcheck.audit.rules.files import NothingError
    from ftcheck.audit.rules.fingerprints import BaselineError
    from ftcheck.audit.rules.scanning import scan
    from ftcheck.audit.rules.words import Looked, Rule, Scan, Skipped, SourceFinding

__all__ = ["RULES", "BaselineError", "Looked", "NothingError", "Rule", "Scan", "Skipped", "SourceFinding", "scan"]
_ROOMS = {"RULES": "families", "NothingError": "files", "BaselineError": "fingerprints", "scan": "scanning"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ROOMS.get(name, 'words')}"), name)

"""Rules for source code: C, C++, Cython and Python that relies on the GIL, found by reading it.

:func:`scan` looks at files and gives a :class:`Scan`: findings, and what was looked at. :data:`RULES` are the rules, by id. What
each is about, and how often it is right, is in docs/audit-rules.md.

``scanner`` reads the languages, ``families`` holds the rules, :mod:`~.gates` decides which of them fail a build.
"""

from ftcheck.audit.rules.families import RULES
from ftcheck.audit.rules.files import NothingError
from ftcheck.audit.rules.fingerprints import BaselineError
from ftcheck.audit.rules.scanning import scan
from ftcheck.audit.rules.words import Looked, Rule, Scan, Skipped, SourceFinding

__all__ = ["RULES", "BaselineError", "Looked", "NothingError", "Rule", "Scan", "Skipped", "SourceFinding", "scan"]

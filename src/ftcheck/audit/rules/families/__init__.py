"""The rules, a file for each family: its rules' words (``RULES``), and ``find``, which looks for them."""

from __future__ import annotations

from collections.abc import Iterator

from ftcheck.audit.rules.context import Extension
from ftcheck.audit.rules.families import (
    attached,
    bindings,
    borrowed,
    cython_rules,
    declared,
    fields,
    memory,
    objects,
    own,
    process,
    python_process,
    python_state,
    statics,
    steps,
)
from ftcheck.audit.rules.scanner.python import PythonFile
from ftcheck.audit.rules.words import Hit, Rule

_C = (declared, borrowed, fields, memory, statics, steps, process, attached)
_OTHERS = (objects, python_state, python_process, cython_rules, bindings, own)
RULES: dict[str, Rule] = {
    one.id: one for one in sorted((rule for family in (*_C, *_OTHERS) for rule in family.RULES), key=lambda rule: rule.id)
}
"""Every rule by its id, in their order."""


def find_c(extension: Extension) -> Iterator[Hit]:
    """All that the rules for C and C++ find."""
    for family in _C:
        yield from family.find(extension)
    yield from bindings.find(extension.project)


def find_python(file: PythonFile) -> Iterator[Hit]:
    """All that the rules for Python find."""
    yield from python_state.find(file)
    yield from python_process.find(file)

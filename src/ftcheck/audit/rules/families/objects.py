"""FT307: fields of Python objects that are written without a lock. Needs types, so libclang.

Which variables point to objects, and which of their fields are atomic, is what :mod:`ftcheck.audit.rules.clang` finds
out. The rest, locks and who has the object, is the scanner's.
"""

from __future__ import annotations

from collections.abc import Iterator

from ftcheck.audit.rules.clang_facts import Facts
from ftcheck.audit.rules.context import Extension, Place
from ftcheck.audit.rules.scanner.tokens import NAME
from ftcheck.audit.rules.words import Hit, Rule

RULES = (
    Rule(
        "FT307",
        "object-field-unlocked",
        "B",
        "a function writes a field of a Python object without a lock",
        "Two threads that share the object write at the same time: updates are lost, and an old reference is given "
        "up twice, or "
        "given up while another thread uses it.",
        "Py_BEGIN_CRITICAL_SECTION(self) around the method's work; an atomic for a number.",
        "self->count += 1;\nPy_XSETREF(self->item, Py_NewRef(item));",
        "Py_BEGIN_CRITICAL_SECTION(self);\nself->count += 1;\nPy_XSETREF(self->item, "
        "Py_NewRef(item));\nPy_END_CRITICAL_SECTION();",
        "Functions that only run while the object is made or unmade are left out (tp_new, tp_init, tp_dealloc, "
        "...), atomic fields "
        "too. Types whose objects are never shared look like any other. Reads are not looked at.",
        'CPython, Doc/howto/free-threading-extensions.rst, "Thread State and GIL APIs", "Critical Sections"',
        needs="clang",
    ),
)

_REACHED = ("argument", "field", "static")
"""Where an object may come from that other threads have."""
_ASSIGNS = frozenset(("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="))
_STEALS = frozenset(("Py_CLEAR", "Py_SETREF", "Py_XSETREF"))


def find(extension: Extension, facts: Facts) -> Iterator[Hit]:
    """Look for it.

    :param facts: what libclang says of the types.
    """
    for place in extension.places():
        if place.function in extension.project.graph.making_only or place.unit.path not in facts.files:
            continue
        seen: set[str] = set()
        for index, name, field, how in _writes(place):
            struct = facts.struct_of(place.unit.path, place.function.name, place.function.line, name)
            if struct is None or field in facts.atomic.get(struct, ()) or field not in facts.fields.get(struct, ()):
                continue
            what = f"{name}->{field}"
            if what in seen or place.locked(index) or place.origin((index, index + 1)).kind not in _REACHED:
                continue
            seen.add(what)
            yield place.hit(
                "FT307", place.line(index), f"{what} of a {struct} is written ({how}) without a lock: a critical section"
            )


def _writes(place: Place) -> Iterator[tuple[int, str, str, str]]:
    """(index of the name, name, field, how) of each ``name->field = ...``, also through a cast: ``((T *)name)->field``."""
    code, function = place.unit.code, place.function
    stealing = {one for call in function.calls if call.name in _STEALS and call.args for one in range(*call.args[0])}
    for index in range(function.begin, function.end):
        if code[index].text != "->" or code[index + 1].kind != NAME:
            continue
        name = index - 1
        while code[name].text == ")":
            name -= 1
        if code[name].kind != NAME or code[name - 1].text in ("->", "."):
            continue
        after = index + 2
        while code[after].text == ".":
            after += 2
        before = code[name - 1].text
        if code[after].text in _ASSIGNS or code[after].text in ("++", "--"):
            yield name, code[name].text, code[index + 1].text, code[after].text
        elif before in ("++", "--"):
            yield name, code[name].text, code[index + 1].text, before
        elif index in stealing and code[after].text in (",", ")"):
            yield (
                name,
                code[name].text,
                code[index + 1].text,
                next(call.name for call in function.calls if call.name in _STEALS and call.index < index < call.end),
            )

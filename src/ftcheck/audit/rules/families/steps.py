"""FT308, FT309: two steps on an object that were one with the GIL."""

from __future__ import annotations

from collections.abc import Iterator

from ftcheck.audit.rules.context import Extension, Place
from ftcheck.audit.rules.scanner.calls import Call
from ftcheck.audit.rules.words import Hit, Rule

RULES = (
    Rule(
        "FT308",
        "exhausted-iterator",
        "A",
        "an iterator gives up what it walks through when it is exhausted, without a lock",
        "Two threads that share the iterator both find it at its end, and both give up the same reference: one too "
        "many. CPython's "
        "own iterators had this flaw.",
        "A critical section on the iterator; or leave the sequence to the deallocator, and only mark the end.",
        "static PyObject *\nit_next(It *it) {\n    ...\n    Py_CLEAR(it->seq);\n    return NULL;\n}",
        "it->index = -1;  /* atomically: the sequence stays until dealloc */\nreturn NULL;",
        "Functions in a tp_iternext or am_anext slot, and Py_CLEAR, Py_SETREF, Py_DECREF of their fields.",
        "CPython issues 144357, 153296, 154130",
    ),
    Rule(
        "FT309",
        "check-then-act",
        "B",
        "a dict is asked for a key, and then changed, in two steps without a lock",
        "Each step is locked by the dict, the two together are not: another thread's change in between is overwritten.",
        "PyDict_SetDefaultRef, PyDict_Pop; or a critical section around both.",
        "if (PyDict_Contains(cache, key) == 0) {\n    PyDict_SetItem(cache, key, value);\n}",
        "PyDict_SetDefaultRef(cache, key, value, &result);",
        "Within one function, for a dict that came in as an argument, or lies in a field or a static variable. Two "
        "writers that store "
        "equal values do no harm.",
        "CPython, Doc/data/threadsafety.dat: PyDict_SetDefaultRef is atomic",
    ),
)

_ASKS = frozenset((
    "PyDict_Contains", "PyDict_GetItem", "PyDict_GetItemWithError", "PyDict_GetItemRef", "PyDict_GetItemString",
    "PyDict_GetItemStringRef", "PyDict_ContainsString", "PySet_Contains",
))  # fmt: skip
_ACTS = frozenset(
    ("PyDict_SetItem", "PyDict_SetItemString", "PyDict_DelItem", "PyDict_DelItemString", "PySet_Add", "PySet_Discard")
)


def find(extension: Extension) -> Iterator[Hit]:
    """Look for them."""
    for place in extension.places():
        if place.roles & {"tp_iternext", "am_anext"}:
            yield from _exhausted(place)
        asked: dict[tuple[str, str], Call] = {}
        for call in place.function.calls:
            if len(call.args) < 2 or call.member or place.locked(call.index) or place.asserted(call):
                continue
            key = (place.argument(call, 0), place.argument(call, 1))
            if call.name in _ASKS:
                asked[key] = call
            elif call.name in _ACTS and key in asked:
                origin = place.origin(call.args[0])
                if origin.kind in ("argument", "field", "static"):
                    before = asked.pop(key)
                    yield place.hit(
                        "FT309",
                        call.line,
                        f"{call.name} acts on what {before.name} said in line {before.line} of {origin.what}",
                    )


def _exhausted(place: Place) -> Iterator[Hit]:
    for call in place.function.calls:
        if call.name in ("Py_CLEAR", "Py_SETREF", "Py_XSETREF", "Py_XDECREF", "Py_DECREF") and not place.locked(call.index):
            what = place.argument(call, 0)
            if "->" in what and not what.startswith(("Py_TYPE", "&")) and place.origin(call.args[0]).kind == "field":
                yield place.hit(
                    "FT308", call.line, f"{call.name}({what}) in an iterator's next: two threads give it up twice"
                )

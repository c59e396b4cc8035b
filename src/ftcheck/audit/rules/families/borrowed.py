"""FT101, FT102, FT103, FT106: references that a container lends out, and walking through one that others can change."""

from __future__ import annotations

from collections.abc import Iterator

from ftcheck.audit.rules.capi import BORROWED
from ftcheck.audit.rules.context import Extension, Place
from ftcheck.audit.rules.scanner.calls import Call
from ftcheck.audit.rules.scanner.fresh import Origin
from ftcheck.audit.rules.words import Hit, Rule

_HOWTO = "CPython, Doc/howto/free-threading-extensions.rst"
_LEVELS = "CPython, Doc/data/threadsafety.dat"

RULES = (
    Rule(
        "FT101",
        "borrowed-from-shared",
        "B",
        "a borrowed reference is taken from a container that other threads can change",
        "The container owns the item, you do not. With the GIL nobody could remove it between the call and your next line. "
        "Without it another thread can: the item is freed while you use it.",
        "The function that gives a reference of your own: PyList_GetItemRef, PyDict_GetItemRef, PyWeakref_GetRef, "
        "PyImport_AddModuleRef, ... (pythoncapi-compat has them for older versions). Or a critical section on the "
        "container, "
        "from the call to the last use.",
        "PyObject *item = PyList_GetItem(list, i);  /* borrowed */\nuse(item);",
        "PyObject *item = PyList_GetItemRef(list, i);\nif (item == NULL) { return NULL; }\nuse(item);\nPy_DECREF(item);",
        "Only containers that came in as an argument, or lie in a field or a static variable. Whether a caller "
        "holds a lock is "
        "known for functions of the scanned files. A list that is never shared by agreement looks like any other.",
        f'{_HOWTO}, "Borrowed References"; {_LEVELS}',
    ),
    Rule(
        "FT102",
        "borrowed-then-incref",
        "B",
        "a borrowed reference is made one's own too late",
        "Between the call and the Py_INCREF another thread can remove the item and free it: Py_INCREF then writes to freed "
        "memory. It looks right, and was right with the GIL.",
        "One call that does both: PyList_GetItemRef, PyDict_GetItemRef, PyWeakref_GetRef.",
        "PyObject *item = Py_NewRef(PyList_GetItem(list, i));",
        "PyObject *item = PyList_GetItemRef(list, i);",
        "As FT101.",
        f'{_HOWTO}, "Borrowed References"',
    ),
    Rule(
        "FT103",
        "dict-next-unlocked",
        "A",
        "PyDict_Next walks through a dict that other threads can change",
        "PyDict_Next takes no lock, lends keys and values, and its position means nothing once the dict was "
        "resized. Another "
        "thread that adds or removes a key makes it read freed memory. Released packages crash by this.",
        "Py_BEGIN_CRITICAL_SECTION(dict) around the whole loop; or walk through a copy (PyDict_Copy, PyDict_Items).",
        "while (PyDict_Next(dict, &pos, &key, &value)) { ... }",
        "Py_BEGIN_CRITICAL_SECTION(dict);\nwhile (PyDict_Next(dict, &pos, &key, &value)) { ... "
        "}\nPy_END_CRITICAL_SECTION();",
        "Keyword dictionaries and dicts that the function has just made are left out. Any lock that is held counts, "
        "even one "
        "that is not the dict's.",
        f'{_HOWTO}, "PyDict_Next"',
    ),
    Rule(
        "FT106",
        "fast-sequence",
        "B",
        "PySequence_Fast's macros walk through a list that other threads can change",
        "For a list PySequence_Fast gives back the list itself, not a copy. Its items and its size can change, and "
        "its memory "
        "can be freed, while the macros read it.",
        "PySequence_Tuple, which copies; or a critical section on the sequence while its items are used.",
        "seq = PySequence_Fast(arg, \"...\");\nitem = PySequence_Fast_GET_ITEM(seq, i);",
        "seq = PySequence_Tuple(arg);\nitem = PyTuple_GET_ITEM(seq, i);",
        "Reported once for each sequence in a function. An argument that only ever is a tuple looks like any other.",
        f'{_HOWTO}, "Containers and borrowed references"',
    ),
)  # fmt: skip

_FROM = {
    "argument": "{what}, which came in as an argument",
    "field": "{what}, which comes from a field",
    "static": "{what}, which is static",
    "result": "what {what} gives",
}


def find(extension: Extension) -> Iterator[Hit]:
    """Look for them."""
    for place in extension.places():
        walked: set[str] = set()
        for call in place.function.calls:
            if call.member or place.locked(call.index):
                continue
            if call.name in BORROWED:
                yield from _borrowed(place, call)
            elif call.name == "PyDict_Next" and call.args:
                origin = place.origin(call.args[0])
                if _matters(origin):
                    yield place.hit(
                        "FT103",
                        call.line,
                        f"PyDict_Next without a lock on {_told(origin)}: put a critical section around the loop",
                    )
            elif call.name in ("PySequence_Fast_GET_ITEM", "PySequence_Fast_ITEMS") and call.args:
                what = place.argument(call, 0)
                origin = place.origin(call.args[0])
                if what not in walked and _matters(origin):
                    walked.add(what)
                    yield place.hit(
                        "FT106",
                        call.line,
                        f"{call.name} without a lock on {_told(origin)}: PySequence_Tuple, or a critical section",
                    )


def _matters(origin: Origin) -> bool:
    return origin.kind in ("argument", "field", "static")


def _told(origin: Origin) -> str:
    return _FROM[origin.kind].format(what=origin.what)


def _borrowed(place: Place, call: Call) -> Iterator[Hit]:
    known = BORROWED[call.name]
    if known.container is not None:
        if known.container >= len(call.args):
            return
        origin = place.origin(call.args[known.container])
        if not _matters(origin):
            return
        told = f"{call.name} borrows from {_told(origin)}"
    else:
        told = f"{call.name} gives a borrowed reference"
    if _only_asked(place, call):
        return
    if (owned := _owned_later(place, call)) is not None:
        yield place.hit("FT102", call.line, f"{told}, and {owned} comes too late: {known.instead}")
    else:
        yield place.hit("FT101", call.line, f"{told}: {known.instead}")


def _only_asked(place: Place, call: Call) -> bool:
    """Whether the result is only compared with nothing: ``if (PyDict_GetItem(d, k) != NULL)``."""
    before, after = place.text(call.index - 1), place.text(call.end + 1)
    if after in ("==", "!="):
        return before in ("(", "!", "&&", "||", "return") and place.text(call.end + 2) in ("NULL", "nullptr", "0", "Py_None")
    inside = before in ("!", "&&", "||") or (before == "(" and place.text(call.index - 2) in ("if", "while"))
    return inside and after in (")", "&&", "||", "?")


def _owned_later(place: Place, call: Call) -> str | None:
    """The name of what makes the result one's own; None: nothing within the next three statements does."""
    for one in place.function.calls:
        wraps = one.index < call.index and call.end < one.end
        if wraps and one.name in ("Py_NewRef", "Py_XNewRef", "Py_INCREF", "Py_XINCREF"):
            return one.name
    if place.text(call.index - 1) != "=":
        return None
    name, statements = place.text(call.index - 2), 0
    for index in range(call.end, place.function.end):
        text = place.text(index)
        statements += text == ";"
        if statements > 3:
            return None
        if text in ("Py_INCREF", "Py_XINCREF", "Py_NewRef", "Py_XNewRef") and place.text(index + 2) == name:
            return text
    return None

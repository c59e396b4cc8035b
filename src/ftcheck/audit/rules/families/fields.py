"""FT104, FT105, FT107, FT108: macros and fields that reach into an object past its lock."""

from __future__ import annotations

from collections.abc import Iterator

from ftcheck.audit.rules.capi import FIELDS
from ftcheck.audit.rules.context import Extension, Place
from ftcheck.audit.rules.scanner.calls import Call
from ftcheck.audit.rules.scanner.project import Project
from ftcheck.audit.rules.scanner.tokens import NAME
from ftcheck.audit.rules.words import Hit, Rule

_HOWTO = "CPython, Doc/howto/free-threading-extensions.rst"
_LEVELS = "CPython, Doc/data/threadsafety.dat"

RULES = (
    Rule(
        "FT104",
        "set-item-macro",
        "C",
        "an item is set, or an object resized, that others may have already",
        "PyList_SET_ITEM and its kin write without a lock and without giving up the old item: they are meant for an "
        "object that "
        "nobody else has yet. In one that others have, they race with every reader.",
        "PyList_SetItem, which locks. A tuple or bytes object that others have is not changed: make a new one.",
        "PyList_SET_ITEM(self->items, i, value);",
        "PyList_SetItem(self->items, i, value);",
        "Objects that the function has just made are left out.",
        f"{_HOWTO}; {_LEVELS}",
    ),
    Rule(
        "FT105",
        "struct-field",
        "B",
        "a field of one of the interpreter's own objects is used directly, or a reference count is compared with one",
        "Fields such as ob_item move when another thread resizes the object. The reference count is in two parts on "
        "this build: "
        "Py_REFCNT(x) == 1 no longer says that nobody else has x.",
        "The accessor that locks; PyUnstable_Object_IsUniquelyReferenced or PyUnstable_Object_IsUniqueReferencedTemporary.",
        "if (Py_REFCNT(result) == 1) { /* reuse it */ }",
        "if (PyUnstable_Object_IsUniquelyReferenced(result)) { /* reuse it */ }",
        "Fields of the same name that the extension's own structs declare are left out.",
        f'{_HOWTO}, "General API Guidelines"; CPython, Doc/c-api/object.rst',
    ),
    Rule(
        "FT107",
        "bytearray-pointer",
        "B",
        "a pointer into a bytearray is used without a lock",
        "Another thread that resizes the bytearray frees the memory that the pointer points into.",
        "PyObject_GetBuffer: while the buffer is exported the bytearray cannot be resized. Or a critical section on it.",
        "char *data = PyByteArray_AsString(arg);",
        'PyArg_ParseTuple(args, "y*", &view)  /* and PyBuffer_Release(&view) */',
        "bytes cannot be resized and is left out. That others write while the buffer is exported is not seen.",
        f"{_LEVELS}: PyByteArray_AsString is only compatible",
    ),
    Rule(
        "FT108",
        "string-in-place",
        "C",
        "a string in a field or static variable is replaced in place",
        "PyUnicode_InternInPlace and PyUnicode_Append read the variable, give up the old object and store a new "
        "one: two threads "
        "give up the old one twice.",
        "Build the string in a local variable, and publish it once, under a lock or at import.",
        "PyUnicode_InternInPlace(&self->name);",
        "PyObject *name = ...;\nPyUnicode_InternInPlace(&name);\nPy_BEGIN_CRITICAL_SECTION(self); ...",
        "A field of an object that is being made looks like any other, unless the function has made it.",
        f"{_LEVELS}",
    ),
)

_SETS = {
    "PyList_SET_ITEM": "PyList_SetItem",
    "PyTuple_SET_ITEM": "a new tuple",
    "PyTuple_SetItem": "a new tuple",
    "_PyTuple_Resize": "a new tuple",
    "_PyBytes_Resize": "a new bytes object",
}
_IN_PLACE = frozenset(("PyUnicode_InternInPlace", "PyUnicode_Append", "PyUnicode_AppendAndDel", "PyUnicode_Resize",
                       "PyBytes_Concat", "PyBytes_ConcatAndDel", "_PyUnicode_InternMortal"))  # fmt: skip
_WRITES = frozenset(("PyUnicode_WRITE", "PyUnicode_WriteChar", "PyUnicode_Fill", "PyUnicode_CopyCharacters"))


def find(extension: Extension) -> Iterator[Hit]:
    """Look for them."""
    own = _own_fields(extension.project)
    for place in extension.places():
        yield from _fields(place, own)
        for call in place.function.calls:
            if not call.member and not place.locked(call.index) and not place.asserted(call):
                yield from _call(place, call)


def _call(place: Place, call: Call) -> Iterator[Hit]:
    if call.name in _SETS and call.args:
        origin = place.origin(call.args[0])
        if origin.kind in ("argument", "field", "static") and not _making(place):
            yield place.hit("FT104", call.line, f"{call.name} on {origin.what}, which others may have: {_SETS[call.name]}")
    elif call.name in ("PyByteArray_AsString", "PyByteArray_AS_STRING") and call.args:
        origin = place.origin(call.args[0])
        if origin.kind in ("argument", "field", "static"):
            yield place.hit(
                "FT107", call.line, f"{call.name}: another thread may resize {origin.what}; PyObject_GetBuffer, or "
                    f"a critical section"
            )  # fmt: skip
    elif (call.name in _IN_PLACE or call.name in _WRITES) and call.args and not _making(place):
        origin = place.origin(call.args[0])
        if origin.kind in ("field", "static"):
            yield place.hit(
                "FT108", call.line, f"{call.name} on {origin.what}: build a string of your own, and publish it once"
            )
    elif call.name in ("Py_REFCNT", "Py_SET_REFCNT", "_Py_SetRefcnt"):
        yield from _count(place, call)


def _making(place: Place) -> bool:
    making = bool(place.roles & {"tp_new", "tp_init", "tp_dealloc", "tp_clear", "tp_alloc", "tp_free"})
    return making or place.function in place.project.graph.making_only or "dealloc" in place.function.name


def _count(place: Place, call: Call) -> Iterator[Hit]:
    what = place.argument(call, 0)
    if _making(place):
        return
    if call.name != "Py_REFCNT":
        yield place.hit("FT105", call.line, f"{call.name}: reference counts are in two parts, and not to be set")
        return
    after, number = place.text(call.end + 1), place.text(call.end + 2)
    if after in ("==", "!=", ">", "<=", "<", ">=") and number in ("1", "2"):
        yield place.hit(
            "FT105",
            call.line,
            f"Py_REFCNT({what}) {after} {number} no longer says who else has it: PyUnstable_Object_IsUniquelyReferenced",
        )


def _own_fields(project: Project) -> frozenset[str]:
    """Fields with the names of the interpreter's, that the extension declares itself."""
    return frozenset(
        token.text
        for unit in project.units
        for index, token in enumerate(unit.code)
        if token.text in FIELDS and index and unit.code[index - 1].text not in ("->", ".")
    )


def _fields(place: Place, own: frozenset[str]) -> Iterator[Hit]:
    wanted = place.function.names & FIELDS.keys() - own
    if not wanted or _making(place):
        return
    code, seen = place.unit.code, set[tuple[int, str]]()
    for index in range(place.function.begin, place.function.end):
        token = code[index]
        if token.kind == NAME and token.text in wanted and code[index - 1].text in ("->", "."):
            if place.locked(index) or (token.line, token.text) in seen:
                continue
            seen.add((token.line, token.text))
            begin = index - 2
            if code[begin].kind == NAME and place.origin((begin, begin + 1)).kind == "fresh":
                continue
            yield place.hit("FT105", token.line, f"the field {token.text} is used directly: {FIELDS[token.text]}")

"""FT201, FT202: memory from the wrong allocator."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from ftcheck.audit.rules.capi import ALLOCATES, FREES, OBJECT_DOMAIN
from ftcheck.audit.rules.context import Extension, Place
from ftcheck.audit.rules.scanner.calls import Call
from ftcheck.audit.rules.words import Hit, Rule

_HOWTO = 'CPython, Doc/howto/free-threading-extensions.rst, "Memory Allocation APIs"'

RULES = (
    Rule(
        "FT201",
        "object-domain-malloc",
        "A",
        "PyObject_Malloc allocates something that is no Python object",
        "On this build the collector walks through the heap of the object domain to find objects. What is no object "
        "must not be "
        "in it.",
        "PyMem_Malloc, PyMem_Realloc, PyMem_Free.",
        "char *buffer = PyObject_Malloc(size);",
        "char *buffer = PyMem_Malloc(size);  /* and PyMem_Free */",
        "What is cast to a struct that begins with PyObject_HEAD, or allocated by a tp_alloc function, is an "
        "object. A void pointer "
        "is taken for none.",
        _HOWTO,
    ),
    Rule(
        "FT202",
        "domain-mix",
        "A",
        "memory is freed by another allocator than it came from, or allocated while detached",
        "Each domain has a heap of its own. Freed into another one, both are corrupt. PyMem_Malloc and "
        "PyObject_Malloc need an "
        "attached thread.",
        "The function of the same domain; PyMem_RawMalloc where the thread may be detached.",
        "char *name = PyMem_Malloc(size);\nfree(name);",
        "char *name = PyMem_Malloc(size);\nPyMem_Free(name);",
        "Compared by the name of the local variable in one function, or of the field in one file. A pointer that "
        "travels under "
        "several names is not followed.",
        _HOWTO,
    ),
)


def find(extension: Extension) -> Iterator[Hit]:
    """Look for them."""
    objects = extension.project.object_structs
    passed = frozenset(OBJECT_DOMAIN)
    allocated: dict[tuple[object, str], set[str]] = defaultdict(set)
    freed: list[tuple[Place, Call, tuple[object, str], str]] = []
    for place in extension.everywhere():
        for call in place.function.calls:
            if call.member:
                continue
            if call.name in passed and not _of_object(place, call, objects):
                yield place.hit(
                    "FT201", call.line, f"{call.name} allocates what is no Python object: PyMem_{call.name[9:].title()}"
                )
            if call.name in ALLOCATES:
                domain = ALLOCATES[call.name]
                if domain in ("mem", "object") and place.detached(call.index):
                    yield place.hit("FT202", call.line, f"{call.name} while the thread is detached: PyMem_RawMalloc")
                for key in _targets(place, call):
                    allocated[key].add(domain)
            if call.name in FREES and call.args:
                freeing = _key(place, place.argument(call, 0))
                if freeing is not None:
                    freed.append((place, call, freeing, FREES[call.name]))
    for place, call, key, domain in freed:
        known = allocated.get(key, set())
        if len(known) == 1 and domain not in known:
            yield place.hit("FT202", call.line, f"{call.name} frees {key[1]}, which is of {_DOMAINS[next(iter(known))]}")


_DOMAINS = {"object": "PyObject_Malloc", "mem": "PyMem_Malloc", "raw": "PyMem_RawMalloc", "libc": "malloc"}


def _of_object(place: Place, call: Call, objects: frozenset[str]) -> bool:
    if "tp_alloc" in place.roles or (
        re.search(r"alloc|malloc", place.function.name, re.IGNORECASE) and "PyTypeObject" in str(place.function.params)
    ):
        return True
    words = {place.text(index) for index in range(call.index - 6, call.end)}
    after = {place.text(index) for index in range(call.end, min(call.end + 40, place.function.end))}
    return bool(words & objects) or bool(after & {"PyObject_Init", "PyObject_InitVar", "PyObject_INIT", "PyObject_INIT_VAR"})


def _targets(place: Place, call: Call) -> Iterator[tuple[object, str]]:
    """What the result is assigned to."""
    if call.name.endswith(("_RESIZE", "_Resize")):
        key = _key(place, place.argument(call, 0))
        if key is not None:
            yield key
        return
    index = call.index - 1
    while place.text(index) in (")", "*") or (
        place.text(index) != "=" and place.text(index + 1) in (")", "*") and call.index - index < 8
    ):
        index -= 1
    while place.text(index) == "(":
        index -= 1
    if place.text(index) != "=":
        return
    end = index
    while index > place.function.begin and place.text(index - 1) not in (";", "{", "}", "(", ")", "=", ","):
        index -= 1
    key = _key(place, place.words((index, end)))
    if key is not None:
        yield key


def _key(place: Place, what: str) -> tuple[object, str] | None:
    """The same for the same variable of a function, or the same field in a file."""
    what = re.sub(r"^\((?:\w|\*)+\)", "", what)
    field = re.fullmatch(r".*(?:->|\.)(\w+)", what)
    if field is not None:
        return (place.unit.path, field[1])
    name = re.search(r"(\w+)$", what)
    if name is None or not re.fullmatch(r"[\w*]*", what):
        return None
    if place.project.variable(place.unit, place.function, name[1]) is not None:
        return (place.unit.path, name[1])
    return (place.function, name[1])

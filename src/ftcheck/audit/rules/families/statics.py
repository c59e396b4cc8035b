"""FT301 to FT306 and FT310: static variables that change while threads run. Their words are in :mod:`~.statics_rules`.

One flaw is one finding: the first write of a variable in a function stands for all of them there, and a write that
belongs to a lazy initialisation, a buffer or a free list is reported as that only.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ftcheck.audit.rules.context import Extension, Place
from ftcheck.audit.rules.families.statics_rules import RULES as RULES
from ftcheck.audit.rules.scanner import accesses
from ftcheck.audit.rules.scanner.accesses import Access
from ftcheck.audit.rules.scanner.functions import Function
from ftcheck.audit.rules.scanner.project import Project
from ftcheck.audit.rules.scanner.variables import Variable
from ftcheck.audit.rules.words import Hit

_LIST = re.compile(
    r"(?i).*free_?_?(list|nodes?|blocks?|objects?|items?|cells?|head|slots?).*|.*num_?free.*|.*arena.*|.*\bpool.*|"
    r".*_pool|cache_?free.*|zombie\w*"
)
_TEXT = re.compile(r"(PyOS_)?v?sn?printf|str|stp|wcs")
"""Functions that write text."""
_ENDING = frozenset(("m_free", "m_clear", "m_traverse"))


@dataclass(frozen=True, slots=True)
class _Used:
    place: Place
    access: Access

    @property
    def locked(self) -> bool:
        return self.place.locked(self.access.index)

    @property
    def line(self) -> int:
        return self.place.line(self.access.index)


def find(extension: Extension) -> Iterator[Hit]:
    """Look for them."""
    project = extension.project
    names = frozenset(one.name for unit in project.units for one in (*unit.variables, *unit.statics))
    everything: dict[Variable, list[_Used]] = defaultdict(list)
    for place in extension.everywhere():
        for access in accesses.of_function(project, place.unit, place.function, names):
            everything[access.variable].append(_Used(place, access))
    for variable, uses in everything.items():
        running = [one for one in uses if not project.starts_up(one.place.function) and not one.place.roles & _ENDING]
        yield from _variable(project, variable, running)
    yield from _inventory(
        project, {one for one, uses in everything.items() if any(use.access.how == "write" for use in uses)}
    )
    yield from _types(extension)


def _variable(project: Project, variable: Variable, uses: Sequence[_Used]) -> Iterator[Hit]:
    writes = [one for one in uses if one.access.how == "write"]
    if not writes:
        return
    lazy, covered = [], set[Function]()
    for place, mine in _by_function(uses):
        test = next((one for one in mine if one.access.how in ("unset", "set") and not one.locked), None)
        made = _made(project, variable, place, test, writes) if test is not None else []
        if test is not None and made:
            lazy.append((test, made))
            covered |= {place.function, *(one.place.function for one in made)}
    for test, made in lazy:
        if all(one.locked for one in made):
            yield test.place.hit(
                "FT310", test.line, f"{variable.name} is asked for without the lock under which it is made: an atomic load"
            )
        else:
            yield test.place.hit(
                "FT302",
                test.line,
                f"{variable.name} is made when it is first asked for, without a lock: at import, or once",
                "C" if _configured(test) else None,
            )
    open_writes = [one for one in writes if not one.locked and one.place.function not in covered]
    if open_writes:
        yield from _written(variable, open_writes)
    elif not lazy and not variable.object:
        reported: set[Function] = set()
        for use in uses:
            unheld = not use.place.project.scopes(use.place.function).held(use.access.index) and not use.locked
            if use.access.how != "write" and use.access.how != "address" and unheld and use.place.function not in reported:
                reported.add(use.place.function)
                yield use.place.hit("FT310", use.line, f"{variable.name} is read without the lock under which it is written")


def _configured(test: _Used) -> bool:
    """Whether the ``if`` asks a macro first that is a constant: in this build the code may be left out."""
    place, index = test.place, test.access.index
    while index > place.function.begin and place.text(index - 1) not in (";", "{", "}"):
        index -= 1
        if place.text(index) == "if":
            body = place.project.macros.get(place.text(index + 2), "")
            return place.text(index + 3) == "&&" and body in ("0", "1")
    return False


def _by_function(uses: Sequence[_Used]) -> Iterator[tuple[Place, list[_Used]]]:
    found: dict[Function, tuple[Place, list[_Used]]] = {}
    for one in uses:
        found.setdefault(one.place.function, (one.place, []))[1].append(one)
    yield from found.values()


def _made(project: Project, variable: Variable, place: Place, test: _Used, writes: Sequence[_Used]) -> list[_Used]:
    """The writes that follow from the variable not being set: in what the ``if`` guards, or after one that returns."""
    if test.access.how == "set":
        begin, end = test.access.index, place.function.end
    else:
        begin, end = accesses.block_after(place.unit, test.access.index, place.function.end)
        first = place.text(begin)
        if first == "return" or (first == "{" and place.text(begin + 1) == "return"):
            return []
    here = [one for one in writes if one.place.function is place.function and begin <= one.access.index <= end]
    called = {
        found[1]
        for call in place.function.calls
        if begin <= call.index <= end and (found := project.graph.resolve(place.unit, call.name)) is not None
    }
    return here or [one for one in writes if one.place.function in called and one.place.function is not place.function]


def _written(variable: Variable, writes: Sequence[_Used]) -> Iterator[Hit]:
    first: set[Function] = set()
    for one in writes:
        called, place = one.access.call, one.place
        if place.function in first:
            continue
        first.add(place.function)
        if "PyTypeObject" in variable.type.split() and not variable.pointer:
            yield place.hit("FT305", one.line, f"the static type {variable.name} is changed", "B")
        elif _LIST.fullmatch(variable.name):
            yield place.hit("FT306", one.line, f"{variable.name} is used without a lock")
        elif variable.array and (variable.function is not None or _TEXT.match(called)):
            yield place.hit("FT303", one.line, f"{variable.name} is one buffer for all threads: a local or thread-local one")
        else:
            yield place.hit("FT301", one.line, f"{variable.name} is written without a lock")


def _inventory(project: Project, written: set[Variable]) -> Iterator[Hit]:
    for unit in project.units:
        for one in (*unit.variables, *unit.statics):
            function = one.function.qualified if one.function is not None else ""
            if one.object and one.shared and one in written:
                yield Hit("FT304", unit.path, one.line, function, f"{one.name} is one object for all interpreters")
            elif "PyTypeObject" in one.type.split() and not one.pointer and not one.array and one.init:
                yield Hit("FT305", unit.path, one.line, function, f"{one.name} is a static type: one for all interpreters")


def _types(extension: Extension) -> Iterator[Hit]:
    for place in extension.places():
        for call in place.function.calls:
            changes = call.name in ("PyDict_SetItem", "PyDict_SetItemString", "PyDict_DelItem", "PyDict_DelItemString")
            if changes and "tp_dict" in place.argument(call, 0):
                yield place.hit("FT305", call.line, f"{call.name} on the dict of a type: PyObject_SetAttr on the type", "B")
            elif call.name == "PyType_Modified":
                yield place.hit(
                    "FT305", call.line, "PyType_Modified: the dict of a type is changed behind the interpreter's back", "B"
                )

"""Which instructions are scheduling points, and which code is in scope.

A thread can only be disturbed at an operation on something that another thread can reach: an attribute, a global, a
variable of an enclosing function, an item of a container, an iterator, and what builtins do with containers. All other
instructions work on the thread's own stack and locals. For each code object in scope a table says this once; the C callback
(``_core/points.c``) reads there what to do at each instruction.

The opcodes are those of the running interpreter, by name (:mod:`dis`); the order of their operands is in ``_core/ops.c``.
"""

from __future__ import annotations

import dis
import enum
import functools
import struct
import threading
import types
from collections.abc import Iterator
from typing import NamedTuple

from ftcheck import _core
from ftcheck.explore import loops


class Site(enum.IntEnum):
    """What an instruction may touch; ``enum ftc_site`` in ``_core/sched.h``."""

    NONE = 0
    LOAD_ATTR = 1
    STORE_ATTR = 2
    GLOBAL_READ = 3
    GLOBAL_WRITE = 4
    CELL_READ = 5
    CELL_WRITE = 6
    GET_ITEM = 7
    SET_ITEM = 8
    DELETE_ITEM = 9
    CONTAINS = 10
    NEXT = 11
    ITERATE = 12
    IN_PLACE = 13
    CALL = 14
    CALL_KW = 15
    SLICE = 16
    SET_SLICE = 17
    ANY = 18
    DELETE_ATTR = 19
    DELETE_GLOBAL = 20
    DELETE_CELL = 21
    RETURN = 22
    """To code that is not in scope, which may store the result somewhere."""
    READ_ONE = 23
    """Looks at a container that lies on top of the stack; **READ_TWO**: at the two topmost."""
    READ_TWO = 24
    YIELD = 25
    """Of a generator, which can be resumed by any thread from then on."""
    CALL_EX = 26
    """With ``*arguments``."""
    LOAD_OWN = 27
    """An attribute that no code in scope sets. Other code may, where it is the object's own and not its class's."""
    READ_BELOW = 28
    """Looks at a container that lies below the top of the stack."""
    AGAIN = 29
    """The end of a round of a loop that may be waiting (:mod:`ftcheck.explore.loops`); its argument: what it stores."""


class Granularity(enum.StrEnum):
    """Where a thread may be stopped."""

    ACCESSES = "accesses"
    """Before each operation on something that may be shared."""
    INSTRUCTIONS = "instructions"
    """Before each instruction."""
    LINES = "lines"
    """Before the first instruction of each line."""


_BY_NAME = {
    "LOAD_ATTR": Site.LOAD_ATTR,
    "LOAD_METHOD": Site.LOAD_ATTR,
    "STORE_ATTR": Site.STORE_ATTR,
    "DELETE_ATTR": Site.DELETE_ATTR,
    "LOAD_GLOBAL": Site.GLOBAL_READ,
    "LOAD_NAME": Site.GLOBAL_READ,
    "STORE_GLOBAL": Site.GLOBAL_WRITE,
    "DELETE_GLOBAL": Site.DELETE_GLOBAL,
    "LOAD_DEREF": Site.CELL_READ,
    "STORE_DEREF": Site.CELL_WRITE,
    "DELETE_DEREF": Site.DELETE_CELL,
    "STORE_SUBSCR": Site.SET_ITEM,
    "DELETE_SUBSCR": Site.DELETE_ITEM,
    "CONTAINS_OP": Site.CONTAINS,
    "FOR_ITER": Site.NEXT,
    "GET_ITER": Site.ITERATE,
    "BINARY_SLICE": Site.SLICE,
    "STORE_SLICE": Site.SET_SLICE,
    "TO_BOOL": Site.READ_ONE,
    "GET_LEN": Site.READ_ONE,
    "UNPACK_SEQUENCE": Site.READ_ONE,
    "UNPACK_EX": Site.READ_ONE,
    "FORMAT_SIMPLE": Site.READ_ONE,
    "FORMAT_WITH_SPEC": Site.READ_BELOW,
    "CONVERT_VALUE": Site.READ_ONE,
    "LIST_EXTEND": Site.READ_ONE,
    "SET_UPDATE": Site.READ_ONE,
    "DICT_UPDATE": Site.READ_ONE,
    "DICT_MERGE": Site.READ_ONE,
    "COMPARE_OP": Site.READ_TWO,
    "YIELD_VALUE": Site.YIELD,
    "RETURN_VALUE": Site.RETURN,
    "CALL": Site.CALL,
    "CALL_KW": Site.CALL_KW,
    "CALL_FUNCTION_EX": Site.CALL_EX,
}
_NAMED = {
    Site.LOAD_ATTR,
    Site.LOAD_OWN,
    Site.STORE_ATTR,
    Site.DELETE_ATTR,
    Site.GLOBAL_READ,
    Site.GLOBAL_WRITE,
    Site.DELETE_GLOBAL,
}
_WRITING = {Site.STORE_ATTR, Site.DELETE_ATTR, Site.GLOBAL_WRITE, Site.DELETE_GLOBAL}
_LARGEST = 0xFFFF
"""A larger argument (a function of more than 65,535 names) does not fit into the table: that instruction is no point."""


def _site(instruction: dis.Instruction) -> Site:
    if instruction.opname == "BINARY_OP":
        if instruction.argrepr == "[]":
            return Site.GET_ITEM
        return Site.IN_PLACE if instruction.argrepr.endswith("=") else Site.READ_TWO
    return _BY_NAME.get(instruction.opname, Site.NONE)


class _Instruction(NamedTuple):
    """What matters here of one instruction.

    :param unit: its place, in units of two bytes; **name**: of the attribute or global, or empty.
    """

    unit: int
    opname: str
    site: Site
    argument: int
    name: str
    line: int | None


@functools.lru_cache(maxsize=20_000)
def _instructions(code: types.CodeType) -> tuple[_Instruction, ...]:
    """To take code apart takes longer than all else here, and the next test is about the same code."""
    found = []
    for one in dis.get_instructions(code):
        site = _site(one)
        name = str(one.argval) if site in _NAMED else ""
        found.append(_Instruction(one.offset // 2, one.opname, site, _argument(code, one, site), name, one.line_number))
    return tuple(found)


def _argument(code: types.CodeType, instruction: dis.Instruction, site: Site) -> int:
    """What ``_core/ops.c`` needs besides the operands: the index of a name or of a variable, the number of arguments."""
    if site in _NAMED:
        return code.co_names.index(str(instruction.argval))
    return instruction.arg or 0


def cached_names(kind: type) -> set[str]:
    """The names of a class's attributes that Python code computes and may keep: ``functools.cached_property``."""
    return {
        name
        for name, value in vars(kind).items()
        if hasattr(type(value), "__get__") and not isinstance(value, _PLAIN_DESCRIPTORS)
    }


_PLAIN_DESCRIPTORS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    property,
    classmethod,
    staticmethod,
    type,
)


def stored_names(code: types.CodeType) -> set[str]:
    """The names of attributes and globals that this code object sets or deletes.

    Strings in code that calls ``setattr`` and the like count as well: they may be such names.
    """
    names = {one.name for one in _instructions(code) if one.site in _WRITING}
    if not _DYNAMIC.isdisjoint(code.co_names):
        names.update(_strings(code.co_consts))
    return names


_DYNAMIC = {"setattr", "delattr", "__setattr__", "__delattr__", "__dict__", "vars", "globals"}


def _strings(constants: tuple[object, ...]) -> Iterator[str]:
    for constant in constants:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, tuple):
            yield from _strings(constant)


def table(code: types.CodeType, granularity: Granularity, stored: set[str] | None) -> tuple[bytes, bytes]:
    """The points of a code object: a site for each unit of two bytes, and its argument as an unsigned short.

    :param stored: names that are set anywhere in scope; reading another one cannot be disturbed. None: all are.
    """
    units = len(code.co_code) // 2
    sites, arguments = bytearray(units), [0] * units
    line_seen = None
    for one in _instructions(code):
        site = one.site
        if granularity is Granularity.LINES:
            new_line = one.line is not None and one.line != line_seen
            line_seen = one.line if new_line else line_seen
            site = Site.ANY if new_line and one.opname not in ("RESUME", "MAKE_CELL", "COPY_FREE_VARS") else Site.NONE
        elif granularity is Granularity.INSTRUCTIONS and site is Site.NONE and one.opname not in _NO_EVENT:
            site = Site.ANY
        elif site in (Site.LOAD_ATTR, Site.GLOBAL_READ) and stored is not None and one.name not in stored:
            site = Site.LOAD_OWN if site is Site.LOAD_ATTR else Site.NONE
        if site is not Site.NONE and one.argument <= _LARGEST:
            sites[one.unit] = site
            arguments[one.unit] = one.argument
    if granularity is Granularity.ACCESSES:
        for unit, stores in loops.waiting(code):
            sites[unit], arguments[unit] = Site.AGAIN, stores
    return bytes(sites), struct.pack(f"={units}H", *arguments)


_NO_EVENT = {"CACHE", "RESUME", "EXTENDED_ARG", "NOP", "MAKE_CELL", "COPY_FREE_VARS", "RETURN_GENERATOR"}


def calls_only(code: types.CodeType) -> tuple[bytes, bytes]:
    """The table of code that is not in scope, but calls what may be: only calls with ``*arguments`` are points."""
    sites, _ = table(code, Granularity.ACCESSES, set())
    calls = bytes(site if site == Site.CALL_EX else Site.NONE for site in sites)
    return calls, struct.pack(f"={len(calls)}H", *(site != Site.NONE for site in calls))  # 1: nobody else has the arguments


def callers() -> list[types.CodeType]:
    """The code of the standard library that calls the functions which threads are made for."""
    from concurrent.futures.thread import _WorkItem  # imported or not when a run begins: its points must be the same

    return [function.__code__ for function in (threading.Thread.run, threading.Timer.run, _WorkItem.run)]


def nested(code: types.CodeType) -> Iterator[types.CodeType]:
    """A code object and those of the functions, classes and comprehensions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from nested(constant)


def quiet_threading() -> None:
    """Starting and ending a thread takes locks of the standard library that are nobody's bug: no points there."""
    for name in ("start", "_bootstrap", "_bootstrap_inner", "join", "_delete", "is_alive"):
        _core.quiet_code(getattr(threading.Thread, name).__code__)

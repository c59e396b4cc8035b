"""FT501 to FT506: being attached to the interpreter or not, and critical sections."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ftcheck.audit.rules.capi import BLOCKS
from ftcheck.audit.rules.context import Extension, Place
from ftcheck.audit.rules.families.attached_rules import RULES as RULES
from ftcheck.audit.rules.scanner.lock_names import RETURNS
from ftcheck.audit.rules.scanner.project import Unit
from ftcheck.audit.rules.scanner.scopes import Held
from ftcheck.audit.rules.words import Hit

_ON_THE_GIL = re.compile(
    r"\b(protect(ed|s)|guard(ed|s)|serializ(ed|es)|guarantee[sd]?|ensure[sd]?|rel(y|ies|ying) on|thanks to|because "
    r"of|safe)\b.{0,60}"
    r"\b(the GIL|interpreter lock)\b|\b(GIL|interpreter "
    r"lock)\b.{0,60}\b(protects|guards|serializes|guarantees|ensures|makes)\b|"
    r"\bno (lock|locking|mutex)\b.{0,60}\bGIL\b",
    re.IGNORECASE | re.DOTALL,
)
_NOT_ON_IT = re.compile(
    r"\b(without|free|nogil|disabled|releas\w+|drop\w*|acquir\w+|GIL_DISABLED|isn't|don't|doesn't|allocat\w+)\b",
    re.IGNORECASE,
)
_ATTACHED = re.compile(
    r"_?Py(Err|Object|List|Dict|Tuple|Unicode|Long|Float|Bytes|ByteArray|Set|FrozenSet|Module|Import|Run|Sequence|Mapping|Number|"
    r"Iter|Type|Capsule|Arg|Callable|Buffer|MemoryView|Weakref|Exc|Bool|Complex|Slice|Cell|Function|Method|Codec|Context\w*)_[A-Z]"
    r"[a-z]\w*|Py_(INCREF|DECREF|XINCREF|XDECREF|CLEAR|SETREF|XSETREF|NewRef|XNewRef|BuildValue|Is(True|False|None))"
)  # fmt: skip
"""Functions of the C API that only an attached thread may call. Macros that only read a field are not among them."""
_NEEDS_NONE = frozenset((
    "PyErr_SetInterrupt", "PyErr_SetInterruptEx", "PyLong_AsLong_", "Py_IsNone", "Py_IsTrue", "Py_IsFalse",
    "PyByteArray_Check", "PyBuffer_IsContiguous", "PyMem_RawMalloc", "PyObject_Free_",
))  # fmt: skip
_STAYS = re.compile(
    r"_?Py(Long|Float|Bool|Unicode|Bytes|Complex)_(From|As)\w*|PyErr_(Occurred|SetString|SetNone|NoMemory|Clear)|\w+_Check\w*"
)
"""Functions that neither run other code nor wait for a lock of an object."""
_SECTION = re.compile(r"(_?Py_)?\w*BEGIN_CRITICAL_SECTION\w*")
_STATES = frozenset(("PyThreadState", "PyInterpreterState"))


def find(extension: Extension) -> Iterator[Hit]:
    """Look for them."""
    for unit in extension.project.units:
        yield from _comments(unit)
        for one in (*unit.variables, *unit.statics):
            if set(one.type.split()) & _STATES and one.pointer and one.shared:
                function = one.function.qualified if one.function is not None else ""
                yield Hit(
                    "FT505",
                    unit.path,
                    one.line,
                    function,
                    f"{one.name} keeps a state that is another thread's: PyThreadState_Get",
                )
    for place in extension.everywhere():
        yield from _sections(place)
        if not extension.project.starts_up(place.function):
            yield from _blocking(place)
        yield from _detached(place)
        if place.function.names & {"_PyRuntime", "_PyThread_CurrentFrames"}:
            for index in range(place.function.begin, place.function.end):
                if place.text(index) == "_PyRuntime":
                    yield place.hit("FT505", place.line(index), "_PyRuntime is the interpreter's own, and changes under you")
                elif place.text(index) == "_PyThread_CurrentFrames":
                    yield place.hit("FT506", place.line(index), "frames of threads that run meanwhile")


def _comments(unit: Unit) -> Iterator[Hit]:
    for comment in unit.text.comments:
        if unit.compiled.is_dead(comment.line):
            continue
        if "GIL" not in comment.text and "interpreter lock" not in comment.text:
            continue
        text = " ".join(comment.text.split())
        if _ON_THE_GIL.search(text) and not _NOT_ON_IT.search(text):
            function = unit.function_at(comment.last + 1)
            yield Hit(
                "FT501",
                unit.path,
                comment.line,
                function.qualified if function else "",
                "a comment relies on the GIL: there is none",
            )


def _sections(place: Place) -> Iterator[Hit]:
    locks = [one for one in place.project.scopes(place.function).locks if one[2].kind == "critical section"]
    if not locks or not any(_SECTION.fullmatch(call.name) and "BEGIN" in call.name for call in place.function.calls):
        return
    for begin, end, held in locks:
        if end >= place.function.end:
            if _closes(place):
                continue
            yield place.hit("FT503", held.line, f"the critical section on {held.what} does not end in this function")
            continue
        for index in range(begin, end):
            text = place.text(index)
            leaves = (
                text == "return"
                or text in RETURNS
                or (text == "goto" and not begin <= _label(place, place.text(index + 1)) < end)
            )
            if leaves and not _in_lambda(place, begin, index):
                yield place.hit(
                    "FT503", place.line(index), f"{text} leaves the critical section on {held.what} without its end"
                )
    for number, (begin, end, held) in enumerate(locks):
        for other_begin, _, other in locks[number + 1 :]:
            if begin < other_begin < end and other.line != held.line:
                yield place.hit(
                    "FT503", other.line, f"a critical section in the one on {held.what}, which may be suspended here", "C"
                )


def _closes(place: Place) -> bool:
    """Whether the function opens what another one is to close, as its name or its lack of an end says."""
    return place.function.name in place.project.effects


def _label(place: Place, name: str) -> int:
    for index in range(place.function.begin, place.function.end):
        if place.text(index) == name and place.text(index + 1) == ":" and place.text(index - 1) in (";", "}", "{", ":", ")"):
            return index
    return -1


def _in_lambda(place: Place, begin: int, index: int) -> bool:
    if not place.unit.cplusplus:
        return False
    return any(place.text(at) == "[" and place.text(at - 1) in ("(", ",", "=") for at in range(begin, index))


def _blocking(place: Place) -> Iterator[Hit]:
    function = place.function
    api = [call for call in function.calls if _ATTACHED.fullmatch(call.name) and not call.name.startswith("Py_")]
    stopping = [call for call in api if not _STAYS.fullmatch(call.name)]
    scopes = place.project.scopes(function)
    for begin, end, held in scopes.locks:
        if held.kind != "lock" or scopes.is_detached(begin) or "CRITICAL" in held.what:
            continue
        inside = next((call for call in stopping if begin < call.index < end and not scopes.is_detached(call.index)), None)
        if inside is not None:
            yield place.hit(
                "FT502",
                held.line,
                f"{_named(held)} is waited for while attached, and {inside.name} is called under it: PyMutex",
            )
    if api:
        for call in function.calls:
            theirs = place.project.graph.resolve(place.unit, call.name) is not None or place.text(call.index - 1) == "::"
            if call.name in BLOCKS and not call.member and not theirs and not scopes.is_detached(call.index):
                yield place.hit(
                    "FT502", call.line, f"{call.name} can block while the thread is attached: Py_BEGIN_ALLOW_THREADS"
                )


def _named(held: Held) -> str:
    return held.what or "a lock"


def _detached(place: Place) -> Iterator[Hit]:
    scopes = place.project.scopes(place.function)
    if not scopes.detached:
        return
    for call in place.function.calls:
        if call.member or call.name in _NEEDS_NONE or not scopes.is_detached(call.index):
            continue
        if _ATTACHED.fullmatch(call.name) and not call.name.endswith(("_Check", "_CheckExact")):
            yield place.hit("FT504", call.line, f"{call.name} while the thread is detached: attach it first")

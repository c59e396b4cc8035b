"""Loops that may be waiting for another thread: ``while not self.ready: time.sleep(0)``.

A systematic search does not want to go round such a loop again as long as nothing has changed (``_core/await.c``). Whether
something has is seen when it runs. Here is decided which loops are worth looking at: those that keep nothing on the
interpreter's stack and change nothing themselves but local variables, few enough to be compared. A loop that counts, or
walks something, or stores anywhere else, is none; its backward jumps cost no event.
"""

from __future__ import annotations

import dis
import functools
import types

_LOCALS = 16
"""``FTC_LOOP_LOCALS`` in ``_core/sched.h``."""
_STORES = {"STORE_FAST", "STORE_FAST_LOAD_FAST", "STORE_FAST_STORE_FAST"}
_HARMLESS = {
    *("LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK", "LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW"),
    *("LOAD_CONST", "LOAD_SMALL_INT", "LOAD_COMMON_CONSTANT", "LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_ATTR"),
    *("PUSH_NULL", "CALL", "CALL_KW", "POP_TOP", "COPY", "SWAP", "NOP", "NOT_TAKEN", "EXTENDED_ARG", "CACHE"),
    *("TO_BOOL", "UNARY_NOT", "UNARY_NEGATIVE", "COMPARE_OP", "IS_OP", "CONTAINS_OP", "BINARY_OP", "BUILD_TUPLE"),
    *("POP_JUMP_IF_TRUE", "POP_JUMP_IF_FALSE", "POP_JUMP_IF_NONE", "POP_JUMP_IF_NOT_NONE", "JUMP_FORWARD", "JUMP_BACKWARD"),
    *_STORES,
}


@functools.lru_cache(maxsize=20_000)
def waiting(code: types.CodeType) -> tuple[tuple[int, int], ...]:
    """The backward jumps of such loops: the unit (of two bytes) of each, and the variables stored in its loop, as bits."""
    if code.co_nlocals + len(code.co_cellvars) + len(code.co_freevars) > _LOCALS:
        return ()
    instructions = list(dis.get_instructions(code))
    found = []
    for jump in instructions:
        if jump.opname == "JUMP_BACKWARD" and jump.jump_target is not None:
            body = [one for one in instructions if jump.jump_target <= one.offset <= jump.offset]
            if all(one.opname in _HARMLESS and not _in_place(one) for one in body):
                found.append((jump.offset // 2, functools.reduce(int.__or__, (_stored(code, one) for one in body), 0)))
    return tuple(found)


def _in_place(one: dis.Instruction) -> bool:
    return one.opname == "BINARY_OP" and one.argrepr.endswith("=")


def _stored(code: types.CodeType, one: dis.Instruction) -> int:
    if one.opname not in _STORES:
        return 0
    names = one.argval if isinstance(one.argval, tuple) else (one.argval,)
    stored = names[:1] if one.opname == "STORE_FAST_LOAD_FAST" else names
    return functools.reduce(int.__or__, (1 << code.co_varnames.index(name) for name in stored), 0)

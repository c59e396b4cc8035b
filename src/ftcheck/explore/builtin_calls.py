"""What calls of builtins do to containers: whether they read or write, and which argument is the object, which the item.

A read and a write of different items of one dict do not disturb each other; two reads never do. What is not listed here is
taken for a write to its object (``_core/calls.c``), which costs a scheduling point where none is needed, and no bug.
"""

from __future__ import annotations

import builtins
import collections
import contextlib
import contextvars
import re
from collections.abc import Callable
from typing import Any

from ftcheck import _core

NOTHING, READ, WRITE, BLIND = 0, 1, 2, 6
"""``enum ftc_kind``; BLIND is a write, too."""

_READS: dict[type, str] = {
    list: "copy count index __len__ __iter__ __contains__ __reversed__",
    dict: "copy items keys values __len__ __iter__ __reversed__",
    set: "copy difference intersection isdisjoint issubset issuperset symmetric_difference union __contains__ __len__",
    collections.deque: "copy count index __len__ __contains__",
    bytearray: "copy count decode endswith find hex index join lower startswith upper",
}
_WITH_KEY: dict[type, dict[str, int]] = {
    dict: {"get": READ, "__getitem__": READ, "__contains__": READ, "pop": WRITE, "setdefault": WRITE, "__setitem__": WRITE},
    list: {},
}
_KEEPS: dict[type, str] = {
    list: "append insert pop clear reverse __setitem__",
    dict: "get pop popitem setdefault clear __getitem__ __contains__ __setitem__ __delitem__",
    set: "add discard remove pop clear",
    collections.deque: "append appendleft insert pop popleft clear rotate reverse __setitem__",
}
"""These take or give items, and do not look into them."""
_UNCHANGING: tuple[type, ...] = (re.Pattern, re.Match, contextvars.ContextVar)
"""What their methods do other threads cannot see: nothing changes, or only what belongs to the calling one."""
_BLIND = frozenset({"append", "appendleft", "insert", "add", "discard", "clear", "reverse", "rotate", "__setitem__"})
"""Of these, those from which nobody learns what was there before."""
_READING_FUNCTIONS = "len sum min max any all sorted iter enumerate repr hash id format print getattr hasattr isinstance"
_CHANGING_FUNCTIONS = "setattr delattr vars"
_HARMLESS = "isinstance id callable issubclass type hash globals locals print open input exec eval compile __import__"


def classify() -> None:
    """Tell the core about all of them; to be called once."""
    for kind, names in _READS.items():
        for name in names.split():
            _method(kind, name, READ, -1)
    for kind, keyed in _WITH_KEY.items():
        for name, what in keyed.items():
            _method(kind, name, what, 1, alone=True)
    for kind, names in _KEEPS.items():
        for name in names.split():
            if name not in _READS[kind].split() and name not in _WITH_KEY.get(kind, {}):
                _method(kind, name, BLIND if name in _BLIND else WRITE, -1, alone=True)
    for kind in _UNCHANGING:
        for name in vars(kind):
            _method(kind, name, NOTHING, -1, alone=True)
    for name in _CHANGING_FUNCTIONS.split():
        _function(getattr(builtins, name), WRITE)
    for name in _READING_FUNCTIONS.split():
        _function(getattr(builtins, name), READ)
    for name in _HARMLESS.split():
        _function(getattr(builtins, name), NOTHING)


def _method(kind: type, name: str, what: int, key: int, alone: bool = False) -> None:
    _classify(getattr(kind, name, None), what, key, alone)


def _function(function: Callable[..., Any], what: int) -> None:
    _classify(function, what, -1, what == NOTHING)


def _classify(callable: object, what: int, key: int, alone: bool) -> None:
    with contextlib.suppress(TypeError):  # a class, or a slot wrapper: C code reaches it by its slot
        _core.classify(callable, what, 0, key, alone)

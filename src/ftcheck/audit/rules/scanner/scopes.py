"""Which locks are held at a place in a function, and whether the thread is attached there.

Text order stands for the flow of control, with one exception: a lock that is given back in a block that ends by leaving
(``return``, ``goto``, ``break``, ...) is held again after that block.

A lock is what locks it: CPython's critical sections and mutexes, those of POSIX, C11, C++ and Windows, spin locks made of
atomic exchanges, guards that last until the end of their block, and the project's own macros and functions that take or give
back one of these and nothing else (:func:`effects`).

A critical section does not protect while the thread is detached: CPython suspends it (``Python/critical_section.c``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ftcheck.audit.rules.scanner.calls import Call
from ftcheck.audit.rules.scanner.functions import Function, Shape
from ftcheck.audit.rules.scanner.lock_names import (
    ATTACH,
    DETACH,
    DETACHED_GUARD,
    GUARD,
    GUARD_SHARED,
    RETURNS,
    SPIN,
    SPIN_GIVE,
    Effect,
    Kind,
    direct,
    spin,
)
from ftcheck.audit.rules.scanner.tokens import NAME, Token

_LEAVES = frozenset(("return", "goto", "break", "continue", "throw", *RETURNS))


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that is held.

    :param what: what it locks, as the code names it.
    :param shared: other threads can have it at the same time.
    """

    kind: Kind
    what: str
    line: int
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Scopes:
    """What is held where in one function.

    :param locks: (first token, token after the last one, lock).
    :param detached: the same, of regions in which the thread is detached.
    """

    locks: tuple[tuple[int, int, Held], ...] = ()
    detached: tuple[tuple[int, int], ...] = ()

    def held(self, index: int) -> tuple[Held, ...]:
        """The locks that are held at this token, the oldest first."""
        found = tuple(one for begin, end, one in self.locks if begin <= index < end)
        if found and self.is_detached(index):
            return tuple(one for one in found if one.kind != "critical section")
        return found

    def exclusive(self, index: int) -> bool:
        """Whether a lock is held there that no other thread can have at the same time."""
        return any(not one.shared for one in self.held(index))

    def is_detached(self, index: int) -> bool:
        """Whether the thread is detached there (what releasing the GIL was)."""
        return any(begin <= index < end for begin, end in self.detached)


def effects(macros: Mapping[str, str], functions: Iterable[Function]) -> dict[str, Effect]:
    """The macros and functions of a project that only take a lock, or only give one back.

    A macro may be made of others. A function counts if nothing in it is of the other sort.
    """
    found: dict[str, Effect] = {}
    for _ in range(3):
        for name, body in macros.items():
            _note(name, (direct(word) or found.get(word) for word in re.findall(r"[A-Za-z_]\w*", body)), found)
    for function in functions:
        if not _is_guard_class(function):
            words = [call.name for call in function.calls]
            spins = len(words) <= 3
            _note(function.name, (direct(one) or found.get(one) or (spin(one) if spins else None) for one in words), found)
    return found


def _is_guard_class(function: Function) -> bool:
    return function.name.lstrip("~") == function.owner != ""


def _note(name: str, of: Iterable[Effect | None], found: dict[str, Effect]) -> None:
    seen = {one for one in of if one is not None}
    if direct(name) is None and len({one[0] for one in seen}) == 1:
        found[name] = sorted(seen)[0]


def of_function(shape: Shape, function: Function, own: Mapping[str, Effect], guards: Mapping[str, Kind]) -> Scopes:
    """What is held where in it.

    :param own: what the project's macros and functions do (:func:`effects`).
    :param guards: classes of the project whose objects hold a lock as long as they live, and its kind.
    """
    return _Walk(shape, function, own, guards).run()


@dataclass(slots=True)
class _Open:
    held: Held
    begin: int
    depth: int
    name: str  # of the guard; empty: none
    again: int = -1  # it was given back by a block that leaves: held again from there


class _Walk:
    def __init__(self, shape: Shape, function: Function, own: Mapping[str, Effect], guards: Mapping[str, Kind]) -> None:
        self.code, self.depth, self.function = shape.tokens, shape.depth, function
        self.own, self.guards = own, guards
        self.open: list[_Open] = []
        self.locks: list[tuple[int, int, Held]] = []
        self.detached: list[tuple[int, int]] = []
        self.detached_from: list[tuple[int, int]] = []  # (token, depth), of guards also the depth of their block

    def run(self) -> Scopes:
        code, end = self.code, self.function.end
        calls = {call.index: call for call in self.function.calls}
        for index in range(self.function.begin, end):
            token = code[index]
            if token.text == "}":
                self._block_ends(index)
            elif token.kind == NAME:
                if index in calls:
                    self._call(calls[index])
                self._name(index, token)
        for one in self.open:
            self._close(one, end)
        self.detached += [(begin, end) for begin, _ in self.detached_from]
        return Scopes(tuple(sorted(self.locks, key=lambda one: one[0])), tuple(self.detached))

    def _name(self, index: int, token: Token) -> None:
        text = token.text
        if DETACH.fullmatch(text):
            self.detached_from.append((index, -1))
        elif ATTACH.fullmatch(text):
            if self.detached_from:
                self.detached.append((self.detached_from.pop()[0], index))
        elif text in DETACHED_GUARD:
            self.detached_from.append((index, self.depth[index]))
        elif GUARD.fullmatch(text) or text in self.guards or GUARD_SHARED.fullmatch(text):
            self._guard(index, bool(GUARD_SHARED.fullmatch(text)))
        elif text in self.own and self.code[index + 1].text != "(":
            self._effect(self.own[text], index, index, "")

    def _guard(self, index: int, shared: bool) -> None:
        """``std::lock_guard<std::mutex> name(mutex);``. Without a name it is gone at once, and holds nothing."""
        code, at = self.code, index + 1
        if code[at].text == "<":
            depth = 0
            while at < self.function.end:
                depth += {"<": 1, ">": -1, ">>": -2}.get(code[at].text, 0)
                at += 1
                if depth <= 0:
                    break
        if code[at].kind == NAME and code[at + 1].text in ("(", "{"):
            what = _words(code, at + 2, _end(code, at + 1, self.function.end))
            if "defer_lock" not in what:
                kind = self.guards.get(
                    code[index].text, "critical section" if "critical_section" in code[index].text else "lock"
                )
                self.open.append(_Open(Held(kind, what, code[index].line, shared), at, self.depth[index], code[at].text))

    def _call(self, call: Call) -> None:
        effect = direct(call.name) or self.own.get(call.name)
        what = _words(self.code, call.index + 2, call.end)
        if effect is None and call.member and call.name in ("lock", "lock_shared", "unlock", "unlock_shared"):
            what = _receiver(self.code, call.index)
            effect = ("give" if "un" in call.name else "take", "lock", call.name.endswith("shared"))
        if effect is None and SPIN.fullmatch(call.name) and self._spins(call.index):
            what = _receiver(self.code, call.index) if call.member else _words(self.code, *(call.args or ((0, 0),))[0])
            again = any(one.held.what == what and one.again < 0 for one in self.open)  # put back by the same operation
            effect = ("give" if again else "take", "lock", False)
        elif effect is None and SPIN_GIVE.fullmatch(call.name) and self.open:
            what = _receiver(self.code, call.index) if call.member else _words(self.code, *(call.args or ((0, 0),))[0])
            if any(one.held.what == what for one in self.open):
                effect = ("give", "lock", False)
        if effect is not None:
            self._effect(effect, call.index, call.end, what)

    def _spins(self, index: int) -> bool:
        """Whether it is in the condition of ``while``."""
        depth = 0
        for at in range(index - 1, max(self.function.begin, index - 40), -1):
            text = self.code[at].text
            depth += {")": 1, "(": -1}.get(text, 0)
            if text in (";", "{", "}"):
                return False
            if depth < 0 and text == "(" and self.code[at - 1].text == "while":
                return True
        return False

    def _effect(self, effect: Effect, index: int, end: int, what: str) -> None:
        for one in self.open:
            if 0 <= one.again <= index:  # behind the block that left
                one.begin, one.again = one.again, -1
        doing, kind, shared = effect
        if doing == "take":
            self.open.append(_Open(Held(kind, what, self.code[index].line, shared), end, self.depth[index], ""))
            return
        for one in reversed(self.open):
            same = kind == "critical section" == one.held.kind
            if one.again < 0 and (same or one.held.what == what or one.name == what.rstrip(".")):
                self._give(one, index)
                return
        for one in reversed(self.open):  # named in another way
            if one.again < 0 and one.held.kind == kind and kind != "critical section" and not one.name:
                self._give(one, index)
                return

    def _give(self, one: _Open, index: int) -> None:
        again = self._leaves(index) if self.depth[index] > one.depth else -1
        self._close(one, index)
        if again >= 0:
            one.again = again
        else:
            self.open.remove(one)

    def _leaves(self, index: int) -> int:
        """If the block ends by leaving after this token: the token after which we are back where it was not entered."""
        inside = self.depth[index]
        for at in range(index, self.function.end):
            if self.depth[at] == inside and self.code[at].text in _LEAVES:
                while at < self.function.end and self.code[at].text != ";":
                    at += 1
                return at
            if self.code[at].text == "}" and self.depth[at] == inside:
                return -1
        return -1

    def _close(self, one: _Open, end: int) -> None:
        begin = one.begin if one.again < 0 else one.again
        if begin < end:
            self.locks.append((begin, end, one.held))
        one.again = -1
        one.begin = end

    def _block_ends(self, index: int) -> None:
        for one in list(self.open):
            if one.name and self.depth[index] == one.depth:
                self._close(one, index)
                self.open.remove(one)
        for begin, depth in list(self.detached_from):
            if depth == self.depth[index]:
                self.detached.append((begin, index))
                self.detached_from.remove((begin, depth))


def _words(code: Sequence[Token], begin: int, end: int) -> str:
    return "".join(code[index].text for index in range(begin, end)).lstrip("&")


def _receiver(code: Sequence[Token], index: int) -> str:
    """``self->lock`` for ``self->lock.lock()``."""
    at = index - 1
    while at > 0 and (code[at].kind == NAME or code[at].text in ("->", ".", "::")):
        at -= 1
    return "".join(code[one].text for one in range(at + 1, index - 1))


def _end(code: Sequence[Token], index: int, limit: int) -> int:
    depth = 0
    for at in range(index, limit):
        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(code[at].text, 0)
        if depth == 0:
            return at
    return limit

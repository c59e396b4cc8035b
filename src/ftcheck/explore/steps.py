"""One operation of the log as a step of the story: what it did, to what, with which value, and at which line.

*Names.* The same object has the same name everywhere (:mod:`ftcheck.explore.naming`). A lock that is used inside a call of
the standard library (``queue.put(1)``, ``condition.wait()``) is not named: the call is what the code says.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import CodeType

from ftcheck.explore.expressions import Reader, Spot
from ftcheck.explore.holding import Holds
from ftcheck.explore.log import LOCKING, QUEUEING, Kind, Operation
from ftcheck.explore.naming import Names
from ftcheck.explore.native import NativeReader
from ftcheck.narrative import Did, Step
from ftcheck.verdicts import Location


class Steps:
    """Of one run.

    :param pending: what threads were about to do when the run was given up.
    :param orders: whether the taking or giving back of a lock, by its number in the log, has to do with other threads.
    :param in_c: the taking of locks of C code that were held when the run was given up.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        pending: Sequence[Operation],
        holds: Holds,
        orders: Callable[[int], bool],
        in_c: Sequence[Operation] = (),
    ) -> None:
        self._operations, self._pending, self._holds, self._orders = operations, pending, holds, orders
        self._reader = Reader()
        self._native = NativeReader([*operations, *pending, *in_c])
        self._in_c = {one.object: one for one in in_c}
        self._contended = _contended([*operations, *pending])
        self._calls = {self.call_of(one) for one in operations if one.typed}
        self._names = Names()
        self._places: dict[Location, int] = {}

    @property
    def places(self) -> tuple[Location, ...]:
        """The lines of code that steps refer to by their numbers here."""
        return tuple(self._places)

    def name(self, shared: set[int]) -> None:
        """Give the objects their names. To be called before any step is made.

        :param shared: objects that several threads use.
        """
        for one in [*self._operations, *self._pending]:
            spot = self.spot(one)
            if spot is None or not one.object or one.code is None:
                continue  # those in extensions bring their names with them
            if not (one.kind in LOCKING and self._inside_a_call(one, spot)):
                self._names.see(one.object, spot, one.kind in LOCKING)
        self._names.settle(shared | self._contended)

    def step(self, number: int, telling: bool) -> Step | None:
        """What the operation with this number is; None: nothing that a reader should see.

        :param telling: others can tell this access.
        """
        one = self._operations[number]
        if one.kind in (Kind.BEGIN, Kind.END):
            return Step(Did.BEGIN if one.kind == Kind.BEGIN else Did.END)
        spot = self.spot(one)
        place = self.place(spot.place if spot else None)
        if one.kind in (Kind.START, Kind.JOIN):
            return Step(Did.START if one.kind == Kind.START else Did.JOIN, place=place, threads=one.threads)
        if one.kind == Kind.OUT:
            function = (one.value or "").partition(", in ")[2]
            return Step(Did.OUTSIDE, value=function or None, place=place, matters=True)
        if spot is None:
            return None  # what the interpreter does by itself, for instance when a thread ends
        if one.kind == Kind.LOOK:
            return Step(Did.READ, spot.text, one.value if spot.callee == "is_alive" else None, place, matters=True)
        if one.kind == Kind.CLOCK:
            return Step(Did.READ, spot.text, one.value, place, matters=True) if one.typed == 1 else None
        if one.kind == Kind.SLEEP:
            awake = number > 0 and self._operations[number - 1].thread != one.thread
            return Step(Did.SLEEP, spot.text, "over" if awake else None, place)
        if one.kind in (Kind.READ, Kind.WRITE):
            if one.typed and not spot.callee and spot.opcode.startswith("CALL"):
                return None  # ``with`` calls what takes or gives back a lock, and that says so
            return replace(self._access(one, spot), place=place, matters=telling)
        if one.kind in QUEUEING or self._inside_a_call(one, spot):
            return Step(Did.CALL, spot.text, place=place, matters=one.object in self._contended)
        name = self._names.of(one.object, spot)
        if one.kind == Kind.TRY:
            taken = self._holds.of(number) is not None
            if one.waited and not taken:
                return Step(Did.TIMEOUT, name, place=place, matters=True)
            return Step(Did.TRY, name, "taken" if taken else "held", place, one.object in self._contended)
        if one.kind not in (Kind.ACQUIRE, Kind.RELEASE):
            return None
        did = Did.ACQUIRE if one.kind == Kind.ACQUIRE else Did.RELEASE
        leaving = "exception" if spot.opcode == "WITH_EXCEPT_START" else None
        return Step(did, name, leaving, place, self._orders(number))

    def _access(self, one: Operation, spot: Spot) -> Step:
        read = one.kind == Kind.READ
        if spot.opcode == "FOR_ITER":
            return Step(Did.NEXT, self._names.of(one.also or one.object, spot))
        if spot.opcode == "GET_ITER":
            return Step(Did.CALL, f"iter({self._names.of(one.object, spot)})")
        if spot.callee:
            return self._call(one, spot)
        if one.code is None:
            did = Did.CALL if spot.text else Did.READ if read else Did.WRITE
            return Step(did, spot.text or spot.owner, one.value)
        if spot.opcode in ("CONTAINS_OP", "COMPARE_OP", "BINARY_OP") and not spot.member:
            owner = self._names.of(one.object, spot)
            if read and one.value is None:
                return Step(Did.READ, owner)
            return Step(Did.READ if read else Did.CALL, spot.text or owner, one.value)
        did = Did.READ if read else Did.DELETE if spot.opcode.startswith("DELETE") else Did.WRITE
        return Step(did, self._names.member(one.object, one.key, spot), one.value)

    def _call(self, one: Operation, spot: Spot) -> Step:
        name = self._names.of(one.object, spot)
        if spot.alone:
            return Step(Did.READ, name, one.value) if one.kind == Kind.READ else Step(Did.CALL, f"{spot.callee}({name})")
        if one.value is not None and "<" not in one.value and spot.text.startswith(f"{spot.owner}.{spot.callee}("):
            return Step(Did.CALL, f"{name}.{spot.callee}({one.value})")
        return Step(Did.CALL, spot.text)

    def wait(self, one: Operation, end: int) -> Step:
        """A thread is stuck, for now or for ever, before this operation."""
        spot = self.spot(one)
        place = self.place(spot.place if spot else None)
        if one.kind == Kind.JOIN:
            holds = any(hold.thread == one.thread and self.is_named(hold.begin) for hold in self._holds.left())
            return Step(Did.WAIT, place=place, threads=one.threads, matters=holds and one in self._pending)
        if spot is None:
            return Step(Did.WAIT, place=place)
        if one.kind not in LOCKING or self._inside_a_call(one, spot):
            did = Did.SLEEP if one.kind == Kind.SLEEP else Did.WAIT
            return Step(did, spot.text, place=place, matters=True)
        hold = self._holds.during(one.object, end)
        name = self._names.of(one.object, spot)
        if hold is not None:
            return Step(Did.WAIT, name, None, place, True, hold.thread, self.lock(hold.begin)[1])
        taken = self._in_c.get(one.object) if one in self._pending else None
        if taken is not None:
            return Step(Did.WAIT, name, None, place, True, taken.thread, self.lock_of(taken)[1])
        return Step(Did.WAIT, name, place=place, matters=True)

    def lock(self, number: int) -> tuple[str, int]:
        """Name of the lock that the operation with this number takes, and number of the place where it does."""
        return self.lock_of(self._operations[number])

    def lock_of(self, one: Operation) -> tuple[str, int]:
        """The same of an operation."""
        spot = self.spot(one)
        if spot is None:
            return "", -1
        return self._names.of(one.object, spot), self.place(spot.place)

    def made(self, where: tuple[CodeType, int] | None) -> int:
        """Number of this place, given as code and offset; -1 where there is none."""
        spot = None if where is None else self._reader.spot(*where)
        return -1 if spot is None else self.place(spot.place)

    def is_named(self, number: int) -> bool:
        """Whether the code itself says which lock this operation takes."""
        one = self._operations[number]
        spot = self.spot(one)
        return spot is not None and not self._inside_a_call(one, spot)

    def _inside_a_call(self, one: Operation, spot: Spot) -> bool:
        """Whether a lock is used by the function that is called here: ``semaphore.acquire()`` is no lock's."""
        return not spot.calls_a_lock or (bool(spot.callee) and self.call_of(one) in self._calls)

    def spot(self, one: Operation) -> Spot | None:
        """What the code says where an operation was done."""
        return self._native.spot(one) if one.code is None else self._reader.spot(one.code, one.offset)

    def place(self, location: Location | None) -> int:
        """Number of a line of code; -1 where there is none."""
        return -1 if location is None else self._places.setdefault(location, len(self._places))

    def call_of(self, one: Operation) -> tuple[int, int] | None:
        """The instruction that did it: operations of one call have the same."""
        return None if one.code is None and one.offset >= -1 else (id(one.code), one.offset)


def _contended(operations: Sequence[Operation]) -> set[int]:
    """Locks and queues that several threads use."""
    users: dict[int, set[int]] = collections.defaultdict(set)
    for one in operations:
        if one.kind in LOCKING | QUEUEING and one.object:
            users[one.object].add(one.thread)
    return {object for object, threads in users.items() if len(threads) > 1}

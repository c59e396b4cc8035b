"""Race candidates: which pairs of accesses nothing orders, and what if they come the other way round?

The log of each run tells which accesses to one variable happens-before left unordered, and which came first
(``_core/races.c``, which also says what a variable is). A pair is told by its two places in the code and what they do; two
threads at these places have an order in each run. To see the other one, a run is repeated up to the first access, the other
thread goes first until it has done its own, and then all goes on as before. Most pairs are reversed by the search anyway.

*Confirmed* is a pair that decides: in a failing run this pair is reversed, and nothing else that need not be (that is,
except what the other thread has to do before it comes there), and the test passes. Only runs that come to their end count:
one that was given up says nothing about the check.
"""

from __future__ import annotations

import ast
import collections
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import CodeType

from ftcheck import _core
from ftcheck.candidates import Access, Candidate, Candidates, Mark
from ftcheck.coverage import counted
from ftcheck.explore.control import Attempt, Control, Ending, Log, Run
from ftcheck.explore.expressions import Reader, Spot
from ftcheck.explore.log import Kind
from ftcheck.explore.minimise import Minimised, identity
from ftcheck.locations import Location

LOG = Log.SWITCHES | Log.OPERATIONS
_TRIES = 4
"""Runs that are made to reverse one pair of places, from different runs or with other threads."""
_WAITING = 64
"""Reversals that are kept until it is their turn: each holds the order of a whole run."""
_PATIENCE = 300
"""Runs to find out which pairs decide."""
_FAILURES, _ALIKE = 5, 3
"""Different failures in which pairs are reversed, and runs with one of them."""

type _Access = tuple[int, int, CodeType, int, int]
"""Of a run: thread, step, code, offset, whether it writes."""
type _Place = tuple[int, int, int]
"""The id of a code object, an offset, whether it writes."""


@dataclass(frozen=True, slots=True)
class _Reversal:
    """:param first: (thread, step) of what came first; **second**: likewise."""

    pair: _Pair
    order: bytes
    first: tuple[int, int]
    second: tuple[int, int]


@dataclass(slots=True, eq=False)
class _Pair:
    """Two places in the code.

    :ivar passing: orders that came up in runs that passed: (thread at the one place, thread at the other, which was first).
    :ivar failing: the same of runs that failed.
    :ivar put_back: it was reversed in a failing run.
    :ivar decisive: failing runs in which it is to be reversed, because that order came up in no run that passed.
    """

    one: _Place
    other: _Place
    unordered: bool = False
    confirmed: bool = False
    put_back: bool = False
    queued: int = 0
    tries: int = 0
    passing: set[tuple[int, int, bool]] = field(default_factory=set)
    failing: set[tuple[int, int, bool]] = field(default_factory=set)
    decisive: list[_Reversal] = field(default_factory=list)

    @property
    def mark(self) -> Mark:
        if self.confirmed:
            return Mark.CONFIRMED
        if _both(self.passing):
            return Mark.HELD
        return Mark.NOT_MENDED if _both(self.passing | self.failing) else Mark.NOT_EXPLORED


def _both(orders: set[tuple[int, int, bool]]) -> bool:
    return any((one, other, not first) in orders for one, other, first in orders)


class Hunt:
    """Watches the runs of one test, or of the examples of one."""

    def __init__(self) -> None:
        self._codes: dict[int, CodeType] = {}
        self._pairs: dict[tuple[_Place, _Place], _Pair] = {}
        self._waiting: collections.deque[_Reversal] = collections.deque()
        self._failures: collections.Counter[tuple[object, ...]] = collections.Counter()
        self._failing: list[_Reversal] = []
        self._turn = 0
        self._schedules = self._reversing = self._untried = 0
        self._limit = "schedules"
        self._reader = Reader()

    def begin(self) -> None:
        """Another search begins: orders of runs with other data are of no use any more."""
        self._waiting.clear()
        self._failures.clear()
        self._failing.clear()
        for pair in self._pairs.values():
            pair.decisive.clear()

    def next(self) -> Attempt | None:
        """At every second call, a run that reverses a pair of which one order was seen only; None where there is none."""
        self._turn += 1
        while self._turn % 2 and self._waiting:
            reversal = self._waiting.popleft()
            if not _both(reversal.pair.passing):
                self._reversing += 1
                reversal.pair.tries += 1
                return Attempt("follow", reversal.order, strategy="reversing")
        return None

    def see(self, run: Run) -> None:
        """Take in the last run, which has noted its operations."""
        self._schedules += 1
        passed, failed = run.ending is Ending.COMPLETE and not run.failed, run.failed
        fresh = failed and self._is_another_failure(identity(run))
        for first, second, ordered, one, other in _core.races():
            pair, swapped = self._pair(one, other)
            pair.unordered |= not ordered
            threads = (other[0], one[0], False) if swapped else (one[0], other[0], True)
            new = threads not in pair.passing
            if fresh and not ordered and len(self._failing) < _PATIENCE:
                self._failing.append(_Reversal(pair, _core.reversal(first, second), one[:2], other[:2]))
            if passed:
                pair.passing.add(threads)
            elif failed:
                pair.failing.add(threads)
            if ordered or not new or _both(pair.passing) or run.ending is Ending.REDUNDANT:
                continue
            if passed and pair.queued < _TRIES and len(self._waiting) < _WAITING:
                pair.queued += 1
                self._waiting.append(_Reversal(pair, _core.reversal(first, second), one[:2], other[:2]))
            elif failed and len(pair.decisive) < _TRIES // 2:
                pair.decisive.append(_Reversal(pair, _core.reversal(first, second), one[:2], other[:2]))

    def confirm(self, control: Control, body: Callable[[], object], small: Minimised | None, until: float | None) -> None:
        """Find out which pairs decide: first in the failing run that was made small, then in the others.

        :param until: when to stop, by :func:`time.monotonic`.
        """
        left = _PATIENCE
        in_the_small_one = self._in_the_failing_run(control, body, small)
        for reversal in [*in_the_small_one, *self._failing, *self._undecided()]:  # a copy: each run adds to them
            if reversal.pair.confirmed:
                continue
            if left == 0 or (until is not None and time.monotonic() > until):
                self._untried += 1
                continue
            left -= 1
            self._reversing += 1
            run = control.run(body, Attempt("follow", reversal.order), LOG)
            reversed_now = _is_reversed(reversal)
            self.see(run)
            reversal.pair.put_back |= reversed_now
            reversal.pair.confirmed = reversed_now and not run.failed and run.ending is Ending.COMPLETE

    def end(self, limit: str) -> None:
        """:param limit: what ended the search: ``"complete"``, ``"schedules"`` or ``"seconds"``."""
        self._limit = limit

    def _is_another_failure(self, what: tuple[object, ...]) -> bool:
        if what not in self._failures and len(self._failures) == _FAILURES:
            return False
        self._failures[what] += 1
        return self._failures[what] <= _ALIKE

    def _pair(self, one: _Access, other: _Access) -> tuple[_Pair, bool]:
        """The pair of these accesses, and whether it knows the two the other way round."""
        first, second = self._place(one), self._place(other)
        swapped = (second, other[0]) < (first, one[0])
        key = (second, first) if swapped else (first, second)
        found = self._pairs.get(key)
        if found is None:
            found = self._pairs[key] = _Pair(*key)
        return found, swapped

    def _place(self, access: _Access) -> _Place:
        _, _, code, offset, writes = access
        self._codes[id(code)] = code
        return id(code), offset, writes

    def _in_the_failing_run(self, control: Control, body: Callable[[], object], small: Minimised | None) -> list[_Reversal]:
        if small is None:
            return []
        run = control.run(body, Attempt("plan", small.schedule.to_core()), LOG)
        if not run.failed:
            return []
        found = [
            _Reversal(self._pair(one, other)[0], _core.reversal(first, second), one[:2], other[:2])
            for first, second, ordered, one, other in _core.races()
            if not ordered
        ]
        self.see(run)
        return found

    def _undecided(self) -> Iterator[_Reversal]:
        for pair in self._pairs.values():
            if not _both(pair.passing):
                yield from pair.decisive

    # --- the list ------------------------------------------------------------------------------------------------------

    def listing(self) -> Candidates:
        """What there is to tell: one entry for each two lines and what they access."""
        rows: dict[tuple[_Side, _Side], list[_Pair]] = {}
        spots: dict[tuple[_Side, _Side], tuple[Location, Location]] = {}
        for pair in self._pairs.values():
            if pair.unordered:
                (side, place), (mate, its_place) = sorted((self._side(pair.one), self._side(pair.other)), key=lambda s: s[0])
                rows.setdefault((side, mate), []).append(pair)
                spots[side, mate] = place, its_place
        listed = [self._candidate(sides, spots[sides], pairs) for sides, pairs in rows.items()]
        order = list(Mark)
        listed.sort(key=lambda one: (order.index(one.mark), str(one.first.location), one.first.location.line, one.name))
        return Candidates(tuple(listed), self._schedules, self._reversing, self._limit, self._untried)

    def _side(self, place: _Place) -> tuple[_Side, Location]:
        spot = self._reader.spot(self._codes[place[0]], place[1])
        return (spot.place.file, spot.place.line, _name(spot)), spot.place

    def _candidate(self, sides: tuple[_Side, _Side], places: tuple[Location, Location], pairs: list[_Pair]) -> Candidate:
        does: tuple[set[int], set[int]] = set(), set()
        for pair in pairs:
            one, other = self._side(pair.one)[0], self._side(pair.other)[0]
            for side, writes in ((one, pair.one[2]), (other, pair.other[2])):
                for number in range(2):
                    if side == sides[number]:
                        does[number].add(writes)
        first, second = (
            Access(sides[number][2], 0 in does[number], 1 in does[number], places[number]) for number in range(2)
        )
        mark = min((pair.mark for pair in pairs), key=list(Mark).index)
        return Candidate(first, second, mark, self._note(mark, [pair for pair in pairs if pair.mark is mark]))

    def _note(self, mark: Mark, pairs: list[_Pair]) -> str:
        if mark is Mark.NOT_MENDED and not any(pair.put_back for pair in pairs):
            return "it could not be reversed in a run that failed"
        if mark is not Mark.NOT_EXPLORED:
            return ""
        tries = max(pair.tries for pair in pairs)
        if self._limit == "complete":
            return "no interleaving has the other order"
        budget = {"seconds": "time budget reached"}.get(self._limit, "schedule budget reached")
        return f"{counted(tries, 'schedule')} made to reverse it, in vain; {budget}" if tries else budget


type _Side = tuple[str, int, str]
"""File, line, and what is accessed."""


def _name(spot: Spot) -> str:
    if spot.callee == "get":
        with contextlib.suppress(SyntaxError):
            call = ast.parse(spot.text, mode="eval").body
            if isinstance(call, ast.Call) and call.args:
                return f"{spot.owner}[{ast.get_source_segment(spot.text, call.args[0])}]"
    return f"{spot.owner}{spot.member}" or spot.text


def _is_reversed(reversal: _Reversal) -> bool:
    """Whether in the last run what came second before came first, at the same places in the code."""
    rows = _core.trace()[2]
    places = {
        (row[0], row[1]): (number, row[9], row[10]) for number, row in enumerate(rows) if row[2] in (Kind.READ, Kind.WRITE)
    }
    first, second = places.get(reversal.first), places.get(reversal.second)
    wanted = {reversal.pair.one[:2], reversal.pair.other[:2]}
    return (
        first is not None
        and second is not None
        and second[0] < first[0]
        and {(id(first[1]), first[2]), (id(second[1]), second[2])} == wanted
    )

"""From the log of a run to an interleaving that can be shown: what each thread did, and which of it matters.

The log has every operation. What a reader needs is less: the accesses by which threads disturb each other
(:mod:`ftcheck.explore.conflicts`), the locks that order or block them, and where they raised.

*Locks.* A lock matters while it is held from one turn into another, and if somebody waited for it or tried to take it. One
that is used inside a call of the standard library matters if several threads use it.

*Waiting.* The log has the taking of a lock when it is done, not when it is asked for. But a thread that no decision has
stopped, and that does not go on, cannot have been able to; so it waited, from the end of its turn, for what it does next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import CodeType
from typing import Any

from ftcheck.explore import known
from ftcheck.explore.conflicts import Conflicts
from ftcheck.explore.control import Ending, Run
from ftcheck.explore.holding import Holds
from ftcheck.explore.log import LOCKING, Kind, Operation, turns_of
from ftcheck.explore.native import ADDRESS
from ftcheck.explore.raising import raised_in
from ftcheck.explore.schedule import Why
from ftcheck.explore.steps import Steps
from ftcheck.narrative import Did, Handover, Held, Interleaving, Raised, Step, Stuck, Turn

_MOST_STEPS = 5_000
"""In a run with more, those that do not matter are left out."""
_HANDOVERS = {
    Why.PREEMPTED: Handover.PREEMPTED,
    Why.BLOCKED: Handover.WAITED,
    Why.ENDED: Handover.ENDED,
    Why.YIELDED: Handover.GAVE_WAY,
}


def tell(
    run: Run,
    trace: tuple[Sequence[Any], Sequence[Any], Sequence[Any], Any],
    *,
    names: Mapping[int, str] | None = None,
    unfinished: Sequence[Any] = (),
    makers: Sequence[tuple[int, CodeType, int]] = (),
    stuck: Sequence[tuple[int, int, int]] = (),
) -> Interleaving:
    """What happened in a run.

    :param run: the last one there was, with the log of switches, decisions and operations.
    :param trace: :func:`ftcheck._core.trace` of it.
    :param names: of the threads, by number; the test itself is 0.
    :param unfinished: rows like those of the log: what each thread was about to do when the run was given up. Without them
        it is not known what the threads of a deadlock wait for.
    :param makers: :func:`ftcheck._core.makers`: where locks were made.
    :param stuck: :func:`ftcheck.explore.native.stuck`: the locks of C code that were held at the end of a deadlock.
    """
    operations = [_taken(Operation(*row)) for row in trace[2]]
    pending = [Operation(*row) for row in unfinished] if run.ending is Ending.DEADLOCK else []
    made = {lock: (code, offset) for lock, code, offset in makers}
    in_c = _in_c(stuck, pending) if run.ending is Ending.DEADLOCK else []
    return _Story(run, operations, pending, in_c, trace[1], bool(trace[3])).told(names or {}, made)


def _taken(one: Operation) -> Operation:
    """A lock that was tried and was free has been taken; ``typed`` says so there."""
    return one._replace(kind=Kind.ACQUIRE, typed=0) if one.kind == Kind.TRY and one.typed else one


def _in_c(stuck: Sequence[tuple[int, int, int]], pending: Sequence[Operation]) -> list[Operation]:
    """As if the log had it that these locks were taken; named as by those who wait for them."""
    named = {one.object & ADDRESS: one.object for one in pending if one.kind in LOCKING}
    return [
        Operation(thread, 0, Kind.ACQUIRE, 0, named.get(lock, lock), 0, 0, 0, 0, None, offset)
        for thread, lock, offset in stuck
    ]


class _Story:
    def __init__(
        self,
        run: Run,
        operations: list[Operation],
        pending: list[Operation],
        in_c: list[Operation],
        decisions: Sequence[Any],
        complete: bool,
    ) -> None:
        self._run, self._operations, self._pending, self._complete = run, operations, pending, complete
        self._in_c = in_c
        self._why = {(row[5], row[0]): Why(row[2]) for row in decisions}
        self._next = _next_of_each(operations, pending)
        self._pieces = turns_of(operations)
        self._turn_of = [number for number, (begin, end) in enumerate(self._pieces) for _ in range(begin, end)]
        self._holds = Holds(operations)
        self._steps = Steps(operations, pending, self._holds, self._order, in_c)
        self._conflicts = self._what_conflicts()
        self._waited_for = {one.object for one in self._waiters() if one.object}
        self._steps.name(self._conflicts.shared)

    def told(self, names: Mapping[int, str], made: Mapping[int, tuple[CodeType, int]]) -> Interleaving:
        turns = [self._turn(begin, end) for begin, end in self._pieces]
        turns += self._stopped_for_good(turns)
        raised = raised_in(self._run.failure, self._operations, self._run.failed_in)
        for one in raised:
            self._insert(turns, one)
        end = len(self._operations)
        threads = 1 + max((one.thread for one in self._operations), default=0)
        deadlocked = self._run.ending is Ending.DEADLOCK
        held = self._holds.left() if deadlocked else []
        return Interleaving(
            ending=self._run.ending.name.lower().replace("_", " "),
            names=tuple(names.get(number, "") for number in range(threads)),
            turns=tuple(_without_surplus(turns)),
            waiting=tuple(Stuck(one.thread, self._steps.wait(one, end)) for one in self._pending),
            held=tuple(
                Held(one.thread, *self._steps.lock(one.begin), self._steps.made(made.get(one.lock)))
                for one in held
                if self._steps.is_named(one.begin)
            )
            + tuple(Held(one.thread, *self._steps.lock_of(one)) for one in self._in_c),
            raised=tuple(raised),
            places=self._steps.places,
            preemptions=self._run.preemptions,
            complete=self._complete,
        )

    def _what_conflicts(self) -> Conflicts:
        """Without the accesses that are only assumed, but for those at which a thread was stopped.

        Where the stopped thread does not touch the same thing before and after its stop, all that it does on the line at
        which it was stopped is told: something of it will be the reason.
        """
        every = Conflicts(self._operations)
        stops = [end for _, end in self._pieces if self._handover(end) in (Handover.PREEMPTED, Handover.GAVE_WAY)]
        coming = [self._next.get((self._operations[end - 1].thread, end)) for end in stops]
        stopped_at = {one.object for one in coming if one is not None}
        if not stopped_at:
            return every
        certain = self._without_assumed(every, stopped_at)
        if not any(self._spans(end, certain) for end in stops):
            stopped_at |= {one.object for end in stops for one in self._on_the_next_line(end)}
            certain = self._without_assumed(every, stopped_at)
        return certain if certain.shared else every

    def _without_assumed(self, every: Conflicts, stopped_at: set[int]) -> Conflicts:
        return Conflicts(self._operations, known.assumed(self._operations, every.shared - stopped_at, self._steps.spot))

    def _spans(self, end: int, conflicts: Conflicts) -> bool:
        """Whether a thread that was stopped there touches something before and after that, which others touch as well."""
        thread = self._operations[end - 1].thread
        parts = self._operations[:end], self._operations[end:]
        before, after = ({one.object for one in part if one.thread == thread} for part in parts)
        return bool(before & after & conflicts.shared)

    def _on_the_next_line(self, end: int) -> Iterator[Operation]:
        """What the thread of a turn that ends there does next, as far as it is on one line."""
        thread, line = self._operations[end - 1].thread, None
        for one in self._operations[end:]:
            if one.thread == thread:
                spot = self._steps.spot(one)
                place = None if spot is None else spot.place
                if line is not None and place != line:
                    return
                line = place
                yield one

    # --- turns -----------------------------------------------------------------------------------------------------------

    def _turn(self, begin: int, end: int) -> Turn:
        thread = self._operations[begin].thread
        handover = self._handover(end)
        steps: list[Step] = []
        calling: tuple[int, int] | None = None  # the call in which the last step was done
        telling = self._conflicts.telling(begin, end)
        for number in range(begin, end):
            step = self._steps.step(number, number in telling)
            if step is None:
                continue
            within = self._steps.call_of(self._operations[number]) if step.did is Did.CALL else None
            if within is not None and within == calling and not self._operations[number].typed:
                steps[-1] = replace(steps[-1], matters=step.matters or steps[-1].matters)  # it uses several locks
            else:
                steps.append(step)
            calling = within
        following = self._next.get((thread, end))
        outside = self._operations[end - 1].kind == Kind.OUT
        if handover is Handover.WAITED and following is not None and not outside:
            if calling is not None and calling == self._steps.call_of(following):
                steps.pop()  # it is in that call that it waits
            steps.append(self._steps.wait(following, end))
        return Turn(thread, tuple(steps), handover)

    def _stopped_for_good(self, turns: Sequence[Turn]) -> list[Turn]:
        """Threads that were stopped before something that they then could not do: it is as if they had tried."""
        last = {turn.thread: turn.handover for turn in turns}
        end = len(self._operations)
        return [
            Turn(one.thread, (self._steps.wait(one, end),), Handover.WAITED)
            for one in self._pending
            if last.get(one.thread) is not Handover.WAITED
        ]

    def _handover(self, end: int) -> Handover:
        last = self._operations[end - 1]
        why = self._why.get((end, last.thread))
        if why is not None:
            return _HANDOVERS[why]
        if last.kind == Kind.END:
            return Handover.ENDED
        return Handover.WAITED if (last.thread, end) in self._next else Handover.RUN_ENDED

    def _waiters(self) -> list[Operation]:
        """What threads waited for at the ends of their turns."""
        ends = [
            end
            for _, end in self._pieces
            if self._handover(end) is Handover.WAITED and self._operations[end - 1].kind != Kind.OUT
        ]
        found = [self._next.get((self._operations[end - 1].thread, end)) for end in ends]
        return [one for one in found if one is not None]

    def _insert(self, turns: list[Turn], raised: Raised) -> None:
        """Puts an exception at the end of what its thread did."""
        if raised.thread < 0:
            return
        own = {one.code.co_filename for one in self._operations if one.code is not None}
        frames = [frame for frame in raised.frames if frame.file in own] or list(raised.frames)
        place = self._steps.place(frames[-1]) if frames else -1
        step = Step(Did.RAISE, raised.kind, raised.message.partition("\n")[0], place, matters=True)
        number = max((n for n, turn in enumerate(turns) if turn.thread == raised.thread), default=-1)
        if number < 0:
            turns.append(Turn(raised.thread, (step,), Handover.RUN_ENDED))
            return
        steps = list(turns[number].steps)
        behind = len(steps)
        while behind and (
            steps[behind - 1].did is Did.END or (steps[behind - 1].did is Did.RELEASE and steps[behind - 1].value)
        ):
            behind -= 1  # what it leaves on its way out comes after the exception
        turns[number] = replace(turns[number], steps=(*steps[:behind], step, *steps[behind:]))

    # --- locks -----------------------------------------------------------------------------------------------------------

    def _order(self, number: int) -> bool:
        """Whether this taking or giving back of a lock has to do with other threads."""
        hold = self._holds.of(number)
        if hold is None:
            return False
        spans = hold.end is None or self._turn_of[hold.begin] != self._turn_of[hold.end]
        return spans or hold.lock in self._waited_for


def _next_of_each(operations: Sequence[Operation], pending: Sequence[Operation]) -> dict[tuple[int, int], Operation]:
    """For each thread, and the end of each turn: what that thread does next."""
    coming = {one.thread: one for one in pending}
    found = {(thread, len(operations)): one for thread, one in coming.items()}
    for number in range(len(operations) - 1, -1, -1):
        one = operations[number]
        if number + 1 < len(operations) and operations[number + 1].thread != one.thread and one.thread in coming:
            found[one.thread, number + 1] = coming[one.thread]
        coming[one.thread] = one
    return found


def _without_surplus(turns: Sequence[Turn]) -> list[Turn]:
    if sum(len(turn.steps) for turn in turns) <= _MOST_STEPS:
        return list(turns)
    kept = []
    for turn in turns:
        steps = tuple(step for step in turn.steps if step.matters)
        kept.append(replace(turn, steps=steps, left_out=len(turn.steps) - len(steps)))
    return kept

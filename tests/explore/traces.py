"""Mazurkiewicz traces of runs, computed from their logs of operations without any of the engine's own clocks.

Two runs are equivalent if one can be turned into the other by swapping neighbouring operations that are independent
(Antoni Mazurkiewicz: Trace theory, 1987): they then have the same operations in each thread and the same happens-before
relation. So that relation is the normal form here: for each operation, how many operations of each thread happen before it.
Threads are named by who started them, operations by their number within a thread; addresses, which are others in every
run, do not occur in it.
The relation is built from all pairs of operations on one object, as slowly and as plainly as it is defined.
"""

import collections
from typing import NamedTuple

from tests.explore.conftest import (
    ACQUIRE,
    BEGIN,
    CLOCK,
    END,
    GET,
    JOIN,
    LOOK,
    NOTHING,
    PUT,
    READ,
    RELEASE,
    START,
    TRY,
    WRITE,
)

LOCKING, QUEUE = {ACQUIRE, RELEASE, TRY}, {PUT, GET}
TIME_PASSED = 2
VISIBLE = {READ, WRITE} | LOCKING | QUEUE


class Operation(NamedTuple):
    """One row of the log: what ``_core.trace()`` says of it, the place aside."""

    thread: int
    kind: int
    typed: int
    object: int
    key: int
    also: int
    also_key: int
    code: object
    offset: int


def operations(rows):
    return [
        Operation(thread, kind, typed, object, key, also, also_key, code, offset)
        for thread, _, kind, typed, object, key, also, also_key, _, code, offset, *_ in rows
    ]


def _meet(object, key, other, other_key):
    return object != 0 and object == other and (key == other_key or 0 in (key, other_key))


def _writes(one):
    """Whether the others may see that it has been: all of what locks and queues do is seen by looking at them."""
    return one.kind == WRITE or one.kind in LOCKING | QUEUE


def dependent(first, second):
    """Whether the order of these two operations of different threads says something: threads may see which came first."""
    if CLOCK in (first.kind, second.kind):  # to look at it moves it, to set a time by it does not
        return first.kind == second.kind and bool(first.typed or second.typed)
    if LOOK in (first.kind, second.kind):  # Thread.is_alive() sees beginning and end of that thread, and nothing else
        return bool({BEGIN, END} & {first.kind, second.kind}) and first.object == second.object
    if not (first.kind in VISIBLE and second.kind in VISIBLE and (_writes(first) or _writes(second))):
        return False
    return (
        _meet(first.object, first.key, second.object, second.key)
        or (_writes(second) and _meet(first.also, first.also_key, second.object, second.key))
        or (_writes(first) and _meet(first.object, first.key, second.also, second.also_key))
    )


def normal_form(rows):
    """The trace of a run, as a value: equal for equivalent runs, and for no others.

    :param rows: the operations that :func:`ftcheck._core.trace` gives.
    """
    clocks = collections.defaultdict(collections.Counter)  # of each thread: how many of each it has heard of
    ended, touching, events, names, children = {}, collections.defaultdict(list), [], {0: "0"}, collections.Counter()
    for one in operations(rows):
        if one.kind == NOTHING:  # it heard nothing: a lock within Thread.start()
            continue
        if one.kind == CLOCK and one.typed == TIME_PASSED:  # nobody could run: all that was comes before all that will be
            everything = collections.Counter()
            for known in clocks.values():
                everything |= known
            clocks.update((number, everything.copy()) for number in names)
            continue
        thread, clock = names[one.thread], clocks[one.thread]
        if one.kind == START:  # threads are numbered as they come; here they are named by who started them
            for number in _members(one.also):
                children[thread] += 1
                names[number] = f"{thread}.{children[thread]}"
        if one.kind == JOIN and not one.typed:  # typed: its timeout came
            for number in _members(one.also):
                clock |= ended.get(number, collections.Counter())
        objects = (
            {"clock"} if one.kind == CLOCK else {one.object, 0 if one.kind in (START, JOIN, END, LOOK) else one.also} - {0}
        )
        for place in objects:
            for earlier, known in touching[place]:
                if earlier.thread != one.thread and dependent(earlier, one):
                    clock |= known
        clock[thread] += 1
        now = clock.copy()
        for place in objects:
            touching[place].append((one, now))
        if one.kind == START:
            for number in _members(one.also):
                clocks[number] |= now
        if one.kind == END:
            ended[one.thread] = now
        clocks[one.thread] = clock
        where = (one.code, one.offset) if one.kind in (READ, WRITE) else ()
        events.append((thread, now[thread], one.kind, where, tuple(sorted(now.items()))))
    return tuple(sorted(events, key=lambda event: event[:2]))


def _members(set_of_threads):
    return [number for number in range(64) if set_of_threads >> number & 1]

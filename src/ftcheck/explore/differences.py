"""What differed between two runs of the same schedule: the code is not deterministic, and a reader wants to know where.

A schedule decides who goes on, and nothing else. If the same decisions lead another way, then something else did that:
chance, the real time, the address of an object, or what an earlier run has left behind. The logs of both runs are compared,
operation by operation, to the first one that is another, or that read or wrote another value.
"""

from __future__ import annotations

import itertools
import os
import types
from collections.abc import Callable, Sequence

from ftcheck import _core
from ftcheck.explore.control import Attempt, Control, Log
from ftcheck.explore.expressions import Reader
from ftcheck.explore.log import Kind, Operation
from ftcheck.explore.schedule import Schedule

type Step = tuple[int, int, types.CodeType | None, int]
"""A thread, what kind of operation it did or was about to do, and where in the code."""

_TRIES = 4
_ACCESSES = (Kind.READ, Kind.WRITE)


def last_log() -> list[Operation]:
    """The operations of the last run, if it has noted them."""
    return [Operation(*row) for row in _core.trace()[2]]


def last_steps() -> list[Step]:
    """The operations of the last run, as far as they are the same in each run that does the same."""
    return [(row[0], row[2], row[9], row[10]) for row in _core.trace()[2]]


def parting(before: Sequence[Step], now: Sequence[Step]) -> str:
    """Where two runs that were to do the same part, in words; empty if they do not."""
    reader = Reader()
    for left, right in itertools.zip_longest(before, now):
        if left != right:
            was, came = _step(reader, left), _step(reader, right)
            if was == came:
                return f"{was}: {_kind(left)} once, and {_kind(right)} another time"
            return f"{was} once, and {came} another time"
    return ""


def _step(reader: Reader, step: Step | None) -> str:
    if step is None:
        return "the end"
    thread, kind, code, offset = step
    who = f"thread {thread}" if thread else "the test"
    if code is None:
        return who if kind == Kind.NOTHING else f"{_kind(step)} of {who}"
    place = reader.spot(code, offset).place
    return f"{who} at {os.path.basename(place.file)}:{place.line}"


def _kind(step: Step | None) -> str:
    return "the end" if step is None else Kind(step[1]).name.lower()


def what_differs(control: Control, body: Callable[[], object], schedule: Schedule, failing: Sequence[Operation] = ()) -> str:
    """Run the schedule a few times more, and say where two runs part. It has failed once, and not again.

    :param failing: the log of the run that has failed, with values, if there is one.
    """
    log = Log.SWITCHES | Log.DECISIONS | Log.OPERATIONS | Log.VALUES
    logs = [list(failing)] if failing else []
    ends = set()
    for _ in range(_TRIES):
        run = control.run(body, Attempt("plan", schedule.to_core()), log)
        ends.add((run.ending, type(run.failure), str(run.failure)))
        logs.append(last_log())
    for one, other in itertools.pairwise(logs):
        if text := _first_difference(one, other):
            return text
    if len(ends) > 1:
        return "the same operations, with the same values, ended in different ways: chance, the real time, or addresses"
    return (
        "every time since, the same operations were done, with the same values. What made it fail was there only then: "
        "something that an earlier schedule has left behind, or the real time"
    )


def _first_difference(one: Sequence[Operation], other: Sequence[Operation]) -> str:
    """Empty if there is none. Addresses are no difference: objects are others in each run."""
    reader = Reader()
    before = None
    for left, right in itertools.zip_longest(one, other):
        if left is None or right is None or _what(left) != _what(right):
            after = f"after {_where(reader, before)}, " if before is not None else ""
            here, there = _where(reader, left), _where(reader, right)
            if here == there:
                here, there = f"{here} ({_text(reader, left)})", f"{there} ({_text(reader, right)})"
            return f"{after}the one time {here} followed, the other time {there}"
        if left.kind in _ACCESSES and left.value != right.value and not _is_address(left.value, right.value):
            sign = "→" if left.kind == Kind.READ else "="
            values = f"{sign} {left.value} the one time, {sign} {right.value} the other"
            return f"{_where(reader, left)}: {_text(reader, left)} {values}"
        if left.code is not None:
            before = left
    return ""


def _what(one: Operation) -> tuple[object, ...]:
    return one.thread, one.kind, id(one.code), one.offset


def _is_address(left: str | None, right: str | None) -> bool:
    return left is None or right is None or " at 0x" in left or " at 0x" in right


def _text(reader: Reader, one: Operation | None) -> str:
    if one is None or one.code is None:
        return "?"
    return reader.spot(one.code, one.offset).text or "a value"


def _where(reader: Reader, one: Operation | None) -> str:
    if one is None:
        return "the end"
    who = f"thread {one.thread}" if one.thread else "the test"
    if one.code is None:
        return f"{Kind(one.kind).name.lower()} of {who}"
    place = reader.spot(one.code, one.offset).place
    return f"{who} at {os.path.basename(place.file)}:{place.line}"

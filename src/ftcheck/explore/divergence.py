"""Where a replay went another way: the first decision of a schedule that could not be met, in words.

A schedule says which thread is stopped at which of its points. In code that does the same each time, that is enough. If
anything else decides what the code does (the order of a set, a file, the date, what an earlier test left behind), the thread
is somewhere else when it comes to that point, or never comes there. So each decision is kept with its place, a digest of the
function and the instruction, and a replay is compared with it: afterwards, because to know it earlier would change nothing.
"""

from __future__ import annotations

import hashlib
import types
from collections.abc import Iterable, Iterator, Sequence

from ftcheck import _core
from ftcheck.explore import native
from ftcheck.explore.expressions import function_name
from ftcheck.explore.schedule import Choice, Why

type Code = types.CodeType | None

NO_PLACE = "000000"
"""Of a decision that was made where no code in scope was running."""
_NOT_REACHED, _MET, _CANNOT_RUN, _OTHERWISE = range(4)
"""``enum meeting`` in ``_core/plan.c``."""
_WAS_TO = {
    Why.PREEMPTED: "was to be stopped",
    Why.BLOCKED: "was to wait",
    Why.ENDED: "was to end",
    Why.YIELDED: "was to give way",
}


def place_of(code: Code, offset: int) -> str:
    """Six hexadecimal digits for an instruction: its function's name and code and its offset, and no line, so that what
    stands above it in the file may change.
    """
    if code is None:
        there = native.place(offset)
        return NO_PLACE if there is None else _at(native.build_of(there[0]), there[1])
    return _at(_digest(code), offset)


def _digest(code: types.CodeType) -> str:
    content = f"{code.co_qualname} {code.co_code.hex()}"
    return hashlib.blake2s(content.encode("utf-8", "backslashreplace")).hexdigest()


def _at(digest: str, offset: int) -> str:
    return hashlib.blake2s(f"{digest}:{offset}".encode(), digest_size=3).hexdigest()


def places_of_last_run() -> tuple[str, ...]:
    """The place of each decision of the last run's schedule."""
    return tuple(place_of(code, offset) for code, offset in _core.places_of_switches())


def divergence(choices: Sequence[Choice], places: Sequence[str], codes: Iterable[types.CodeType]) -> str:
    """What the last run, by the policy ``plan``, did not do as its plan says; empty if it did everything.

    :param choices: the plan.
    :param places: where each of them was made when the schedule was found; empty: not known.
    :param codes: the code in scope, to say which line a place is.
    """
    for number, (choice, (how, code, offset, step)) in enumerate(zip(choices, _core.meetings(), strict=True)):
        expected = places[number] if number < len(places) else ""
        if how == _MET and expected in ("", place_of(code, offset)):
            continue
        known = _lines_at(expected, codes) if expected else []
        there = f", {known[0]}" if len(known) == 1 else ""
        wanted = f"thread {choice.thread} {_WAS_TO[choice.why]} at its point {choice.step}{there}, for thread {choice.to}"
        return f"{wanted}; {_instead(choice, how, code, offset, step)}"
    return ""


def all_there(places: Iterable[str], codes: Iterable[types.CodeType]) -> bool:
    """Whether the code around each of these places is what it was."""
    return {*places, NO_PLACE} <= {place for _, _, place in _instructions(codes)} | {NO_PLACE}


def _instead(choice: Choice, how: int, code: Code, offset: int, step: int) -> str:
    here = f" at {_line(code, offset)}" if code is not None else ""
    if how == _NOT_REACHED:
        return "it did not come so far"
    if how == _CANNOT_RUN:
        return f"it was{here}, and thread {choice.to} could not run" if here else f"thread {choice.to} could not run"
    if how == _MET or step == choice.step:
        return f"it was{here}" if here else "it was elsewhere"
    return f"it passed that point, and was{here or ' elsewhere'} at its point {step}"


def _lines_at(place: str, codes: Iterable[types.CodeType]) -> list[str]:
    """All that the digest may stand for: one line, if no other happens to have the same."""
    return sorted({_line(code, offset) for code, offset, known in _instructions(codes) if known == place})


def _instructions(codes: Iterable[types.CodeType]) -> Iterator[tuple[types.CodeType, int, str]]:
    for code in codes:
        digest = _digest(code)
        for offset in range(0, len(code.co_code), 2):
            yield code, offset, _at(digest, offset)


def _line(code: types.CodeType, offset: int) -> str:
    line = next((line for begin, end, line in code.co_lines() if begin <= offset < end and line is not None), None)
    return f"line {line or code.co_firstlineno} of {function_name(code)}"

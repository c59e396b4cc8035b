"""``@given`` tests in threads: what Hypothesis takes for a mistake, and is none here.

Each thread runs all the examples. Where one fails, Hypothesis calls the test again with the same data. A failure that
takes two threads does not come back on call, and Hypothesis, which knows nothing of the others, reports that the *test* is
flaky. What it saw in the first place is what was found: that is the failure, with the data, and with the remark that the
same data did not fail again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

_NOT_AGAIN = (
    "Called again with the same data, it did not fail in this way: that takes more than the data, such as the other threads."
)


def adapt(function: Callable[..., object]) -> None:
    """Set what Hypothesis has to know of a test that several threads run; any other function is left alone.

    Each thread has an instance of the test class of its own, which is taken for a mistake otherwise. And no *explain* phase:
    it traces all threads of the process at once, so it would blame the wrong lines, and it can be active only once.
    """
    test: Any = getattr(function, "__func__", function)
    given = getattr(test, "_hypothesis_internal_use_settings", None)
    if given is not None:
        from hypothesis import HealthCheck, Phase, settings

        test._hypothesis_internal_use_settings = settings(
            given,
            suppress_health_check={*given.suppress_health_check, HealthCheck.differing_executors},
            phases=[phase for phase in given.phases if phase is not Phase.explain],
        )


def seen_once(failure: BaseException) -> Sequence[BaseException]:
    """What the test had raised when Hypothesis calls it flaky; nothing for every other exception."""
    errors = sys.modules.get("hypothesis.errors")
    if errors is None or not isinstance(failure, errors.FlakyFailure):
        return ()
    theirs = [one for one in failure.exceptions if not type(one).__module__.startswith("hypothesis.")]
    data = next((note for note in getattr(failure, "__notes__", ()) if note.startswith("Failing test case")), "")
    for one in theirs:
        one.__traceback__ = _from_the_test(one.__traceback__, os.path.dirname(str(errors.__file__)) + os.sep)
        for note in (data, _NOT_AGAIN):
            if note and note not in getattr(one, "__notes__", ()):
                one.add_note(note)
    return theirs


def _from_the_test(trace: TracebackType | None, hypothesis: str) -> TracebackType | None:
    """A traceback without the frames that led from Hypothesis into the test."""
    begin = at = trace
    while at is not None:
        if at.tb_frame.f_code.co_filename.startswith(hypothesis) and at.tb_next is not None:
            begin = at.tb_next
        at = at.tb_next
    return begin

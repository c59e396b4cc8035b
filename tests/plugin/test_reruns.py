"""reruns.py without interpreters: what a mode makes of children that end in every way there is."""

import time
from pathlib import Path

import pytest

from ftcheck.plugin.evidence import End, Now
from ftcheck.plugin.reruns import NO_TIME, Child, Launch, Mode, Results, Suspect
from ftcheck.verdicts import Rerun, Verdict

NOWHERE = Launch(Path(), Path(), (), (), {}, (), {}, {})
FIRST, SECOND, THIRD = (Suspect(name, 5.0, stuck=False) for name in ("t::first", "t::second", "t::third"))


class Scripted(Mode):
    """Its children are given, one after the other; it notes what each was to run."""

    def __init__(self, *children, name="without the GIL"):
        self.results = Results()
        super().__init__(name, "0", NOWHERE, self.results)
        self.children, self.asked = list(children), []

    def child(self, suspects, until):
        self.asked.append([suspect.test for suspect in suspects])
        return self.children.pop(0)


def begins(suspect, shortened=False):
    return {"test": suspect.test, "begins": True, "shortened": shortened}


def passed(suspect, **rest):
    line = {"test": suspect.test, "failed": 0, "rounds": 3, "overlapped": 3, "note": "", **rest}
    return [begins(suspect), line]


def ended(*lines, done=0):
    return Child([*lines, {"done": done}], None, False, "its words")


def died(*lines, verdict=Verdict.CRASH, subject=FIRST, phase="call", round=2, detail=""):
    return Child(list(lines), End(verdict, "SIGSEGV", detail, Now(phase, subject.test, round)), False, "its words")


def run(mode, *suspects, seconds=60):
    mode.run(suspects, time.monotonic() + seconds)
    return {test: reruns[-1] for test, reruns in mode.results.reruns.items()}


def rerun(failed=0, rounds=3, overlapped=3, note="", mode="without the GIL"):
    return Rerun(mode, failed, rounds, overlapped, note)


def test_one_child_for_all():
    mode = Scripted(ended(*passed(FIRST), *passed(SECOND, failed=2)))
    assert run(mode, FIRST, SECOND) == {FIRST.test: rerun(), SECOND.test: rerun(failed=2)}
    assert mode.asked == [[FIRST.test, SECOND.test]]


def test_a_crash_is_the_result_of_its_test_and_the_next_child_goes_on():
    mode = Scripted(
        died(*passed(FIRST), begins(SECOND), subject=SECOND, round=2),
        ended(*passed(THIRD)),
    )
    assert run(mode, FIRST, SECOND, THIRD) == {
        FIRST.test: rerun(),
        SECOND.test: rerun(1, 2, 2, "crash"),
        THIRD.test: rerun(),
    }
    assert mode.asked == [[FIRST.test, SECOND.test, THIRD.test], [THIRD.test]]


@pytest.mark.parametrize("phase", ["setup", "teardown"])
def test_a_crash_outside_of_any_round_counts_as_one(phase):
    assert run(Scripted(died(begins(FIRST), phase=phase, round=0)), FIRST) == {FIRST.test: rerun(1, 1, 1, "crash")}


def test_a_crash_after_the_test_is_still_its_own():
    mode = Scripted(died(*passed(FIRST), phase="between", round=0), ended(*passed(SECOND)))
    assert run(mode, FIRST, SECOND)[FIRST.test] == rerun(1, 1, 1, "crash after the test")
    mode = Scripted(died(*passed(FIRST, failed=3), phase="between", round=0))
    assert run(mode, FIRST)[FIRST.test] == rerun(failed=3)


def test_a_new_process_because_the_gil_came_on_is_no_failure():
    mode = Scripted(died(*passed(FIRST), verdict=None, phase="between"), ended(*passed(SECOND)))
    assert run(mode, FIRST, SECOND) == {FIRST.test: rerun(), SECOND.test: rerun()}


@pytest.mark.parametrize(
    ("stuck", "shortened", "expected"),
    [
        (False, False, rerun(1, 2, 2, "hang")),
        (True, False, rerun(1, 2, 2, "hang")),
        (True, True, rerun(1, 2, 2, "hang")),
        (False, True, rerun(0, 0, 0, "not over after 5 s, the limit for reruns")),
    ],
)
def test_a_hang(stuck, shortened, expected):
    """With a shorter timeout than its own, a test may just be slow: only of one that hung before is it believed."""
    suspect = Suspect("t::first", 5.0, stuck)
    assert run(Scripted(died(begins(suspect, shortened), verdict=Verdict.HANG)), suspect) == {suspect.test: expected}


@pytest.mark.parametrize("verdict", [Verdict.HANG, Verdict.DEADLOCK])
def test_bodies_that_wait_for_each_other_cannot_run_alone(verdict):
    inside = "thread 0: round 1, in the body\nconcurrently body 0: round 1, in the body"
    mode = Scripted(died(begins(FIRST), verdict=verdict, detail=inside), name="alone")
    note = "cannot run alone, its bodies wait for each other"
    assert run(mode, FIRST) == {FIRST.test: rerun(0, 0, 0, note, "alone")}
    assert mode.results.needs_company == {FIRST.test}


def test_a_thread_that_waits_for_itself_fails_alone():
    mode = Scripted(died(begins(FIRST), verdict=Verdict.DEADLOCK, detail="thread 0: round 1, in the body"), name="alone")
    assert run(mode, FIRST) == {FIRST.test: rerun(1, 2, 2, "deadlock", "alone")}
    assert not mode.results.needs_company


def test_a_test_that_is_not_rerun_in_threads():
    line = passed(FIRST, serial="uses capsys", rounds=1, overlapped=0)
    mode = Scripted(ended(*line), name="alone")
    assert run(mode, FIRST) == {FIRST.test: rerun(0, 1, 0, "", "alone")}
    assert mode.results.serial == {FIRST.test: "uses capsys"}
    assert run(Scripted(ended(*line)), FIRST) == {FIRST.test: rerun(0, 0, 0, "it did not run concurrently (uses capsys)")}


@pytest.mark.parametrize(
    ("child", "note"),
    [
        (ended({"test": FIRST.test, "late": True}), NO_TIME),
        (Child([begins(FIRST)], None, True, ""), NO_TIME),
        (ended(), "it was not found when the tests were collected again"),
        (ended(begins(FIRST)), "another plugin did not let it run again"),
        (ended(done=4), "the rerun could not start: its words"),
        (died(phase="start", subject=Suspect("", 5.0, False)), "the rerun could not start: its words"),
        (died(phase="collection", subject=Suspect("t", 5.0, False)), "the rerun could not start: its words"),
    ],
)
def test_no_result_is_no_pass(child, note):
    """And it ends: a child that brings nothing is not started again."""
    mode = Scripted(child)
    assert run(mode, FIRST) == {FIRST.test: rerun(0, 0, 0, note)}
    assert not mode.children


def test_no_child_without_time():
    mode = Scripted()
    assert run(mode, FIRST, seconds=0) == {FIRST.test: rerun(0, 0, 0, NO_TIME)}
    assert mode.asked == []

"""From a run's log to an interleaving: what matters, what things are called, who held what, who raised what."""

import importlib
import threading

from ftcheck import _core, workload
from ftcheck.explore.control import Attempt, Ending
from ftcheck.explore.story import tell
from ftcheck.narrative import Did, Handover

from . import stories
from .stories import EVERYTHING, PIN, REPLAY, found, steps_of, text_of, under_control


def told(program):
    return next(stories.told(program, __file__))


# --- the story: what matters ---------------------------------------------------------------------------------------------


class Box:
    def __init__(self):
        self.value, self.other, self.lock = 0, 0, threading.Lock()


def add(box):
    box.value += 1


def test_what_only_one_thread_touches_does_not_matter():
    def program():
        left, right = Box(), Box()
        workload.concurrently(lambda: add(left), lambda: add(right))

    story = told(program)
    accesses = steps_of(story, Did.READ) + steps_of(story, Did.WRITE)
    assert accesses
    assert not any(step.matters for step in accesses)
    assert text_of(story).splitlines()[-2:] == [f"run it again:  {REPLAY}", f"pin it:        {PIN}"]


def test_two_objects_of_one_name_are_told_apart():
    def program():
        left, right = Box(), Box()

        def both():
            add(left)
            add(right)

        workload.concurrently(both, both)

    names = {step.name for step in steps_of(told(program), Did.WRITE)}
    assert names == {"box#1.value", "box#2.value"}


def test_one_object_of_two_names_has_one():
    def program():
        box = Box()

        def first():
            add(box)

        def second():
            mine = box
            mine.value = 5

        workload.concurrently(first, second)

    assert [(step.name, step.value) for step in steps_of(told(program), Did.WRITE)] == [
        ("box.value", "1"),
        ("box.value", "5"),
    ]


def test_of_what_one_turn_does_only_its_edges_matter():
    """The first reading and the last writing: nobody else can see what is between."""

    def program():
        box = Box()

        def three():
            box.value += 1
            box.value += 1
            box.value += 1

        workload.concurrently(three, three)

    story = told(program)
    first = next(turn for turn in story.turns if turn.thread == 1)
    accesses = [step for step in first.steps if step.name == "box.value"]
    assert [(step.did, step.value, step.matters) for step in accesses] == [
        (Did.READ, "0", True),
        (Did.WRITE, "1", False),
        (Did.READ, "1", False),
        (Did.WRITE, "2", False),
        (Did.READ, "2", False),
        (Did.WRITE, "3", True),
    ]


def test_a_lock_that_nobody_has_to_wait_for_does_not_matter():
    def program():
        box = Box()

        def locked():
            with box.lock:
                box.value += 1

        workload.concurrently(locked, locked)

    story = told(program)
    assert [step.name for step in steps_of(story, Did.ACQUIRE)] == ["box.lock", "box.lock"]
    assert not any(step.matters for step in steps_of(story, Did.ACQUIRE) + steps_of(story, Did.RELEASE))


def waiting_program():
    box = Box()

    def locked():
        with box.lock:
            box.value += 1

    workload.concurrently(locked, locked)


def test_waiting_for_a_lock_says_who_holds_it():
    story = next(story for story in stories.told(waiting_program, __file__, range(200)) if lock_waits(story))
    step = lock_waits(story)[0]
    assert step.name == "box.lock"
    assert {step.holder, *(turn.thread for turn in story.turns if step in turn.steps)} == {1, 2}
    assert "with box.lock" in story.place(step.since).source
    assert all(one.matters for one in steps_of(story, Did.ACQUIRE))
    held = [turn.handover for turn in story.turns if step in turn.steps]
    assert held == [Handover.WAITED]


def lock_waits(story):
    return [step for step in steps_of(story, Did.WAIT) if step.name]


def test_a_lock_taken_twice_by_its_owner_is_given_back_once():
    def program():
        lock, box = threading.RLock(), Box()

        def twice():
            with lock:
                with lock:
                    box.value += 1
                box.value += 1

        workload.concurrently(twice, twice)

    waiting = [story for story in stories.told(program, __file__, range(50)) if lock_waits(story)]
    assert waiting
    for story in waiting:
        assert {(step.name, step.holder > 0) for step in lock_waits(story)} == {("lock", True)}


def test_items_and_calls_have_their_names_and_values():
    def program():
        seen, table = [], {"n": 1}

        def work():
            seen.append("x")
            table["n"] = table["n"] + 1
            if "m" in table:
                table["m"] = 0
            len(seen)

        workload.concurrently(work, work)

    story = told(program)
    said = {(step.did, step.name, step.value) for step in next(turn for turn in story.turns if turn.thread == 1).steps}
    assert {
        (Did.CALL, "seen.append('x')", None),
        (Did.READ, 'table["n"]', "1"),
        (Did.WRITE, 'table["n"]', "2"),
        (Did.READ, '"m" in table', "False"),
        (Did.READ, "seen", "['x']"),
    } <= said


def test_calls_of_the_standard_library_are_one_step():
    story = found("queue_one_sentinel")
    calls = [step.name for step in steps_of(story, Did.CALL)]
    assert calls.count("jobs.put(None)") == 1
    assert not steps_of(story, Did.ACQUIRE)


# --- the story: who raised what ------------------------------------------------------------------------------------------


def test_each_body_s_exception_is_its_thread_s():
    def program():
        box = Box()

        def fine():
            add(box)

        def broken():
            add(box)
            raise LookupError("gone")

        workload.concurrently(fine, broken, fine, broken)

    story = told(program)
    assert [(one.thread, one.headline) for one in story.raised] == [(2, "LookupError: gone"), (4, "LookupError: gone")]
    for one in story.raised:
        assert [frame.function for frame in one.frames] == ["broken"]
        (turn,) = [turn for turn in story.turns if turn.thread == one.thread]
        assert [step.did for step in turn.steps][-2:] == [Did.RAISE, Did.END]


def test_a_body_that_has_bodies():
    def program():
        def broken():
            raise LookupError("deep")

        def outer():
            workload.concurrently(int, broken)

        workload.concurrently(int, outer)

    story = told(program)
    assert [(one.thread, one.kind) for one in story.raised] == [(4, "LookupError")]


def test_a_message_of_many_lines_is_shown_below():
    def program():
        box = Box()
        workload.concurrently(lambda: add(box), lambda: add(box))
        raise ValueError("first\n  second\n  third")

    text = text_of(told(program))
    assert text.startswith("ValueError: first in the test\n")
    assert "    ValueError: first\n      second\n      third\n" in text


# --- deadlocks -----------------------------------------------------------------------------------------------------------


def test_a_deadlock_names_both_sides():
    story = found("deadlock01")
    assert story.ending == "deadlock"
    waits = {one.thread: (one.step.name, one.step.holder) for one in story.waiting if one.step.name}
    assert waits == {1: ("self.b", 2), 2: ("self.a", 1)}
    assert {(held.thread, held.lock) for held in story.held} == {(1, "self.a"), (2, "self.b")}


def test_a_deadlock_of_which_nothing_else_is_known_is_told():
    """As a core would leave it that does not say what the threads were about to do."""
    module = importlib.import_module("tests.programs.fails.deadlock01")
    with under_control() as control:
        control.run(module.program, Attempt("plan", []))
        runs = (control.run(module.program, Attempt("pos", None, seed), EVERYTHING) for seed in range(2_000))
        run = next(run for run in runs if run.ending is Ending.DEADLOCK)
        story = tell(run, _core.trace())
    assert text_of(story).startswith("deadlock: nobody can go on\n")
    assert {held.lock for held in story.held} == {"self.a", "self.b"}
    assert not any(step.did is Did.RELEASE for turn in story.turns for step in turn.steps)  # that is only their way out

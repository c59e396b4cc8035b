"""slots.c: threads register under a label, and places() says where in a round each one is."""

import threading

import pytest

from ftcheck import _core
from ftcheck._core import StartLine, enter_thread, leave_thread, places


def others(before):
    return [place for place in places() if place not in before]


def test_a_thread_is_listed_from_enter_to_leave(in_threads):
    def party():
        before = places()
        enter_thread("a label")
        during = others(before)
        leave_thread()
        return during, others(before)

    assert in_threads(party) == [([("a label", -1, "between rounds")], [])]


def test_a_thread_registers_once(in_threads):
    def party():
        enter_thread("first")
        try:
            with pytest.raises(RuntimeError, match="already registered"):
                enter_thread("second")
            return [label for label, _, _ in places() if label in ("first", "second")]
        finally:
            leave_thread()

    assert in_threads(party) == [["first"]]


def test_leaving_is_harmless_for_a_thread_that_never_entered(in_threads):
    def party():
        leave_thread()
        enter_thread("again")
        leave_thread()
        leave_thread()

    assert in_threads(party) == [None]


@pytest.mark.parametrize("label", [None, 5, b"bytes"])
def test_a_label_is_text(in_threads, label):
    (raised,) = in_threads(lambda: enter_thread(label))
    assert isinstance(raised, TypeError)


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("", ""),
        ("x" * 63, "x" * 63),
        ("x" * 1000, "x" * 63),
        ("ä" * 40, "ä" * 31),
        ("€" * 30, "€" * 21),
        ("😀" * 20, "😀" * 15),
    ],
    ids=["empty", "fits", "long", "2 bytes", "3 bytes", "4 bytes"],
)
def test_a_long_label_is_cut_between_two_characters(in_threads, label, shown):
    def party():
        before = places()
        enter_thread(label)
        try:
            return others(before)
        finally:
            leave_thread()

    assert in_threads(party) == [[(shown, -1, "between rounds")]]


def test_places_follow_a_thread_through_its_round(in_threads):
    line = StartLine(2)
    arrived, seen = threading.Event(), {}

    def look():
        seen["body"] = {label: (round, place) for label, round, place in places()}

    def runner():
        enter_thread("runner")
        try:
            arrived.set()
            line.run(0, 7, look, 1)
            seen["done"] = {label: (round, place) for label, round, place in places()}
        finally:
            leave_thread()

    def watcher():
        arrived.wait()
        while ("runner", 7, "at the start line") not in places():
            pass
        line.run(1, 7, lambda: None, 1)

    assert in_threads(runner, watcher) == [None, None]
    assert seen["body"]["runner"] == (7, "in the body")
    assert seen["done"]["runner"] == (7, "done with the round")


def test_a_body_that_raises_is_done_with_the_round(in_threads):
    def party():
        enter_thread("raiser")
        try:
            with pytest.raises(ZeroDivisionError):
                StartLine(1).run(0, 3, lambda: 1 // 0, 1)
            return [place for label, *place in places() if label == "raiser"]
        finally:
            leave_thread()

    assert in_threads(party) == [[[3, "done with the round"]]]


def test_many_threads_come_and_go_at_once(in_threads):
    """Slots are claimed without a lock; each thread finds its own label, and only once."""
    barrier = threading.Barrier(16)

    def party(number):
        for turn in range(30):
            barrier.wait()
            enter_thread(f"party {number} turn {turn}")
            barrier.wait()
            mine = sum(label == f"party {number} turn {turn}" for label, _, _ in places())
            barrier.wait()
            leave_thread()
            if mine != 1:
                return mine
        return 1

    assert in_threads(*[lambda number=number: party(number) for number in range(16)]) == [1] * 16


def test_a_full_table_costs_a_place_and_not_the_run(child):
    """Threads that end without leaving keep their slots: 1024 of them fill the table."""
    done = child("""
        import threading
        from ftcheck import _core
        for number in range(1100):
            thread = threading.Thread(target=_core.enter_thread, args=(f"{number}",))
            thread.start(); thread.join()
        print(len(_core.places()), _core.StartLine(1).run(0, 1, lambda: None, 1))
    """)
    assert done.stdout == "1024 None\n", done.stderr


def test_the_module_needs_no_gil(child):
    done = child("import sys; before = sys._is_gil_enabled(); import ftcheck; print(sys._is_gil_enabled() == before)")
    assert done.stdout == "True\n", done.stderr
    assert done.stderr == ""
    assert _core.__doc__

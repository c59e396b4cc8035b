"""Sleeping and the clocks, on virtual time."""

import time
from time import monotonic, perf_counter, sleep

import pytest

from ftcheck import concurrently
from ftcheck.explore.control import Attempt, Ending

CLOCKS = [time.monotonic, time.perf_counter, time.time, time.monotonic_ns, time.perf_counter_ns, time.time_ns]
HOUR = 3600


def seconds(clock, value):
    return value / 1e9 if clock.__name__.endswith("_ns") else value


def test_an_hour_takes_no_time(holds):
    def program():
        began, counted = monotonic(), perf_counter()
        concurrently(lambda: sleep(HOUR), lambda: time.sleep(HOUR / 2))
        assert HOUR <= monotonic() - began < HOUR + 1
        assert HOUR <= perf_counter() - counted < HOUR + 1

    began = time.monotonic()
    assert {round(run.seconds) for run in holds(program)} == {HOUR}
    assert time.monotonic() - began < HOUR  # the real clock, unchanged


@pytest.mark.parametrize("clock", CLOCKS)
def test_all_clocks_go_alike(holds, clock):
    def program():
        began = clock()
        sleep(100)
        middle = clock()
        concurrently(lambda: sleep(50))
        assert 100 <= seconds(clock, middle - began) < 100.1
        assert 50 <= seconds(clock, clock() - middle) < 50.1

    holds(program, schedules=2)


@pytest.mark.parametrize("clock", CLOCKS)
def test_clocks_start_at_the_real_time(control, clock):
    entered, seen = control(), []
    before = clock()
    run = entered.run(lambda: seen.append(clock()), Attempt("plan", []))
    assert run.failure is None
    assert type(seen[0]) is type(before)
    assert abs(seconds(clock, seen[0] - before)) < HOUR


@pytest.mark.parametrize("clock", CLOCKS)
def test_clocks_never_go_backwards(holds, clock):
    def program():
        seen = [clock()]

        def look():
            for _ in range(3):
                seen.append(clock())

        concurrently(look, look)
        seen.append(clock())
        assert len(seen) == 8

    def ordered():
        seen = [clock() for _ in range(100)]
        assert seen == sorted(seen)

    holds(program, schedules=2)
    holds(ordered, schedules=2)


def test_sleepers_wake_in_order_of_their_deadlines(holds):
    def program():
        woken = []

        def nap(length):
            sleep(length)
            woken.append(length)

        concurrently(lambda: nap(3), lambda: nap(1), lambda: nap(2), lambda: nap(0.5))
        assert woken == [0.5, 1, 2, 3]

    assert {round(run.seconds, 3) for run in holds(program)} == {3}


def test_sleepers_of_one_deadline_wake_in_any_order(explore):
    orders = set()

    def program():
        woken = []

        def nap(number):
            sleep(1)
            woken.append(number)

        concurrently(lambda: nap(0), lambda: nap(1))
        orders.add(tuple(woken))

    assert not any(run.failed for run in explore(program))
    assert orders == {(0, 1), (1, 0)}


def test_time_stands_still_while_anybody_can_run(holds):
    def program():
        log = []

        def work():
            for _ in range(3):
                log.append("work")

        def nap():
            sleep(1e-9)
            log.append("awake")

        concurrently(nap, work)
        assert log == ["work", "work", "work", "awake"]

    holds(program)


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_loop_that_does_nothing_but_wait_for_the_clock_ends(holds, clock):
    def program():
        def until_later(now=clock):
            end = now() + (10 * 10**9 if isinstance(now(), int) else 10)
            while now() < end:
                pass

        concurrently(until_later, until_later)

    holds(program, schedules=1)


@pytest.mark.parametrize("clock", [time.monotonic, time.time_ns])
def test_a_loop_that_waits_for_the_clock_ends(holds, clock):
    def program():
        def until_later():
            began = clock()
            while seconds(clock, clock() - began) < 10:
                pass

        concurrently(until_later, until_later)

    holds(program, schedules=1)


def test_a_wait_in_slices_ends(holds):
    def program():
        done = []

        def wait():
            began = monotonic()
            while not done and monotonic() - began < 60:
                sleep(0.1)
            assert done

        def work():
            sleep(5)
            done.append(1)

        concurrently(wait, work)

    holds(program, schedules=5)


def test_time_passes_for_those_who_sleep_while_a_loop_waits_for_them(holds):
    def program():
        done = []

        def wait():
            end = monotonic() + 60
            while not done:
                assert monotonic() < end

        def work():
            sleep(5)
            done.append(1)

        concurrently(wait, work)

    assert {5 <= run.seconds < 5.1 for run in holds(program, schedules=5)} == {True}


def test_a_loop_does_not_lose_patience_while_another_thread_gets_on(holds):
    def program():
        done = []

        def wait():
            end = monotonic() + 1
            while len(done) < 300:
                assert monotonic() < end

        def work():
            for number in range(300):
                done.append(number)

        concurrently(wait, work)

    holds(program, schedules=5)


def test_sleeping_alone(control):
    run = control().run(lambda: time.sleep(HOUR), Attempt("plan", []))
    assert (run.ending, round(run.seconds)) == (Ending.COMPLETE, HOUR)


@pytest.mark.parametrize(
    ("length", "error"),
    [
        (-1, ValueError),
        ("long", TypeError),
        (None, TypeError),
        (float("nan"), ValueError),
        (float("inf"), OverflowError),
        (1e100, OverflowError),
    ],
)
def test_wrong_lengths_are_refused_as_ever(control, length, error):
    with pytest.raises(error):
        time.sleep(length)

    def program():
        with pytest.raises(error):
            time.sleep(length)

    run = control().run(lambda: concurrently(program), Attempt("plan", []))
    assert (run.failure, run.ending) == (None, Ending.COMPLETE)


def test_lengths_may_be_other_numbers(holds):
    class Index:
        def __index__(self):
            return 2

    def program():
        began = monotonic()
        concurrently(lambda: sleep(Index()), lambda: sleep(True))
        assert 2 <= monotonic() - began < 2.1

    holds(program, schedules=1)


def test_the_same_schedule_shows_the_same_time(control):
    entered, seen = control(), []

    def program():
        def look():
            for _ in range(50):
                time.monotonic()
            seen.append(time.monotonic() - BEGAN)

        began = time.monotonic()
        BEGAN = began
        concurrently(look, look)

    for _ in range(3):
        entered.run(program, Attempt("walk", 1.0, 7))
    assert seen[:2] == seen[2:4] == seen[4:]

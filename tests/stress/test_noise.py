"""noise.py: delays are seeded, come only in code under test, and leave sys.monitoring as it was."""

import contextlib
import json
import sys
import sysconfig
import threading
from collections import defaultdict

import pytest

from ftcheck.option_table import SettingsError
from ftcheck.stress import noise
from ftcheck.stress.noise import Noise

pytestmark = pytest.mark.usefixtures("leaves_nothing_behind")
FREE_FOR_US = (4, 5, 3, 2, 0)


@pytest.fixture
def pauses(monkeypatch):
    """(function, line in it, seconds) of every pause, for each thread; no time passes."""
    seen = defaultdict(list)

    class Time:
        @staticmethod
        def sleep(seconds):
            frame = sys._getframe(2)
            where = frame.f_code.co_name, frame.f_lineno - frame.f_code.co_firstlineno, seconds
            seen[threading.current_thread()].append(where)

    monkeypatch.setattr(noise, "time", Time)
    return seen


def under_test(steps=20):
    total = 0
    for step in range(steps):
        total += step
        total -= 1
    return total


def play(source, thread, round):
    source.begin(thread, round)
    under_test()
    source.end()


def one_round(pauses, *, seed=0, thread=0, round=1, probability=0.5):
    source = Noise(probability, seed)
    pauses.clear()
    with source.active():
        play(source, thread, round)
    return pauses[threading.current_thread()]


def test_the_same_seed_thread_and_round_pauses_at_the_same_places(pauses):
    first = one_round(pauses, seed=7, thread=1, round=3)
    assert first
    assert one_round(pauses, seed=7, thread=1, round=3) == first


@pytest.mark.parametrize("other", [{"seed": 8}, {"thread": 2}, {"round": 4}])
def test_another_seed_thread_or_round_pauses_elsewhere(pauses, other):
    same = {"seed": 7, "thread": 1, "round": 3}
    assert one_round(pauses, **same) != one_round(pauses, **{**same, **other})


def test_what_other_threads_do_does_not_change_a_threads_pauses(pauses):
    """Each thread draws from a generator of its own."""
    alone = [one_round(pauses, thread=number) for number in range(4)]
    source = Noise(0.5, 0)
    threads = [threading.Thread(target=play, args=(source, number, 1)) for number in range(4)]
    with source.active():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [pauses[thread] for thread in threads] == alone


def test_certain_noise_pauses_at_every_line_under_test(pauses):
    lines = [entry[1] for entry in one_round(pauses, probability=1) if entry[0] == "under_test"]
    assert lines == [1, *[2, 3, 4] * 20, 2, 5]


def test_pauses_are_short(pauses):
    assert {seconds for _, _, seconds in one_round(pauses, probability=1)} <= {0.0, 0.000_001, 0.000_020, 0.000_200}


def test_there_are_none_before_begin_after_end_and_in_other_threads(pauses):
    source = Noise(1, 0)
    with source.active():
        under_test()
        source.begin(0, 1)
        source.end()
        under_test()
        source.begin(0, 1)
        thread = threading.Thread(target=under_test)
        thread.start()
        thread.join()
        source.end()
    assert "under_test" not in {function for seen in pauses.values() for function, _, _ in seen}


def test_there_are_none_in_the_standard_library_in_packages_and_in_ftcheck(pauses):
    source, namespace = Noise(1, 0), {}
    exec(compile("def packaged(): pass", f"{sysconfig.get_path('purelib')}/package/module.py", "exec"), namespace)
    with source.active():
        source.begin(0, 1)
        json.dumps({"a": [1, 2, 3]}, indent=1)  # the indenting encoder is Python code
        namespace["packaged"]()
        source.end()
    assert {function for function, _, _ in pauses[threading.current_thread()]} == {
        "test_there_are_none_in_the_standard_library_in_packages_and_in_ftcheck"
    }


def test_no_noise_touches_nothing():
    source = Noise(0.0, 0)
    before = sys.monitoring.get_tool(4)
    with source.active():
        source.begin(0, 1)
        assert sys.monitoring.get_tool(4) is before


@pytest.mark.parametrize("taken", range(4))
def test_takes_a_free_tool_id_and_gives_it_back(pauses, taken):
    """Whatever a debugger or a profiler holds; and pauses come whichever it is."""
    free = [number for number in FREE_FOR_US if sys.monitoring.get_tool(number) is None]
    if len(free) <= taken:
        pytest.skip("others hold tool ids of sys.monitoring")
    for number in free[:taken]:
        sys.monitoring.use_tool_id(number, "another tool")
    try:
        with contextlib.suppress(KeyError), Noise(1, 0).active():
            assert sys.monitoring.get_tool(free[taken]) == "ftcheck noise"
            raise KeyError
        assert sys.monitoring.get_tool(free[taken]) is None
        assert one_round(pauses, probability=1)
    finally:
        for number in free[:taken]:
            sys.monitoring.free_tool_id(number)


def test_says_so_when_every_tool_id_is_taken():
    taken = [number for number in FREE_FOR_US if sys.monitoring.get_tool(number) is None]
    for number in taken:
        sys.monitoring.use_tool_id(number, "another tool")
    try:
        with pytest.raises(SettingsError, match=r"every tool id of sys\.monitoring is in use"), Noise(1, 0).active():
            raise AssertionError("unreachable")
    finally:
        for number in taken:
            sys.monitoring.free_tool_id(number)

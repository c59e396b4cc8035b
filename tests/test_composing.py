"""Interleavings composed by hand: a value that can be pasted, drawn by Hypothesis, run under control and shrunk."""

import subprocess
import sys
import threading

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from hypothesis.vendor.pretty import pretty

import ftcheck
from ftcheck import Interleaving, composing, interleavings
from tests.explore.conftest import state_of_the_process

quiet = settings(database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


class Counter:
    def __init__(self):
        self.value = 0

    def increment(self):
        self.value += 1


def lost(interleaving):
    counter = Counter()
    interleaving.run(counter.increment, counter.increment)
    return counter.value == 1


def opposite_locks():
    first, second = threading.Lock(), threading.Lock()

    def one():
        with first, second:
            pass

    def two():
        with second, first:
            pass

    return one, two


@pytest.fixture(autouse=True)
def _restored():
    before = state_of_the_process()
    yield
    assert state_of_the_process() == before


@pytest.fixture(scope="module")
def smallest():
    """The smallest schedule that loses an update, as Hypothesis finds it."""
    with composing.kept(composing.project_of(__file__)):
        return find(interleavings(within=10), lost, settings=settings(quiet, max_examples=300))


# --- drawn -----------------------------------------------------------------------------------------------------------


def test_it_shrinks_to_the_one_preemption(smallest):
    assert smallest.preemptions == 1
    assert lost(smallest)
    assert lost(eval(repr(smallest)))


def test_without_preemptions_threads_follow_each_other():
    order = []
    Interleaving().run(*(lambda number=number: order.append(number) for number in range(4)))
    assert order == [0, 1, 2, 3]
    assert not lost(Interleaving())


def test_any_thread_can_be_the_first():
    """A preemption at the first point of all: before the thread does anything."""
    order = []
    Interleaving("1p1-3").run(*(lambda number=number: order.append(number) for number in (1, 2, 3)))
    assert order == [3, 1, 2]


def test_the_same_every_time(smallest):
    assert all(lost(smallest) for _ in range(5))


@settings(quiet, phases=[Phase.generate], max_examples=200)
@given(st.data())
def test_what_is_drawn(data):
    threads, most = data.draw(st.integers(2, 5)), data.draw(st.integers(0, 4))
    drawn = data.draw(interleavings(threads, preemptions=most, within=30))
    choices = composing.Schedule.parse(drawn.schedule).choices
    assert drawn.preemptions == len(choices) <= most
    assert all(1 <= one.thread <= threads and 1 <= one.to <= threads and one.thread != one.to for one in choices)
    assert all(1 <= one.step <= 30 for one in choices)
    assert len({(one.thread, one.step) for one in choices}) == len(choices)
    assert eval(repr(drawn)) == drawn


def test_what_cannot_fail_is_not_found():
    """A lock is held: no schedule of this strategy loses anything."""

    class Locked(Counter):
        lock = threading.Lock()

        def increment(self):
            with self.lock:
                self.value += 1

    def fails(interleaving):
        counter = Locked()
        interleaving.run(counter.increment, counter.increment)
        return counter.value != 2

    with composing.kept(composing.project_of(__file__)), pytest.raises(NoSuchExample):
        find(interleavings(), fails, settings=settings(quiet, max_examples=200))


def test_control_is_entered_once_for_a_test(monkeypatch):
    from ftcheck.explore import control

    entered = []
    before = control.Control.__enter__
    monkeypatch.setattr(control.Control, "__enter__", lambda self: entered.append(self) or before(self))

    @settings(quiet, max_examples=20)
    @given(interleavings())
    def check(interleaving):
        interleaving.run(Counter().increment, Counter().increment)

    with composing.kept(composing.project_of(__file__)):
        check()
    assert len(entered) == 1
    Interleaving().run(Counter().increment)
    assert len(entered) == 2


# --- the value -------------------------------------------------------------------------------------------------------


def test_it_prints_what_can_be_pasted():
    shown = Interleaving("2p3-1.1p4-2", scope=["json"])
    assert repr(shown) == pretty(shown) == "ftcheck.Interleaving('1p4-2.2p3-1', scope=('json',))"
    assert eval(repr(shown)) == shown
    assert len({shown, eval(repr(shown)), Interleaving()}) == 2


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Interleaving("1x4-2"), ValueError, "'1x4-2' is no decision such as 1p12-2"),
        (lambda: Interleaving([(1, 4, 2)]), TypeError, "takes a schedule as text, such as '1p4-2'"),
        (lambda: Interleaving("", scope="json"), TypeError, "must be names of packages, such as"),
        (lambda: interleavings(1), ValueError, "threads must be from 2 to 63, not 1"),
        (lambda: interleavings(64), ValueError, "threads must be from 2 to 63, not 64"),
        (lambda: interleavings(2.5), TypeError, "threads must be a whole number, not 2.5"),
        (lambda: interleavings(preemptions=-1), ValueError, "preemptions must be from 0 to"),
        (lambda: interleavings(within=0), ValueError, "within must be from 1 to"),
        (lambda: interleavings(scope=["no_such_package"]), ValueError, "there is no package 'no_such_package'"),
        (lambda: Interleaving().run(), ValueError, "at least one callable"),
        (lambda: Interleaving().run(3), TypeError, "argument 0 is 3, which cannot be called"),
        (lambda: find(interleavings(), lambda one: one.run(print, print, print)), TypeError, "run() got 3 bodies: ask for"),
    ],
)
def test_bad_input(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert words in str(caught.value)


# --- what comes of a run ---------------------------------------------------------------------------------------------


def test_failures_are_raised_as_from_concurrently():
    def fail():
        raise KeyError("of a body")

    with pytest.raises(ExceptionGroup) as caught:
        Interleaving().run(fail, Counter().increment)
    [inside] = caught.value.exceptions
    assert type(inside) is KeyError
    assert "in body 0 of 2" in inside.__notes__[0]
    assert any("KeyError" in note and "in thread 1" in note for note in caught.value.__notes__)


def test_a_deadlock_says_who_waits_for_whom():
    Interleaving().run(*opposite_locks())
    with pytest.raises(ftcheck.DeadlockError) as caught:
        Interleaving("1p4-2").run(*opposite_locks())
    text = str(caught.value)
    assert text.startswith("deadlock: threads 1 and 2 wait for each other\n    thread 1 holds first, taken at ")
    assert "waits for second, held by thread 2" in text
    assert any("switch to thread 2" in note for note in caught.value.__notes__)


def test_a_livelock_is_no_pass(monkeypatch):
    counter = Counter()

    def spin():
        while not counter.value:
            counter.value = 0

    with pytest.raises(RuntimeError, match=r"given up after .* points: a livelock, perhaps"):
        Interleaving().run(spin, spin)


def test_not_inside_of_another_run():
    from ftcheck.explore.control import Attempt, Control
    from ftcheck.explore.scope import Scope

    with Control(Scope([__file__])) as control:
        run = control.run(lambda: Interleaving().run(print, print), Attempt("plan", []))
    assert isinstance(run.failure, RuntimeError)
    assert "call ftcheck.concurrently() there, or take the marker off" in str(run.failure)


def test_not_without_a_tool_id(monkeypatch):
    monkeypatch.setattr(sys.monitoring, "get_tool", lambda number: "another")
    with pytest.raises(RuntimeError, match=r"every tool id of sys\.monitoring is in use"):
        Interleaving().run(print, print)


def test_importing_ftcheck_loads_neither_hypothesis_nor_the_engine():
    code = (
        "import sys, ftcheck; ftcheck.Interleaving('1p4-2');"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'hypothesis', 'pytest', 'rich'}),"
        "'ftcheck.explore.control' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] False\n"


def test_without_hypothesis_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ImportError, match="pip install hypothesis"):
        interleavings()


def test_the_project_of_a_file(tmp_path):
    (tmp_path / "tests" / "deep").mkdir(parents=True)
    file = tmp_path / "tests" / "deep" / "test_x.py"
    assert composing.project_of(str(file)) == file.parent
    (tmp_path / "pyproject.toml").touch()
    assert composing.project_of(str(file)) == tmp_path

"""Tests that are explored, end to end: every kind of test, every kind of end, what is printed, and what is left behind."""

import importlib.resources
import json

import jsonschema
import pytest

KINDS = """
import asyncio
import concurrent.futures
import gc
import os
import sys
import threading
import time
import unittest
import _thread

import pytest

import ftcheck

explored = pytest.mark.ftcheck(explore=True, threads=2)

class Counter:
    def __init__(self):
        self.value = 0

    def increment(self):
        self.value += 1

SHARED = Counter()
WIDE = []
SET_UP = []
TORN_DOWN = []

def around():
    '''What has to be afterwards as it was before.'''
    return {
        "lock": (_thread.lock.acquire, _thread.lock.release, _thread.lock.__enter__, _thread.lock.__exit__),
        "rlock": (_thread.RLock.acquire, _thread.RLock.release),
        "clocks": (time.sleep, time.monotonic, time.time, time.perf_counter),
        "thread": (threading.Thread.start, threading.Thread.join, _thread.start_joinable_thread),
        "hooks": (threading.excepthook, sys.unraisablehook, sys.excepthook),
        "streams": (sys.stdout, sys.stderr),
        "tools": [sys.monitoring.get_tool(number) for number in range(6)].count(None) >= 5,  # of the session: one
        "events": [sys.monitoring.get_events(number) for number in range(6) if sys.monitoring.get_tool(number)],
        "gc": (gc.isenabled(), gc.get_threshold()),
        "cpus": os.sched_getaffinity(0),
        "threads": set(threading.enumerate()),
        "interval": sys.getswitchinterval(),
    }

BEFORE = around() | {"events": [0]}

# --- what is run at the same time -----------------------------------------------------------------------------------

@explored
def test_copies_hold():
    counter = Counter()
    counter.increment()
    assert counter.value == 1

@explored
def test_copies_fail():
    before = SHARED.value
    SHARED.increment()
    assert SHARED.value == before + 1

@explored
def test_concurrently_fails():
    counter = Counter()
    ftcheck.concurrently(counter.increment, counter.increment)
    assert counter.value == 2

@explored
def test_concurrently_holds():
    counter, lock = Counter(), threading.Lock()
    def body():
        with lock:
            counter.increment()
    ftcheck.concurrently(body, body)
    assert counter.value == 2

@explored
def test_three_bodies_hold():
    lock, order = threading.Lock(), []
    def body():
        with lock:
            order.append(1)
    ftcheck.concurrently(body, threads=3)
    assert len(order) == 3

@explored
def test_threads_fail():
    counter = Counter()
    threads = [threading.Thread(target=counter.increment) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.value == 2

@explored
def test_one_thread_against_the_test():
    seen = []
    thread = threading.Thread(target=seen.append, args=(1,))
    thread.start()
    here = list(seen)
    thread.join()
    assert here == [] or here == [1]

@explored
@pytest.mark.ftcheck(schedules=5000)
def test_pool_fails():
    counter = Counter()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(counter.increment) for _ in range(2)]:
            future.result()
    assert counter.value == 2

@explored
def test_no_thread_after_all():
    if SHARED is None:
        ftcheck.concurrently(SHARED.increment)

# --- fixtures and parameters ----------------------------------------------------------------------------------------

@pytest.fixture
def fresh(tmp_path):
    SET_UP.append(tmp_path)
    yield tmp_path
    TORN_DOWN.append(tmp_path)

@pytest.fixture(scope="module")
def wide():
    WIDE.append("set up")
    yield WIDE
    WIDE.append("torn down")

@explored
def test_fresh(fresh, wide):
    SHARED.increment()
    assert list(fresh.iterdir()) == []
    (fresh / "mine").write_text("mine")

def test_fresh_was_set_up_for_each_copy_of_each_interleaving():
    # plain: pytest's own set-up of the original, the first run of one copy alone, then two copies for each interleaving
    assert len(SET_UP) == len(TORN_DOWN) == len(set(SET_UP))
    assert sorted(SET_UP) == sorted(TORN_DOWN)
    assert len(SET_UP) >= 1 + 1 + 2 * 2
    assert len(SET_UP) % 2 == 0

@explored
def test_wide(wide):
    wide.append("used")

def test_wide_was_set_up_once(wide):
    assert wide.count("set up") == 1
    assert "torn down" not in wide
    assert wide.count("used") >= 1 + 2 * 2

@explored
@pytest.mark.parametrize("step", [1, 2], ids=["one", "it's two"])
def test_parametrized(step):
    counter = Counter()
    def add():
        counter.value += step
    ftcheck.concurrently(add, add)
    assert counter.value == 2 * step

@explored
class TestUnittest(unittest.TestCase):
    def setUp(self):
        self.counter = Counter()

    def test_fails(self):
        ftcheck.concurrently(self.counter.increment, self.counter.increment)
        self.assertEqual(self.counter.value, 2)

    @pytest.mark.ftcheck(schedules=20)
    def test_each_holds(self):
        self.counter.increment()
        self.assertEqual(self.counter.value, 1)

    def test_skips_itself(self):
        self.skipTest("unittest's way")

@explored
class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def test_awaits(self):
        await asyncio.sleep(0)

@explored
async def test_coroutine():
    assert 0

# --- how tests end --------------------------------------------------------------------------------------------------

@explored
def test_skips():
    pytest.skip("inside")

@explored
def test_expects_a_failure():
    pytest.xfail("inside")

@explored
def test_skips_in_one_order_and_fails_in_another():
    order = []
    ftcheck.concurrently(lambda: order.append(1), lambda: order.append(2))
    if order == [1, 2]:
        pytest.skip("in the first one that is run")
    raise KeyError("the other way round")

@explored
def test_skips_in_one_order_only():
    order = []
    ftcheck.concurrently(lambda: order.append(1), lambda: order.append(2))
    if order == [2, 1]:
        pytest.skip("the other way round")

@explored
def test_a_body_skips():
    ftcheck.concurrently(lambda: pytest.skip("in a body"), lambda: None)

@explored
@pytest.mark.xfail(reason="known")
def test_marked_xfail():
    counter = Counter()
    ftcheck.concurrently(counter.increment, counter.increment)
    assert counter.value == 2

@explored
@pytest.mark.xfail(strict=True)
def test_strict_xfail_holds():
    pass

@pytest.fixture
def no_set_up():
    SET_UP.append("broken")
    raise OSError("no set-up")

@explored
def test_set_up(no_set_up):
    pass

CALLS = []

@pytest.fixture
def third_set_up_fails():
    CALLS.append(1)
    if len(CALLS) == 5:
        raise OSError("the fifth is one too many")

@explored
def test_later_set_up(third_set_up_fails):
    SHARED.increment()

@pytest.fixture
def no_teardown():
    yield
    if len(TORN_DOWN) != -1:
        raise OSError("no teardown")

@explored
def test_teardown(no_teardown):
    pass

@pytest.fixture
def looks_at_the_end():
    yield
    raise OSError("a teardown")

@explored
def test_body_and_teardown(looks_at_the_end):
    raise KeyError("the body")

@explored
def test_deadlock():
    first, second = threading.Lock(), threading.Lock()
    def one():
        with first, second:
            pass
    def two():
        with second, first:
            pass
    ftcheck.concurrently(one, two)

@explored
def test_thread_of_its_own_raises():
    def work():
        raise OSError("nobody joins me")
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

@explored
def test_prints():
    def one():
        print("one prints")
        raise KeyError("one")
    def two():
        print("two complains", file=sys.stderr)
    print("the test prints")
    ftcheck.concurrently(one, two)

@explored
def test_copies_print():
    print("a copy prints")
    before = SHARED.value
    SHARED.increment()
    assert SHARED.value == before + 1

@explored
def test_sleeps():
    done = []
    def late():
        time.sleep(3600)
        done.append("late")
    ftcheck.concurrently(late, lambda: done.append("early"))
    assert done == ["early", "late"]

@explored
@pytest.mark.ftcheck(schedules=5)
def test_budget():
    lists = [[], []]
    def body():
        for number in range(10):
            lists[number % 2].append(number)
    ftcheck.concurrently(body, threads=3)
    assert sum(map(len, lists)) == 30

@explored
def test_capsys(capsys):
    print("alone")

# --- what is left ---------------------------------------------------------------------------------------------------

def test_nothing_is_left():
    assert around() == BEFORE

def test_locks_work():
    lock = threading.Lock()
    with lock:
        assert not lock.acquire(timeout=0.01)
        began = time.monotonic()
        time.sleep(0.01)
        assert time.monotonic() - began >= 0.009
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    assert lock.locked()
"""
PLAIN = (
    "test_fresh_was_set_up_for_each_copy_of_each_interleaving",
    "test_wide_was_set_up_once",
    "test_nothing_is_left",
    "test_locks_work",
)
EXPECTED = {
    "test_copies_hold": "passed",
    "test_copies_fail": "failure",
    "test_concurrently_fails": "failure",
    "test_concurrently_holds": "passed",
    "test_three_bodies_hold": "passed",
    "test_threads_fail": "failure",
    "test_one_thread_against_the_test": "passed",
    "test_pool_fails": "failure",
    "test_no_thread_after_all": "not checked",
    "test_fresh": "passed",
    "test_wide": "passed",
    "test_parametrized[one]": "failure",
    "test_parametrized[it's two]": "failure",
    "TestUnittest::test_fails": "failure",
    "TestUnittest::test_each_holds": "passed",
    "TestUnittest::test_skips_itself": "skipped",
    "TestAsync::test_awaits": "not checked",
    "test_coroutine": "failure",
    "test_skips": "skipped",
    "test_expects_a_failure": "expected failure",
    "test_skips_in_one_order_and_fails_in_another": "failure",
    "test_skips_in_one_order_only": "skipped",
    "test_a_body_skips": "skipped",
    "test_marked_xfail": "expected failure",
    "test_strict_xfail_holds": "failure",
    "test_set_up": "error",
    "test_later_set_up": "error",
    "test_teardown": "error",
    "test_body_and_teardown": "failure",
    "test_deadlock": "deadlock",
    "test_thread_of_its_own_raises": "failure",
    "test_prints": "failure",
    "test_copies_print": "failure",
    "test_sleeps": "passed",
    "test_budget": "passed",
    "test_capsys": "not checked",
}
"""Verdict by test."""


@pytest.fixture(scope="module")
def run(mini):
    """Every kind of test and end, in the process that prints."""
    return mini({"test_kinds.py": KINDS}, "-v", "-p", "no:randomly", "--ftcheck-seed=7", "--ftcheck-json=report.json")


@pytest.fixture(scope="module")
def data(run):
    return json.loads((run.folder / "report.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", EXPECTED)
def test_verdict(run, name):
    assert run.verdict(name) == EXPECTED[name], run.test(name)


def test_every_explored_test_has_a_verdict(run):
    assert {name.partition("::")[2] for name in run.verdicts()} == set(EXPECTED)
    assert run.status == 1


@pytest.mark.parametrize("name", PLAIN)
def test_plain_tests_in_between(run, name):
    """They look at what the explored ones did, and left."""
    assert run.outcomes(name) == dict.fromkeys(("setup", "call", "teardown"), "passed"), run.text(name)


# --- coverage -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "threads", "number", "text"),
    [
        ("test_copies_hold", 2, 1, "2 threads, the only interleaving"),
        ("test_concurrently_holds", 2, 2, "2 threads, all 2 inequivalent interleavings"),
        ("test_three_bodies_hold", 3, 6, "3 threads, all 6 inequivalent interleavings"),
    ],
)
def test_all_interleavings(run, name, threads, number, text):
    """Two who take one lock come in two orders, three in six; copies that share nothing in one."""
    coverage = run.test(name)["coverage"]
    assert (coverage["limit"], coverage["threads"]) == ("complete", threads)
    assert (coverage["interleavings"]["complete"], coverage["interleavings"]["number"]) == (True, number)
    assert coverage["overlapped"] == coverage["rounds"] >= number
    run.lines.fnmatch_lines([f"*::{name} PASSED ({text})*"])
    assert run.junit_properties(name) == {"ftcheck_verdict": "passed", "ftcheck_coverage": text}


def test_the_budget_is_said(run):
    coverage = run.test("test_budget")["coverage"]
    assert (coverage["limit"], coverage["rounds"], coverage["interleavings"]["complete"]) == ("schedules", 5, False)
    text = run.junit_properties("test_budget")["ftcheck_coverage"]
    assert text.startswith("3 threads, 5 schedules sampled, P(a bug of depth 2 was missed) at most ")
    assert "schedule budget reached" in text


def test_sleeps_take_no_time_and_are_said(run):
    """An hour, asleep; and orders in which it ends before something else could run are not tried."""
    assert run.test("test_sleeps")["coverage"]["interleavings"]["timed"]
    assert (
        "sleeps and timeouts end only when nothing else can run" in run.junit_properties("test_sleeps")["ftcheck_coverage"]
    )
    assert run.test("test_sleeps")["coverage"]["seconds"] < 3600


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("test_capsys", "uses capsys, which captures the process's output"),
        ("TestAsync::test_awaits", "a coroutine: nobody controls what its event loop waits for"),
        ("test_no_thread_after_all", "it started no thread"),
    ],
)
def test_not_checked(run, name, reason):
    assert run.test(name)["reason"] == reason
    assert run.outcomes(name)["call"] == "passed"


def test_a_coroutine_that_nobody_runs_is_not_green(run):
    assert "async def functions are not natively supported" in run.text("test_coroutine")


def test_one_thread_beside_the_test(run):
    """The test itself is the other one."""
    coverage = run.test("test_one_thread_against_the_test")["coverage"]
    assert coverage["threads"] == 1
    assert coverage["interleavings"]["number"] >= 2


# --- findings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "what", "copies"),
    [
        ("test_copies_fail", "AssertionError: assert ", 2),
        ("test_concurrently_fails", "AssertionError: assert 1 == 2 ", 0),
        ("test_threads_fail", "AssertionError: assert 1 == 2 ", 0),
        ("test_parametrized[it's two]", "AssertionError: assert 2 == (2 * 2) ", 0),
        ("TestUnittest::test_fails", "AssertionError: 1 != 2 ", 0),
        ("test_deadlock", "deadlock ", 0),
    ],
)
def test_finding(run, name, what, copies):
    """One preemption is enough for each of these, and the report begins with what happened, and says how to see it again."""
    finding = run.finding(name)
    number = finding["coverage"]["rounds"]
    assert finding["headline"] == f"{what}(schedule {number}, 1 preemption, the fewest there are)" or (
        name == "test_copies_fail" and finding["headline"].startswith(what)
    )
    assert (finding["coverage"]["limit"], finding["coverage"]["failed"]) == ("found", 1)
    token = finding["replay"]
    assert token.split(".")[3] == str(copies)
    assert token.partition("~")[2].count("p") == 1
    assert "── switch to " in finding["detail"]
    lines = pytest.LineMatcher(finding["detail"].splitlines())
    node = "'test_kinds.py::test_parametrized[it'\"'\"'s two]'" if "it's" in name else f"test_kinds.py::{name}"
    lines.fnmatch_lines(
        [
            f"run it again:  pytest {node.replace('[', '[[]')} --ftcheck-replay={token}",
            f'pin it:        @pytest.mark.ftcheck(replay="{token}")',
        ]
    )
    assert finding["detail"] in run.text(name)


def test_threads_of_its_own(run):
    """Both are seen in the interleaving."""
    assert run.test("test_threads_fail")["coverage"]["threads"] == 2
    assert "thread 1" in run.finding("test_threads_fail")["detail"]
    assert "thread 2" in run.finding("test_threads_fail")["detail"]


def test_executor(run):
    """Its threads are joined in the order of a set, by addresses: in which schedule it fails is not the same each time.

    One in 60 did when this was written, so 5,000 that do not have a probability below 1e-36.
    """
    assert run.test("test_pool_fails")["coverage"]["threads"] == 2
    assert run.finding("test_pool_fails")["headline"].startswith("AssertionError: assert 1 == 2 (schedule ")


def test_deadlock_says_who_waits_for_whom(run):
    detail = run.finding("test_deadlock")["detail"]
    assert detail.startswith("deadlock: threads 1 and 2 wait for each other\n")
    assert "thread 1 holds first, taken at test_kinds.py:" in detail
    assert "    first and second were made at test_kinds.py:" in detail
    assert "waits for first, held by thread 1, at test_kinds.py:" in detail
    assert run.text("test_deadlock").startswith("deadlock (schedule ")


def test_failure_in_a_thread_of_its_own(run):
    """``threading.excepthook`` is where it ends, and that is a failure."""
    assert run.groups("test_thread_of_its_own_raises")["OSError"]["message"] == "nobody joins me"
    assert "threading.excepthook" in run.text("test_thread_of_its_own_raises")
    assert run.finding("test_thread_of_its_own_raises")["replay"]


def test_a_skip_hides_no_failure(run):
    """The first interleaving is that of a run without preemptions: it skips. The search goes on."""
    name = "test_skips_in_one_order_and_fails_in_another"
    assert run.groups(name).keys() == {"KeyError"}
    assert run.finding(name)["coverage"]["rounds"] > 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("test_skips", "inside"),
        ("test_expects_a_failure", "inside"),
        ("TestUnittest::test_skips_itself", "unittest's way"),
        ("test_skips_in_one_order_only", "the other way round"),
        ("test_a_body_skips", "in a body"),
    ],
)
def test_skip(run, name, reason):
    assert run.test(name)["reason"].splitlines()[0] == reason
    assert run.outcomes(name)["call"] == "skipped"


def test_xfail_keeps_what_was_found(run):
    assert run.outcomes("test_marked_xfail")["call"] == "skipped"
    assert run.test("test_marked_xfail")["coverage"]["limit"] == "found"
    assert "XPASS(strict)" in run.text("test_strict_xfail_holds")


def test_broken_set_up(run):
    """The original's is pytest's own; one that breaks later is seen with its phase, and with the interleaving."""
    assert run.outcomes("test_set_up")["setup"] == "failed"
    groups = run.groups("test_later_set_up")
    assert (groups["OSError"]["phase"], groups["OSError"]["message"]) == ("set-up", "the fifth is one too many")
    assert run.finding("test_later_set_up")["headline"] == "schedule 3: OSError: the fifth is one too many"
    assert run.finding("test_later_set_up")["replay"] == ""


def test_broken_teardown(run):
    by_phase = {one["phase"]: one for one in run.test("test_teardown")["findings"]}
    assert by_phase["call"]["headline"] == "schedule 1: OSError: no teardown"
    assert [group["phase"] for group in by_phase["call"]["groups"]] == ["teardown"]


def test_a_broken_teardown_does_not_hide_the_body(run):
    [finding] = [one for one in run.test("test_body_and_teardown")["findings"] if one["phase"] == "call"]
    assert {(group["kind"], group["phase"]) for group in finding["groups"]} == {
        ("KeyError", "body"),
        ("OSError", "teardown"),
    }


def test_output_of_the_failing_interleaving(run):
    """By thread, and of that interleaving alone: it was run many times."""
    section = run.out.partition("_ test_prints _")[2].partition("\n____")[0]
    for title, text in [("stdout (the test)", "the test prints"), ("stdout (concurrently-0)", "one prints")]:
        assert f"Captured {title} call" in section
        assert section.count(f"\n{text}\n") == 1
    section = run.out.partition("_ test_copies_print _")[2].partition("\n____")[0].partition("\n====")[0]
    assert "Captured stdout (copy 1) call" in section
    assert "Captured stdout (copy 2) call" in section
    assert section.count("\na copy prints\n") == 2


# --- reports --------------------------------------------------------------------------------------------------------


def test_json(data):
    """Valid by its schema, with the coverage of the search and the token of what it found."""
    text = importlib.resources.files("ftcheck.report").joinpath("report-1.schema.json").read_text(encoding="utf-8")
    jsonschema.validate(data, json.loads(text), jsonschema.Draft202012Validator)
    tests = {test["test"].partition("::")[2]: test for test in data["tests"]}
    assert {name: test["verdict"] for name, test in tests.items()} == EXPECTED
    assert tests["test_concurrently_holds"]["coverage"]["interleavings"]["number"] == 2
    replays = {name: [data["findings"][place]["replay"] for place in test["findings"]] for name, test in tests.items()}
    assert replays["test_teardown"] == ["", ""]
    assert replays["test_concurrently_holds"] == []
    [token] = replays["test_deadlock"]
    assert token.startswith("ft2.")


def test_junit(run):
    """What failed is in there, with the interleaving and the token."""
    [failure] = run.junit_case("test_concurrently_fails").iter("failure")
    token = run.finding("test_concurrently_fails")["replay"]
    assert "assert 1 == 2" in str(failure.text)
    assert "── switch to thread " in str(failure.text)
    assert f"--ftcheck-replay={token}" in str(failure.text)
    [failure] = run.junit_case("test_deadlock").iter("failure")
    assert "waits for first, held by thread 1" in str(failure.text)
    assert run.junit_outcome("TestAsync::test_awaits") == []
    assert run.junit_properties("TestAsync::test_awaits") == {"ftcheck_verdict": "not checked"}


def test_summary(run):
    passed = [test["coverage"] for test in run.record["run"]["tests"] if test["verdict"] == "passed"]
    complete = sum(coverage["interleavings"]["complete"] for coverage in passed)
    schedules = sum(coverage["rounds"] for coverage in passed)
    assert 0 < complete < len(passed) == list(EXPECTED.values()).count("passed")
    table = " ".join(run.out.rpartition("= ftcheck =")[2].split())
    assert (
        f"nothing found in {schedules:,} controlled schedules; {complete} of {len(passed)} tests: all interleavings" in table
    )
    token = run.finding("test_threads_fail")["replay"]
    run.lines.fnmatch_lines([f" *again  pytest test_kinds.py::test_threads_fail --ftcheck-replay='{token}'"])
    run.lines.fnmatch_lines(["DEADLOCK test_kinds.py::test_deadlock - deadlock (schedule *"])


# --- without end ----------------------------------------------------------------------------------------------------

SPINS = """
import threading
import pytest
import ftcheck

pytestmark = pytest.mark.ftcheck(explore=True, threads=2)

def test_spins_for_ever():
    stop = []
    def spin():
        while not stop:
            pass
    thread = threading.Thread(target=spin)
    thread.start()
    thread.join()

@pytest.mark.ftcheck(schedules=40)
def test_spins_in_some_orders():
    flag = []
    def one():
        while not flag:
            pass
    def two():
        flag.append(1)
        flag.clear()
    ftcheck.concurrently(one, two)

def test_ends():
    flag = []
    def one():
        while not flag:
            pass
    ftcheck.concurrently(one, lambda: flag.append(1))
"""
SHORTER = """
from ftcheck.explore.control import Control
Control.__init__.__kwdefaults__.update(limit=3_000, stay=100)
"""


@pytest.fixture(scope="module")
def spins(mini):
    """A run is given up after 3,000 points here; after 100,000 else, which is the same, and takes longer."""
    return mini({"conftest.py": SHORTER, "test_spins.py": SPINS}, "-v", "--ftcheck-seed=7")


def test_without_end_is_not_passed(spins):
    assert spins.verdict("test_spins_for_ever") == "not checked"
    assert spins.test("test_spins_for_ever")["reason"].startswith("every schedule was given up: it went on for ever")


def test_some_without_end_is_said(spins):
    coverage = spins.test("test_spins_in_some_orders")["coverage"]
    cut = coverage["interleavings"]["cut"]
    assert not coverage["interleavings"]["complete"]
    assert 0 < cut < coverage["rounds"]
    words = f"{cut} schedule{'s' if cut > 1 else ''} given up at a limit"
    assert words in spins.junit_properties("test_spins_in_some_orders")["ftcheck_coverage"]


def test_a_spin_loop_that_ends(spins):
    """Who spins gives way, so that it ends; but the systematic search has to try what happens if it does not."""
    assert spins.verdict("test_ends") == "passed"
    assert spins.test("test_ends")["coverage"]["interleavings"]["cut"] <= 1


# --- what ends more than a test -------------------------------------------------------------------------------------

ENDS = """
import os
import pytest
import ftcheck

pytestmark = pytest.mark.ftcheck(explore=True, threads=2)

@pytest.mark.ftcheck(timeout=2)
def test_hangs():
    def hang():
        while True:
            pass
    ftcheck.concurrently(hang, lambda: None)

def test_dies_in_one_order():
    order = []
    def second():
        order.append(2)
    def first():
        if order:
            os.abort()
    ftcheck.concurrently(first, second)

def test_in_the_next_worker():
    ftcheck.concurrently(lambda: None, lambda: None)
"""
LEAVES = """
import pytest
import ftcheck

@pytest.mark.ftcheck(explore=True)
def test_leaves():
    order = []
    def second():
        order.append(2)
    def first():
        if order:
            pytest.exit("enough", returncode=7)
    ftcheck.concurrently(first, second)

@pytest.mark.ftcheck(explore=True)
def test_after(): pass
"""


def test_a_hang_and_a_crash_in_a_worker(mini):
    """A loop without any scheduling point is not controlled: the worker's watch ends it, as it does for rerun tests."""
    run = mini({"test_ends.py": ENDS}, "--ftcheck-marked", "--ftcheck-seed=7")
    assert run.verdict("test_hangs") == "hang"
    assert "in hang" in run.finding("test_hangs")["detail"]
    assert run.verdict("test_dies_in_one_order") == "crash"
    assert run.finding("test_dies_in_one_order")["round"] > 1
    assert run.verdict("test_in_the_next_worker") == "passed"
    assert run.status == 1


def test_exit_ends_the_run(mini):
    """In whichever interleaving, and in whichever thread."""
    run = mini({"test_leaves.py": LEAVES}, "-p", "no:randomly", "--ftcheck-seed=7")
    assert run.status == 7
    run.lines.fnmatch_lines(["*Exit: enough*"])
    assert not run.reports("test_after")


SERVICE = """
import queue
import threading

import ftcheck
import pytest

TASKS = queue.Queue()
SERVICE = None

def serve():
    while True:
        TASKS.get().set()

def ask():
    global SERVICE
    if SERVICE is None:
        SERVICE = threading.Thread(target=serve, daemon=True)
        SERVICE.start()
    done = threading.Event()
    TASKS.put(done)
    done.wait()

@pytest.mark.ftcheck(explore=True)
def test_asks():
    ask()
    ftcheck.concurrently(ask, ask)

@pytest.mark.ftcheck(explore=True)
def test_nobody_answers():
    waits = threading.Event()
    ftcheck.concurrently(waits.wait, waits.wait)
"""
DAEMONS = """
import queue
import threading

import ftcheck
import pytest
from hypothesis import given, strategies as st

@pytest.mark.ftcheck(explore=True)
@given(st.booleans())
def test_its_own_service(answered):
    tasks = queue.Queue()
    def serve():
        while True:
            task = tasks.get()
            if not answered:
                task.set()
    threading.Thread(target=serve, daemon=True).start()
    def ask():
        done = threading.Event()
        tasks.put(done)
        done.wait()
    ftcheck.concurrently(ask, ask)
"""


def test_a_deadlock_of_a_later_example_is_one(mini):
    """The first example comes to its end, and its daemon thread waits for more; that of the second never answers."""
    run = mini({"test_daemons.py": DAEMONS}, "-v")
    assert run.verdict("test_its_own_service") == "deadlock"


def test_a_service_that_ended_with_an_earlier_schedule_is_no_deadlock(mini):
    run = mini({"test_service.py": SERVICE}, "-v")
    assert run.verdict("test_asks") == "not checked"
    assert run.test("test_asks")["reason"].startswith("it waits for a thread that ended with the schedule")
    assert run.verdict("test_nobody_answers") == "deadlock"

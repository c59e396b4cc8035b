"""What a test that is rerun in threads means to pytest: every failure is kept, and the worst of all threads wins."""

import pytest

CONFTEST = """
import pytest

@pytest.fixture(autouse=True)
def once():
    '''A fixture of each test's own: so a body is called exactly once per thread and round.'''

class Page(pytest.Item):
    def runtest(self): pass

class Pages(pytest.File):
    def collect(self): yield Page.from_parent(self, name="page")

def pytest_collect_file(file_path, parent):
    return Pages.from_parent(parent, path=file_path) if file_path.suffix == ".page" else None
"""

FAILURES = """
import itertools, os, sys, threading, unittest, warnings
import pytest
from meeting import meet

rounds = itertools.count(1)

def test_holds():
    meet()

def test_every_thread_fails():
    assert meet() == "neither"

def test_one_thread_fails():
    if meet() == 0:
        raise KeyError("only this one")

def test_two_kinds():
    raise KeyError("kind A") if meet() else ValueError("kind B")

def test_other_text_same_line():
    number = meet()
    raise LookupError(f"thread came as number {number}")

def test_round_two_of_three():
    number = meet()
    if number == 0 and next(rounds) == 2:
        raise KeyError("second round")

def test_unraisable():
    class Dying:
        def __del__(self):
            raise OSError("in __del__")
    if meet() == 0:
        Dying()

def test_uncaught_in_a_thread_of_its_own():
    def work():
        raise OSError("nobody joins me")
    if meet() == 0:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

def test_a_skip_hides_no_failure():
    if meet() == 0:
        pytest.skip("one thread skips")
    raise KeyError("the other fails")

idents = []

def test_skips_come_first():
    meet("skips come first, at the start")
    idents.append(threading.get_ident())
    meet("skips come first, all are in")
    ours = sorted(set(idents))
    number = len(idents) // 2  # of the round
    meet("skips come first, counted")
    if number == 3:
        raise KeyError("in round 3, after each thread has skipped once")
    if ours.index(threading.get_ident()) == number - 1:
        pytest.skip("each thread skips, in another round")

def test_skip_in_one():
    if meet() == 0:
        pytest.skip("one thread skips")

def test_skip_in_all():
    meet()
    pytest.skip("each thread skips")

def test_an_xfail_hides_no_failure():
    if meet() == 0:
        pytest.xfail("expected")
    raise KeyError("the other fails")

def test_xfail_in_one():
    if meet() == 0:
        pytest.xfail("expected")

@pytest.mark.xfail
def test_marked_xfail_fails_in_one():
    if meet() == 0:
        raise KeyError("expected")

@pytest.mark.xfail(strict=True)
def test_strict_xfail_passes():
    meet()

@pytest.mark.xfail(raises=KeyError)
def test_xfail_of_this_kind():
    meet()
    raise KeyError("expected")

@pytest.mark.xfail(raises=KeyError)
def test_xfail_of_another_kind():
    raise KeyError("expected") if meet() else ValueError("not expected")

def test_pytest_fail():
    if meet() == 0:
        pytest.fail("in words")

def test_system_exit():
    if meet() == 0:
        sys.exit(3)

def test_keyboard_interrupt():
    if meet() == 0:
        raise KeyboardInterrupt

def test_generator_exit():
    if meet() == 0:
        raise GeneratorExit

def test_raised_warning():
    if meet() == 0:
        raise RuntimeWarning("raised")

@pytest.mark.filterwarnings("error")
def test_warning_as_error():
    if meet() == 0:
        warnings.warn("as an error", UserWarning)

def test_group_of_its_own():
    meet()
    raise ExceptionGroup("mine", [KeyError("a"), ValueError("b")])

def test_prints_and_fails():
    print(f"said on stdout by {meet()}\\n", end="")
    raise KeyError("printed before")

@pytest.mark.parametrize("name", ["good", "bad"])
def test_parameter(name):
    meet(f"test_parameter {name}")
    assert name == "good"

class TestOwnState:
    def setup_method(self):
        self.seen = []

    def test_fresh_instance_per_thread(self):
        self.seen.append(1)
        meet()
        assert self.seen == [1]

    def test_fails_in_one(self):
        if meet() == 0:
            raise KeyError("in a method")

class TestUnittest(unittest.TestCase):
    seen = ()

    def setUp(self):
        self.seen = [*self.seen, threading.get_ident()]

    def test_fresh_instance_and_setup_on_its_thread(self):
        meet()
        self.assertEqual(self.seen, [threading.get_ident()])

    def test_fails_in_one(self):
        self.assertEqual(meet(), 1)

    def test_skips(self):
        meet()
        self.skipTest("unittest's way")

    @unittest.expectedFailure
    def test_expected(self):
        meet()
        self.fail("expected")

    @unittest.expectedFailure
    def test_expected_but_passes(self):
        meet()

    def test_fails_in_subtest(self):
        meet()
        with self.subTest("part"):
            self.fail("in a subtest")

class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def test_awaited(self):
        with open("awaited.txt", "a") as file:
            file.write("x")

    async def test_fails(self):
        self.fail("in a coroutine")

async def test_coroutine_without_a_plugin():
    assert False

def test_failing_subtest(subtests):
    with subtests.test("part"):
        raise KeyError("in a subtest")

def test_runs_last():
    meet()
"""

ALONE = """
import doctest, threading, warnings
import ftcheck, pytest
from meeting import meet

def add(a, b):
    '''
    >>> add(1, 2)
    3
    '''
    return a + b

def test_own_threads():
    ftcheck.concurrently(lambda: meet("own"), lambda: meet("own"))

def test_own_threads_fail():
    def body():
        if meet("own fail") == 0:
            raise KeyError("in a body")
    ftcheck.concurrently(body, threads=2)

def test_own_total():
    total = []
    def body():
        meet("total", parties=3)
        total.append(1)
    ftcheck.concurrently(body, threads=3)
    assert len(total) == 3

def hidden(*bodies):
    run = getattr(ftcheck, "concur" + "rently")
    run(*bodies)

class Hidden:
    def __call__(self, body):
        hidden(body, body)

total = []

def test_own_threads_behind_an_object():
    del total[:]
    def body():
        meet("hidden")
        total.append(1)
    Hidden()(body)
    assert len(total) == 2

def test_never_overlaps():
    ftcheck.concurrently(lambda: None)

def test_capsys(capsys):
    print("seen")
    assert capsys.readouterr().out == "seen\\n"
    assert threading.current_thread() is threading.main_thread()

def test_capfd(capfd): pass
def test_caplog(caplog): pass
def test_monkeypatch(monkeypatch): pass
def test_recwarn(recwarn): pass

@pytest.fixture
def patched(monkeypatch): pass
def test_monkeypatch_by_another_fixture(patched): pass

def test_alone_and_fails(monkeypatch):
    raise KeyError("alone")

def test_alone_and_skips(monkeypatch):
    pytest.skip("alone")

@pytest.mark.thread_unsafe(reason="one global parser")
def test_unsafe_with_reason(): pass

@pytest.mark.thread_unsafe
def test_unsafe_without_reason(): pass

@pytest.mark.ftcheck(skip="draws on the screen")
def test_left_out():
    assert threading.current_thread() is threading.main_thread()

@pytest.mark.ftcheck(skip="draws on the screen")
def test_left_out_and_fails():
    raise KeyError("all the same")
"""

ARGUMENTS = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=3", "--ftcheck-timeout=120")


@pytest.fixture(scope="module")
def failures(mini):
    """A run of tests that end in every way there is."""
    return mini({"conftest.py": CONFTEST, "test_failures.py": FAILURES}, *ARGUMENTS)


@pytest.fixture(scope="module")
def alone(mini):
    """A run of tests that bring their own threads, and of tests that cannot run in threads."""
    ini = "[pytest]\nmarkers =\n    thread_unsafe: pytest-run-parallel's\n"
    files = {"pytest.ini": ini, "conftest.py": CONFTEST, "test_alone.py": ALONE, "some.page": ""}
    return mini(files, *ARGUMENTS, "--doctest-modules")


def test_the_run_goes_to_its_end(failures):
    """SystemExit, KeyboardInterrupt and the like in a thread end neither the run nor the worker."""
    assert failures.status == 1
    assert failures.verdict("test_runs_last") == "passed"
    failures.lines.no_fnmatch_line("*INTERNALERROR*")
    failures.lines.no_fnmatch_line("*crash*")


def test_pass_says_what_was_run(failures):
    coverage = failures.test("test_holds")["coverage"]
    assert failures.verdict("test_holds") == "passed"
    assert (coverage["threads"], coverage["rounds"], coverage["overlapped"], coverage["calls"]) == (2, 3, 3, 6)
    assert coverage["limit"] == "rounds"


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("test_every_thread_fails", "AssertionError", 6),
        ("test_one_thread_fails", "KeyError", 3),
        ("test_other_text_same_line", "LookupError", 6),
        ("test_unraisable", "OSError", 3),
        ("test_uncaught_in_a_thread_of_its_own", "OSError", 3),
        ("test_a_skip_hides_no_failure", "KeyError", 3),
        ("test_an_xfail_hides_no_failure", "KeyError", 3),
        ("test_system_exit", "SystemExit", 3),
        ("test_keyboard_interrupt", "KeyboardInterrupt", 3),
        ("test_generator_exit", "GeneratorExit", 3),
        ("test_raised_warning", "RuntimeWarning", 3),
        ("test_warning_as_error", "UserWarning", 3),
        ("test_group_of_its_own", "ExceptionGroup", 6),
        ("test_prints_and_fails", "KeyError", 6),
        ("test_parameter[bad]", "AssertionError", 6),
        ("TestOwnState::test_fails_in_one", "KeyError", 3),
        ("TestUnittest::test_fails_in_one", "AssertionError", 3),
    ],
)
def test_failures_are_counted(failures, name, kind, count):
    """One kind of failure is one group: how often, in which rounds; and it is the test's verdict."""
    assert failures.verdict(name) == "failure"
    assert failures.outcomes(name) == {"setup": "passed", "call": "failed", "teardown": "passed"}
    groups = failures.groups(name)
    assert list(groups) == [kind]
    assert groups[kind]["count"] == count
    assert groups[kind]["rounds"] == [1, 2, 3]
    assert failures.junit_outcome(name) == ["failure"]


def test_thread_numbers(failures):
    """Which threads failed is kept: here all."""
    assert failures.groups("test_every_thread_fails")["AssertionError"]["threads"] == [0, 1]


def test_all_kinds_are_kept(failures):
    """Two threads that fail in two ways are two groups, both of them shown, in the terminal and in the JUnit file."""
    groups = failures.groups("test_two_kinds")
    assert {kind: group["count"] for kind, group in groups.items()} == {"KeyError": 3, "ValueError": 3}
    for text in (failures.text("test_two_kinds"), failures.junit_case("test_two_kinds").findtext("failure")):
        assert "kind A" in text
        assert "kind B" in text


def test_round_number(failures):
    """A failure in one round of three says which one."""
    group = failures.groups("test_round_two_of_three")["KeyError"]
    assert (group["count"], group["rounds"]) == (1, [2])
    assert "1 of 3 rounds" in failures.text("test_round_two_of_three")


def test_skips_do_not_end_the_search(failures):
    """Each thread has skipped once, but never all in one round: the rounds go on, to the one that fails."""
    assert failures.verdict("test_skips_come_first") == "failure"
    assert failures.groups("test_skips_come_first")["KeyError"]["rounds"] == [3]


@pytest.mark.parametrize("name", ["test_unraisable", "test_uncaught_in_a_thread_of_its_own"])
def test_what_no_thread_could_raise(failures, name):
    """sys.unraisablehook and threading.excepthook are failures, and not warnings of pytest's."""
    assert failures.groups(name)["OSError"]["phase"] == "background"
    failures.lines.no_fnmatch_line("*Pytest*Exception*Warning*")


@pytest.mark.parametrize(
    ("name", "verdict", "outcome"),
    [
        ("test_skip_in_one", "skipped", "skipped"),
        ("test_skip_in_all", "skipped", "skipped"),
        ("TestUnittest::test_skips", "skipped", "skipped"),
        ("test_xfail_in_one", "expected failure", "skipped"),
        ("test_marked_xfail_fails_in_one", "expected failure", "skipped"),
        ("test_xfail_of_this_kind", "expected failure", "skipped"),
        ("test_xfail_of_another_kind", "failure", "failed"),
        ("test_strict_xfail_passes", "failure", "failed"),
        ("test_pytest_fail", "failure", "failed"),
        ("TestUnittest::test_expected", "expected failure", "skipped"),
        ("TestUnittest::test_expected_but_passes", "failure", "failed"),
        ("TestOwnState::test_fresh_instance_per_thread", "passed", "passed"),
        ("TestUnittest::test_fresh_instance_and_setup_on_its_thread", "passed", "passed"),
        ("test_parameter[good]", "passed", "passed"),
    ],
)
def test_other_ends(failures, name, verdict, outcome):
    assert failures.verdict(name) == verdict
    assert failures.outcomes(name)["call"] == outcome
    tags = {"skipped": ["skipped"], "failed": ["failure"], "passed": []}[outcome]
    assert failures.junit_outcome(name) == tags


def test_skip_keeps_its_reason(failures):
    assert failures.junit_case("test_skip_in_all").find("skipped").get("message") == "each thread skips"


def test_captured_output_is_shown(failures):
    """What the threads print is captured, and shown with the failure."""
    failures.lines.fnmatch_lines(
        ["*_ test_prints_and_fails _*", "*Captured stdout (thread 0, round 1) call*", "said on stdout by ?"]
    )


def test_strict_xfail_is_said_to_pass(failures):
    assert "XPASS(strict)" in failures.text("test_strict_xfail_passes")


@pytest.mark.parametrize("name", ["TestAsync::test_fails", "test_coroutine_without_a_plugin", "test_failing_subtest"])
def test_never_green_unrun(failures, name):
    """A coroutine that was never awaited, or a failed subtest, is not a pass."""
    assert failures.verdict(name) == "failure"


def test_subtest_of_unittest_is_a_failure(failures):
    assert failures.verdict("TestUnittest::test_fails_in_subtest") == "failure"


def test_async_test_case_runs_in_each_thread_and_round(failures):
    """One call per thread and round, and none skipped: the coroutine itself counts."""
    assert failures.verdict("TestAsync::test_awaited") in ("passed", "not checked")
    assert (failures.folder / "awaited.txt").read_text() == "x" * 6


@pytest.mark.parametrize(("name", "threads"), [("test_own_threads", 2), ("test_own_total", 3)])
def test_own_threads(alone, name, threads):
    """A test that calls concurrently() runs one copy at a time; its own bodies are what overlaps."""
    coverage = alone.test(name)["coverage"]
    assert alone.verdict(name) == "passed"
    assert (coverage["threads"], coverage["rounds"], coverage["overlapped"]) == (threads, 3, 3)


def test_own_threads_that_cannot_be_foreseen(alone):
    """Where the call is hidden from view, the first attempt in threads is given up and leaves no verdict."""
    assert alone.verdict("test_own_threads_behind_an_object") == "passed"
    coverage = alone.test("test_own_threads_behind_an_object")["coverage"]
    assert (coverage["threads"], coverage["rounds"], coverage["overlapped"]) == (2, 3, 3)


def test_own_threads_that_fail(alone):
    assert alone.verdict("test_own_threads_fail") == "failure"
    assert alone.finding("test_own_threads_fail")["headline"].startswith("3 of 3 rounds: ")
    assert "in a body" in alone.text("test_own_threads_fail")


def test_never_overlapped_is_no_pass(alone):
    """One body alone overlaps with nothing: that is said, and not called passed."""
    assert alone.verdict("test_never_overlaps") == "not checked"
    assert "overlapped" in alone.test("test_never_overlaps")["reason"]
    assert alone.junit_properties("test_never_overlaps")["ftcheck_verdict"] == "not checked"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("test_capsys", "capsys"),
        ("test_capfd", "capfd"),
        ("test_caplog", "caplog"),
        ("test_monkeypatch", "monkeypatch"),
        ("test_recwarn", "recwarn"),
        ("test_monkeypatch_by_another_fixture", "monkeypatch"),
        ("test_unsafe_with_reason", "thread_unsafe: one global parser"),
        ("test_unsafe_without_reason", "thread_unsafe"),
        ("test_left_out", "draws on the screen"),
        ("test_alone.add", "DoctestItem"),
        ("page", "Page"),
    ],
)
def test_runs_alone(alone, name, reason):
    """What cannot run in threads runs once, in the main thread, and is reported as not checked, with the reason."""
    assert alone.verdict(name) == "not checked"
    assert alone.outcomes(name)["call"] == "passed"
    assert reason in alone.test(name)["reason"]
    assert alone.test(name)["coverage"] is None


@pytest.mark.parametrize("name", ["test_alone_and_fails", "test_left_out_and_fails"])
def test_failure_of_a_test_that_runs_alone(alone, name):
    assert alone.verdict(name) == "failure"
    assert alone.outcomes(name)["call"] == "failed"


def test_skip_of_a_test_that_runs_alone(alone):
    assert alone.verdict("test_alone_and_skips") == "skipped"


def test_reasons_are_listed(alone):
    """The summary lists why tests were not checked, each reason with its count."""
    alone.lines.fnmatch_lines(["not checked, because:"])
    alone.lines.re_match_lines_random([r"\s+2  uses monkeypatch, which .*", r"\s+1  skip: draws on the screen"])


def test_exit_in_a_thread_stops_the_run(mini):
    """pytest.exit() does in a thread what it does elsewhere."""
    body = """
    import pytest
    from meeting import meet
    def test_leaves(request):
        if meet() == 0:
            pytest.exit("enough", returncode=7)
    def test_after(): pass
    """
    run = mini({"test_exit.py": body}, *ARGUMENTS, "--ftcheck-isolate=no")
    assert run.status == 7
    run.lines.fnmatch_lines(["*Exit: enough*"])
    assert not run.reports("test_after")

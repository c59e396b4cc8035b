"""Whatever ends the process is the verdict of the test that did it; the run, its JUnit file and all other tests go on."""

import pytest

CRASHES = """
import ctypes, os, signal, threading, time
import pytest
from meeting import meet

def the_other_waits(ready):
    ready.set()
    threading.Event().wait(100)

def both_then(die):
    '''One thread dies while the other one is certainly in the_other_waits().'''
    ready = readiness[die]
    if meet(die) == 0:
        ready.wait(100)
        die()
    the_other_waits(ready)

def reads_address_zero():
    ctypes.string_at(0)

def fatal_error():
    function = ctypes.PyDLL(None).Py_FatalError
    function.argtypes, function.restype = [ctypes.c_char_p], None
    function(b"made by the test")

def overflows_the_stack():
    ctypes.CDLL(os.environ["OVERFLOW"]).overflow(0)

def kills_itself():
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(100)

def leaves():
    os._exit(3)

readiness = {die: threading.Event() for die in
             (reads_address_zero, os.abort, fatal_error, overflows_the_stack, kills_itself, leaves)}

def in_main():
    return threading.current_thread() is threading.main_thread()

def test_before(): meet()
def test_segv(): both_then(reads_address_zero)
def test_abort(): both_then(os.abort)
def test_fatal_error(): both_then(fatal_error)
@pytest.mark.skipif("OVERFLOW" not in os.environ, reason="no compiler")
def test_stack_overflow(): both_then(overflows_the_stack)
def test_sigkill(): both_then(kills_itself)
def test_os_exit(): both_then(leaves)

def test_segv_alone(monkeypatch): reads_address_zero()

rounds = []
def test_third_round(request):
    if meet() == 0:
        rounds.append(1)
        if len(rounds) == 3:
            os.abort()
    meet("end of a round")

@pytest.fixture
def dies_in_setup(): os.abort()

def test_setup(dies_in_setup): pass

@pytest.fixture
def dies_in_setup_of_a_thread():
    if not in_main():
        os.abort()

def test_setup_in_thread(dies_in_setup_of_a_thread): pass

@pytest.fixture
def dies_in_teardown():
    yield
    os.abort()

def test_teardown_alone(monkeypatch, dies_in_teardown): pass

@pytest.fixture
def dies_in_teardown_of_a_thread():
    yield
    if not in_main():
        os.abort()

def test_teardown_in_thread(dies_in_teardown_of_a_thread): meet()

@pytest.fixture(scope="module")
def dies_at_the_end():
    yield
    os.abort()

def test_module_teardown(dies_at_the_end): meet()
"""

FILES = {
    "test_a_crashes.py": CRASHES,
    "test_b_import.py": "import os\nos.abort()\ndef test_never(): pass\n",
    "test_c_after.py": "from meeting import meet\ndef test_after(): meet()\ndef test_fails(): assert meet() == 5\n",
}
OVERFLOW = "int overflow(int n) { volatile char space[4096]; space[0] = n; return overflow(n + 1) + space[0]; }\n"
ARGUMENTS = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=3", "--ftcheck-timeout=120")


@pytest.fixture(scope="module")
def crashes(mini, compile_c):
    """All of them in one run."""
    return mini(FILES, *ARGUMENTS, "-v", OVERFLOW=str(compile_c("overflow", OVERFLOW)))


def test_the_run_ends(crashes):
    """With status 1, and no crash is left over for the run as a whole."""
    assert crashes.status == 1
    crashes.lines.no_fnmatch_line("*INTERNALERROR*")
    crashes.lines.no_fnmatch_line("*worker 'gw*' crashed*")
    assert [finding["tests"] for finding in crashes.general] == [["test_b_import.py"]]


def test_all_other_tests_are_run(crashes):
    """Those before, between and after, in the file of the crash and in others; a failure is still a failure."""
    assert crashes.verdict("test_before") == "passed"
    assert crashes.verdict("test_after") == "passed"
    assert crashes.verdict("test_fails") == "failure"


def test_junit_file_is_complete(crashes):
    """Every test is in it once, and so is the file that could not be imported."""
    expected = {*(death[0] for death in DEATHS), "test_before", "test_after", "test_fails", "test_b_import"}
    assert sorted(str(case.get("name")) for case in crashes.junit.iter("testcase")) == sorted(expected)
    assert crashes.junit_outcome("test_b_import") == ["error"]


DEATHS = [
    ("test_segv", "call", "SIGSEGV at address 0x0 in round 1", "reads_address_zero"),
    ("test_abort", "call", "SIGABRT in round 1", "both_then"),
    ("test_fatal_error", "call", "Fatal Python error: *made by the test", "fatal_error"),
    ("test_stack_overflow", "call", "SIGSEGV at address 0x*", "overflows_the_stack"),
    ("test_sigkill", "call", "SIGKILL*", ""),
    ("test_os_exit", "call", "os._exit(3) was called", "leaves"),
    ("test_segv_alone", "call", "SIGSEGV at address 0x0", "reads_address_zero"),
    ("test_third_round", "call", "SIGABRT in round 3", "test_third_round"),
    ("test_setup", "setup", "SIGABRT in the set-up", "dies_in_setup"),
    ("test_setup_in_thread", "call", "SIGABRT*", "dies_in_setup_of_a_thread"),
    ("test_teardown_alone", "teardown", "SIGABRT in the teardown", "dies_in_teardown"),
    ("test_teardown_in_thread", "call", "SIGABRT*", "dies_in_teardown_of_a_thread"),
    ("test_module_teardown", "teardown", "SIGABRT in the teardown", "dies_at_the_end"),
]


@pytest.mark.parametrize(("name", "phase", "words", "place"), DEATHS, ids=[death[0] for death in DEATHS])
def test_death_is_the_verdict(crashes, name, phase, words, place):
    """A crash, in its phase, with the signal's name and the function it came from."""
    assert crashes.verdict(name) == "crash"
    finding = crashes.finding(name)
    assert finding["phase"] == phase
    pytest.LineMatcher([finding["headline"]]).fnmatch_lines([f"*{words}"])
    assert place in finding["detail"]
    outcome, text = crashes.reports(name)[phase]
    assert outcome == "failed"
    assert f"crash: {finding['headline']}" in text


@pytest.mark.parametrize(("name", "phase"), [death[:2] for death in DEATHS], ids=[death[0] for death in DEATHS])
def test_death_in_the_junit_file(crashes, name, phase):
    """A failure if the body died, an error if a set-up or teardown did; with the signal in its text."""
    tag = "failure" if phase == "call" else "error"
    assert crashes.junit_outcome(name) == [tag]
    element = crashes.junit_case(name).find(tag)
    assert crashes.finding(name)["headline"] in f"{element.get('message')} {element.text}"
    assert crashes.junit_properties(name)["ftcheck_verdict"] == "crash"


@pytest.mark.parametrize("name", ["test_segv", "test_abort", "test_fatal_error", "test_stack_overflow", "test_third_round"])
def test_what_every_thread_was_doing(crashes, name):
    """The dump shows the thread that died and the one that did not."""
    detail = crashes.finding(name)["detail"]
    assert "thread 0" in detail
    assert "thread 1" in detail
    assert ("the_other_waits" if name != "test_third_round" else "in meet") in detail


def test_death_of_an_import(crashes):
    """A collection error of that file with the signal and the line; it costs no other file's tests."""
    [finding] = crashes.general
    assert (finding["verdict"], finding["phase"], finding["headline"]) == ("crash", "collection", "SIGABRT")
    assert 'test_b_import.py", line 2' in finding["detail"]
    assert "SIGABRT" in crashes.reports("test_b_import.py")["collect"][1]


def test_status_words(crashes):
    """-v says CRASH, not FAILED."""
    crashes.lines.re_match_lines_random([r"\[gw\d+\] .* CRASH test_a_crashes.py::test_segv ?"])


SMALL = """
import os
from meeting import meet

def test_dies(): os.abort()
def test_fine(): meet()
def test_fine_too(): meet()
"""


def test_two_workers(mini):
    """-n 2: the same verdicts from two workers at a time."""
    body = SMALL + "def test_dies_too(): os._exit(0)\ndef test_fails(): assert meet() == 5\n"
    run = mini({"test_small.py": body, "test_small_too.py": body}, *ARGUMENTS, "-n2")
    assert run.status == 1
    run.lines.fnmatch_lines(["created: 2/2 workers"])
    expected = {"test_dies": "crash", "test_fine": "passed", "test_fine_too": "passed", "test_dies_too": "crash"}
    for name, verdict in {**expected, "test_fails": "failure"}.items():
        for file in ("test_small", "test_small_too"):
            assert run.verdict(f"{file}.py::{name}") == verdict
    assert len(list(run.junit.iter("testcase"))) == 10


def test_stop_at_the_first(mini):
    """-x: nothing is run after the crash."""
    run = mini({"test_small.py": SMALL}, *ARGUMENTS, "-x")
    assert run.status in (1, 2)  # 2 is xdist's
    assert run.verdicts() == {"test_small.py::test_dies": "crash"}


def test_teardown_of_a_session_fixture(mini):
    """It is torn down with the last test, and that one's verdict is a crash in its teardown; its pass does not count."""
    body = """
    import os
    import pytest
    from meeting import meet
    @pytest.fixture(scope="session")
    def dies_at_the_end():
        yield
        os.abort()
    def test_first(dies_at_the_end): meet()
    def test_last(): meet()
    """
    run = mini({"test_session.py": body}, *ARGUMENTS)
    assert run.status == 1
    assert run.verdict("test_first") == "passed"
    assert run.verdict("test_last") == "crash"
    assert run.finding("test_last")["phase"] == "teardown"
    assert "dies_at_the_end" in run.finding("test_last")["detail"]
    assert run.outcomes("test_last") == {"setup": "passed", "call": "passed", "teardown": "failed"}
    assert run.junit_outcome("test_last") == ["error"]


def test_last_failed_and_quiet(mini, tmp_path):
    """--lf runs the crashed test again and no other; -q prints the counts only."""
    cache = ("-p", "cacheprovider", "-q")
    first = mini({"test_small.py": SMALL}, *ARGUMENTS, *cache, folder=tmp_path)
    assert sorted(first.verdicts().values()) == ["crash", "passed", "passed"]
    again = mini({"test_small.py": SMALL}, *ARGUMENTS, *cache, "--lf", "-p", "no:faulthandler", folder=tmp_path)
    assert again.status == 1
    assert again.verdicts() == {"test_small.py::test_dies": "crash"}
    assert again.finding("test_dies")["headline"].startswith("SIGABRT")  # also without pytest's own faulthandler plugin


def test_deselection(mini):
    """-k: what is not selected does not crash."""
    run = mini({"test_small.py": SMALL}, *ARGUMENTS, "-k", "fine")
    assert run.status == 0
    assert run.verdicts() == {"test_small.py::test_fine": "passed", "test_small.py::test_fine_too": "passed"}


def test_session_fixture_that_always_crashes(mini):
    """Every test that needs it has its own crash; the run ends by itself, after all of them."""
    body = """
    import os
    import pytest
    @pytest.fixture(scope="session")
    def dies(): os.abort()
    @pytest.mark.parametrize("number", range(4))
    def test_needs_it(dies, number): pass
    def test_does_not(request): pass
    """
    run = mini({"test_session.py": body}, *ARGUMENTS)
    assert run.status == 1
    for number in range(4):
        assert run.verdict(f"test_needs_it[{number}]") == "crash"
        assert run.finding(f"test_needs_it[{number}]")["phase"] == "setup"
    assert run.verdict("test_does_not") in ("passed", "not checked")


@pytest.mark.parametrize(
    "conftest",
    [
        "import os\nif 'PYTEST_XDIST_WORKER' in os.environ: os._exit(1)\n",
        "import os\ndef pytest_sessionstart():\n    if 'PYTEST_XDIST_WORKER' in os.environ: os.abort()\n",
    ],
    ids=["at import", "at the start of the session"],
)
def test_worker_that_dies_at_every_start(mini, conftest):
    """The run gives up after a few of them, says so, and fails."""
    run = mini({"conftest.py": conftest, "test_small.py": SMALL}, *ARGUMENTS)
    assert run.status not in (0, 5)
    run.lines.fnmatch_lines(["*workers died in a row without finishing a test*"])
    run.lines.no_fnmatch_line("*INTERNALERROR*")


def test_file_that_dies_in_each_collection(mini):
    """More files that die on import than workers may die in a row: each costs only itself."""
    dying = {f"test_dies_{number}.py": "import os\nos.abort()\n" for number in range(4)}
    run = mini({**dying, "test_zz_fine.py": "from meeting import meet\ndef test_fine(): meet()\n"}, *ARGUMENTS)
    assert run.status == 1
    assert run.verdicts() == {"test_zz_fine.py::test_fine": "passed"}
    assert sorted(finding["tests"][0] for finding in run.general) == list(dying)

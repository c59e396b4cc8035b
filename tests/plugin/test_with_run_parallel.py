"""A suite made for pytest-run-parallel, with that plugin and without it: its markers, ini options and fixtures."""

import pytest

INI = """
[pytest]
thread_unsafe_fixtures =
    unsafe_box
thread_unsafe_functions =
    os.path.join
    json.*
"""
SUITE = """
import collections, itertools, threading
import pytest
from meeting import meet

seen = collections.defaultdict(list)

@pytest.fixture
def unsafe_box(): return []

def test_values(num_parallel_threads, num_iterations, thread_index, iteration_index):
    meet(parties=num_parallel_threads)
    seen["values"].append((num_parallel_threads, num_iterations, thread_index, iteration_index))

def test_values_were_seen(unsafe_box, num_parallel_threads, num_iterations, thread_index, iteration_index):
    assert sorted(seen["values"]) == [(3, 4, *pair) for pair in itertools.product(range(3), range(4))]
    assert (num_parallel_threads, num_iterations, thread_index, iteration_index) == (1, 1, 0, 0)

@pytest.mark.ftcheck(share=True)
def test_index_is_never_shared(num_parallel_threads, thread_index):
    meet(parties=num_parallel_threads)
    seen["shared"].append(thread_index)

def test_index_was_not_shared(unsafe_box):
    assert sorted(seen["shared"]) == sorted([*range(3)] * 4)

@pytest.mark.parallel_threads(2)
def test_two(num_parallel_threads):
    meet(parties=num_parallel_threads)
    assert num_parallel_threads == 2

@pytest.mark.parallel_threads(1)
def test_one(num_parallel_threads): assert num_parallel_threads == 1

@pytest.mark.parallel_threads_limit(2)
def test_limit(num_parallel_threads):
    meet(parties=num_parallel_threads)
    assert num_parallel_threads == 2

@pytest.mark.parallel_threads_limit(8)
def test_high_limit(num_parallel_threads):
    meet(parties=num_parallel_threads)
    assert num_parallel_threads == 3

@pytest.mark.parallel_threads_limit(1)
def test_limit_of_one(thread_index): assert threading.current_thread() is threading.main_thread()

@pytest.mark.force_parallel_threads(4)
@pytest.mark.parallel_threads_limit(2)
def test_forced(num_parallel_threads):
    meet(parties=num_parallel_threads)
    assert num_parallel_threads == 4

@pytest.mark.force_parallel_threads(1)
def test_forced_to_one(): pass

@pytest.mark.parallel_threads("auto")
def test_auto(num_parallel_threads):
    meet(parties=num_parallel_threads)
    assert num_parallel_threads >= 2

@pytest.mark.iterations(2)
def test_iterations(num_iterations, iteration_index):
    meet(parties=3)
    seen["iterations"].append(iteration_index)
    assert num_iterations == 2

def test_iterations_were_seen(unsafe_box): assert sorted(seen["iterations"]) == [0, 0, 0, 1, 1, 1]

@pytest.mark.ftcheck(rounds=3, threads=2)
@pytest.mark.parallel_threads(1)
@pytest.mark.iterations(2)
def test_ours_wins(num_iterations, num_parallel_threads):
    meet(parties=2)
    assert (num_iterations, num_parallel_threads) == (3, 2)

@pytest.mark.parallel_threads(3)
@pytest.mark.iterations(9)
class TestNearer:
    @pytest.mark.parallel_threads(2)
    @pytest.mark.iterations(1)
    def test_their_own(self, num_parallel_threads, num_iterations):
        meet(parties=num_parallel_threads)
        assert (num_parallel_threads, num_iterations) == (2, 1)

    @pytest.mark.ftcheck(threads=2)
    def test_only_threads_by_ours(self, num_parallel_threads, num_iterations):
        meet(parties=num_parallel_threads)
        assert (num_parallel_threads, num_iterations) == (2, 9)

@pytest.mark.ftcheck(threads=4)
class TestTheirsIsNearer:
    @pytest.mark.parallel_threads(2)
    def test_threads(self, num_parallel_threads): assert num_parallel_threads == 2

    @pytest.mark.thread_unsafe(reason="one global parser")
    def test_unsafe(self): pass

def low():
    __thread_safe__ = False

def middle(): return low()

def test_calls_what_says_unsafe(): middle()

def attribute(): pass
attribute.__thread_safe__ = False
def test_calls_what_has_the_attribute(): attribute()

def yes():
    __thread_safe__ = True
def test_calls_what_says_the_contrary():
    meet(parties=3)
    yes()

def test_compares(thread_comp):
    thread_comp(number=1, nan=float("nan"), function=meet)
    thread_comp(number=2)

def test_compares_and_differs(thread_comp, thread_index):
    thread_comp(number=thread_index)

def test_compares_types(thread_comp, thread_index):
    thread_comp(number=1.0 if thread_index else 1)

def test_names_differ(thread_comp, thread_index):
    thread_comp(**{f"name{thread_index}": 1})

@pytest.mark.ftcheck(timeout=4, rounds=1)
def test_one_does_not_compare(thread_comp, thread_index):
    if thread_index:
        thread_comp(number=1)
"""
MODULE = "__thread_safe__ = False\ndef test_in_unsafe_module(): pass\n"
STAND_IN = """
import pytest

@pytest.fixture
def num_parallel_threads(): return 1  # the plugin is missing

@pytest.fixture
def thread_index(): return "ours"
"""
WITH_STAND_INS = """
from meeting import meet

def test_stand_in(num_parallel_threads):
    meet(parties=3)
    assert num_parallel_threads == 3

def test_own_fixture_of_that_name(thread_index):
    meet(parties=3)
    assert thread_index == "ours"
"""
FILES = {
    "pytest.ini": INI,
    "test_suite.py": SUITE,
    "test_module.py": MODULE,
    "stand_in/conftest.py": STAND_IN,
    "stand_in/test_stand_in.py": WITH_STAND_INS,
}
STRICT = ("--strict-markers", "--strict-config")
ARGUMENTS = ("--ftcheck", "--ftcheck-threads=3", "--ftcheck-rounds=4", "--ftcheck-timeout=60", "--ftcheck-classify=0")
REASONS = {
    "test_values_were_seen": "uses unsafe_box, which thread_unsafe_fixtures names",
    "test_index_was_not_shared": "uses unsafe_box, which thread_unsafe_fixtures names",
    "test_iterations_were_seen": "uses unsafe_box, which thread_unsafe_fixtures names",
    "test_one": "marked parallel_threads(1)",
    "test_limit_of_one": "marked parallel_threads_limit(1)",
    "test_forced_to_one": "marked force_parallel_threads(1)",
    "TestTheirsIsNearer::test_unsafe": "marked thread_unsafe: one global parser",
    "test_calls_what_says_unsafe": "low says __thread_safe__ = False",
    "test_calls_what_has_the_attribute": "attribute says __thread_safe__ = False",
    "test_in_unsafe_module": "test_module says __thread_safe__ = False",
}
FAILURES = {
    "test_compares_and_differs": "in another thread",
    "test_compares_types": "in another thread",
    "test_names_differ": "another thread gave no value for name",
    "test_one_does_not_compare": "2 of 3 threads came to this comparison",
}


@pytest.fixture(scope="module", params=["without", "with"])
def suite(request, mini):
    """The suite with pytest-run-parallel loaded, and without."""
    theirs = ("-p", "run-parallel") if request.param == "with" else ()
    return mini(FILES, *theirs, *STRICT, *ARGUMENTS)


@pytest.mark.parametrize(("name", "reason"), REASONS.items())
def test_runs_alone(suite, name, reason):
    """What their markers, ini options and declarations keep out of threads runs once, and is never a pass."""
    assert suite.verdict(name) == "not checked", suite.text(name)
    assert suite.test(name)["reason"] == reason


@pytest.mark.parametrize(("name", "text"), FAILURES.items())
def test_comparison_fails(suite, name, text):
    """``thread_comp`` compares the values of all threads of a round."""
    assert text in suite.groups(name)["AssertionError"]["message"]


def test_everything_else_passes(suite):
    """Each body checks the number of threads and rounds that it runs in, by their fixtures."""
    others = {name: verdict for name, verdict in suite.verdicts().items() if name.split("::", 1)[1] not in REASONS}
    others = {name: verdict for name, verdict in others.items() if name.split("::", 1)[1] not in FAILURES}
    assert set(others.values()) == {"passed"}, others
    assert len(others) == 16


@pytest.mark.parametrize(
    ("name", "coverage"),
    [
        ("test_values", (3, 4)),
        ("test_two", (2, 4)),
        ("test_limit", (2, 4)),
        ("test_forced", (4, 4)),
        ("test_iterations", (3, 2)),
        ("test_ours_wins", (2, 3)),
        ("TestNearer::test_their_own", (2, 1)),
        ("TestNearer::test_only_threads_by_ours", (2, 9)),
        ("TestTheirsIsNearer::test_threads", (2, 4)),
    ],
)
def test_really_ran_so(suite, name, coverage):
    """The engine's own count says the same as the fixtures: nobody wrapped the test a second time."""
    found = suite.test(name)["coverage"]
    assert (found["threads"], found["rounds"]) == coverage


def test_their_plugin_keeps_quiet(suite):
    """It would say that no test ran in parallel."""
    suite.lines.no_fnmatch_line("*items to run in parallel*")
    suite.lines.no_fnmatch_line("*PARALLEL*")


MARKED = """
import threading
import pytest
from meeting import meet

@pytest.mark.ftcheck(threads=2, rounds=3)
@pytest.mark.force_parallel_threads(4)
@pytest.mark.iterations(5)
def test_marked(num_parallel_threads):
    assert num_parallel_threads == 2
    meet(parties=2)
    assert threading.active_count() < 6

@pytest.mark.force_parallel_threads(4)
def test_theirs(num_parallel_threads):
    assert num_parallel_threads == 4
    meet(parties=4)
    assert threading.current_thread() is not threading.main_thread()
"""
WRONG = """
import pytest
@pytest.mark.{}
def test_wrong(): pass
"""


def test_no_double_wrapping(mini_many):
    """Threads in threads are refused before any test runs, whichever way they were asked for, and the way out is said."""
    isolated = "--ftcheck-isolate=no"
    calls = [
        [],
        ["--parallel-threads=4"],
        ["--parallel-threads=4", "--no-ftcheck"],
        ["--parallel-threads=4", "--ftcheck", isolated],
        ["--parallel-threads=auto", "--ftcheck-marked"],
        ["-o", "addopts=--parallel-threads=4", "--ftcheck", isolated],
        ["-o", "ftcheck=true", "--parallel-threads=4"],
        ["--iterations=2", "--ftcheck"],
        ["--forever", "--ftcheck", isolated],
        ["--parallel-threads=1", "--iterations=1", "--ftcheck", isolated, "--ftcheck-rounds=2"],
    ]
    runs = mini_many({"test_marked.py": MARKED}, [["-p", "run-parallel", "-v", *call] for call in calls])
    plain, marked, off, *refused, allowed = runs
    assert plain.status == 0, plain
    plain.lines.fnmatch_lines(["*::test_marked PASSED (2 threads, 3 rounds, *", "*::test_theirs PARALLEL PASSED*"])
    assert marked.status == 4
    assert "::test_marked has the marker ftcheck, and --parallel-threads (pytest-run-parallel)" in marked.err + marked.out
    assert off.status == 1  # theirs runs both, and the bodies count the threads
    off.lines.fnmatch_lines(["*::test_marked PARALLEL FAILED*"])
    for run, name in zip(refused, ("--parallel-threads",) * 4 + ("--iterations", "--forever"), strict=True):
        assert run.status == 4, run
        assert f"together with {name} (pytest-run-parallel)" in run.err, run
        assert "PASSED" not in run.out
    assert allowed.status == 0, allowed
    allowed.lines.fnmatch_lines(
        ["*::test_marked PASSED (2 threads, 3 rounds, *", "*::test_theirs PASSED (4 threads, 2 rounds, *"]
    )


def test_by_the_environment(mini):
    """``PYTEST_ADDOPTS`` asks for threads as well as the command line does."""
    run = mini({"test_marked.py": MARKED}, "-p", "run-parallel", "--ftcheck", PYTEST_ADDOPTS="--parallel-threads=4")
    assert run.status == 4
    assert "--ftcheck together with --parallel-threads" in run.err


@pytest.mark.parametrize("arguments", [(), ("-p", "run-parallel")], ids=["without", "with"])
def test_bad_input(mini_many, arguments):
    """Before any test runs; where the run is not ours, it is not our business."""
    ours = [*arguments, "--ftcheck", "--ftcheck-isolate=no"]
    functions = ["-o", "thread_unsafe_functions=nodot"]
    marks = ("parallel_threads(0)", "parallel_threads", "parallel_threads_limit('many')", "iterations(1.5)")
    files = {f"test_{number}.py": WRONG.format(mark) for number, mark in enumerate(marks)} | {
        "test_ok.py": "def test_ok(): pass"
    }
    calls = [[*ours, *functions, "test_ok.py"], [*arguments, *functions, "test_ok.py"], *([*ours, name] for name in files)]
    bad, plain, *wrong, fine = mini_many(files, calls)
    assert bad.status == 4
    assert (
        "thread_unsafe_functions must be names such as package.module.function or package.module.*, not 'nodot'" in bad.err
    )
    assert plain.status == fine.status == 0, (plain, fine)
    for run, mark in zip(wrong, marks, strict=True):
        name = mark.partition("(")[0]
        assert run.status == 4, run
        assert f"@pytest.mark.{name} of test_{wrong.index(run)}.py::test_wrong needs one whole number from 1 up" in run.out


def test_number_of_rounds_must_be_known(mini):
    """With a time limit only there is no number of rounds that ``num_iterations`` could give."""
    body = "def test_it(num_iterations): assert num_iterations == 1\n"
    run = mini({"test_it.py": body}, "--ftcheck", "--ftcheck-isolate=no", "--ftcheck-seconds=5")
    assert run.test("test_it")["reason"] == "uses num_iterations, and only time limits its rounds: give --ftcheck-rounds=N"


def test_fixtures_in_a_plain_run(mini_many):
    """A suite written for their fixtures runs without them, too; and theirs are theirs where they are there."""
    body = """
    def test_alone(num_parallel_threads, num_iterations, thread_index, iteration_index, thread_comp):
        assert (num_parallel_threads, num_iterations, thread_index, iteration_index) == (1, 1, 0, 0)
        thread_comp(number=1)
    """
    there = ["-p", "run-parallel"]
    runs = mini_many(
        {"test_alone.py": body}, [[*STRICT], [*there, *STRICT], ["--markers"], [*there, "--markers"], ["--help"]]
    )
    assert [run.status for run in runs] == [0] * 5, runs
    for run in runs[2:4]:
        for name in ("thread_unsafe", "parallel_threads", "parallel_threads_limit", "force_parallel_threads", "iterations"):
            assert sum(line.startswith(f"@pytest.mark.{name}") for line in run.out.splitlines()) >= 1
            assert run.out.count(f"@pytest.mark.{name}(") <= 1

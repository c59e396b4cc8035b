"""The options of an explored run: each has its effect, wherever tests run, and what contradicts itself is refused."""

import json

import pytest

from ftcheck import interpreter

BODY = """
import threading

import ftcheck

class Counter:
    def __init__(self):
        self.value = 0

    def increment(self):
        self.value += 1

def test_fails():
    counter = Counter()
    ftcheck.concurrently(counter.increment, counter.increment)
    assert counter.value == 2

def test_fails_too(tmp_path):
    counter = Counter()
    ftcheck.concurrently(counter.increment, threads=3)
    assert counter.value == 3

def test_holds():
    counter, lock = Counter(), threading.Lock()
    def body():
        with lock:
            counter.increment()
    ftcheck.concurrently(body, body)
    assert counter.value == 2

def test_has_many_orders():
    '''1,680 of them, and nothing is wrong with any.'''
    order = []
    def body(name):
        for _ in range(3):
            order.append(name)
    ftcheck.concurrently(*[lambda name=name: body(name) for name in "abc"])
    assert sorted(order) == [*"aaabbbccc"]

def test_one_line():
    '''What can only be seen from within a line.'''
    box = [0]
    def add():
        box[0] = box[0] + 1
    ftcheck.concurrently(add, add)
    assert box[0] == 2
"""
EXPLORE = ("--ftcheck", "--ftcheck-explore", "--ftcheck-threads=2")
HERE = (*EXPLORE, "--ftcheck-isolate=no", "-p", "no:randomly")
VERDICTS = {
    "test_fails": "failure",
    "test_fails_too": "failure",
    "test_holds": "passed",
    "test_has_many_orders": "passed",
    "test_one_line": "failure",
}


def found(run):
    """What was found in which schedule, and the token to see it again."""
    tests = {test["test"].partition("::")[2]: test for test in run.record["run"]["tests"]}
    return {
        name: (test["coverage"]["rounds"], test["findings"][0]["replay"]) for name, test in tests.items() if test["findings"]
    }


# --- where tests run ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def isolated(mini):
    return mini({"test_body.py": BODY}, *EXPLORE, "--ftcheck-seed=3", "--ftcheck-json=report.json")


@pytest.fixture(scope="module")
def distributed(mini):
    return mini({"test_body.py": BODY}, *EXPLORE, "--ftcheck-seed=3", "-n2")


@pytest.fixture(scope="module", params=["0", "1"])
def alone(request, mini):
    """In one process, with each of two hash seeds."""
    return mini({"test_body.py": BODY}, *HERE, "--ftcheck-seed=3", PYTHONHASHSEED=request.param)


def test_in_a_worker(isolated):
    assert {name.partition("::")[2]: verdict for name, verdict in isolated.verdicts().items()} == VERDICTS
    assert isolated.status == 1
    isolated.lines.fnmatch_lines(
        ["ftcheck: 2 threads, up to 400 controlled interleavings per test, *seed 3, isolated in a worker process"]
    )
    assert "Captured interleaving" not in isolated.out
    assert "── switch to thread 2" in isolated.text("test_fails")


def test_in_two_workers(isolated, distributed):
    assert distributed.verdicts() == isolated.verdicts()
    assert distributed.status == 1


def test_the_seed_repeats_the_search(isolated, distributed, alone):
    """The same schedule fails first, and becomes the same token: in any process, and whatever hashes are; the token says
    with which hash seed.
    """
    assert found(isolated) == found(distributed)
    seed = {token.partition("~")[0].rpartition(".")[2] for _, token in found(alone).values()}
    assert len(seed & {"0", "1"}) == len(seed) == 1
    with_seed = {name: (n, token.replace(".x~", f".{min(seed)}~", 1)) for name, (n, token) in found(isolated).items()}
    assert with_seed == found(alone)
    assert found(alone).keys() == {"test_fails", "test_fails_too", "test_one_line"}


def test_how_to_run_it_again(isolated):
    """A finding without a token is run again as the run was."""
    words = isolated.record["run"]["rerun"].split()
    assert words[:3] == ["--ftcheck", "--ftcheck-threads=2", "--ftcheck-explore"]
    assert "--ftcheck-seed=3" in words


def test_the_report_of_a_worker(isolated):
    data = json.loads((isolated.folder / "report.json").read_text(encoding="utf-8"))
    replays = {finding["tests"][0].partition("::")[2]: finding["replay"] for finding in data["findings"]}
    assert replays == {name: token for name, (_, token) in found(isolated).items()}


# --- pytest's own options ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def first_and_last_failed(mini, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mini")
    first = mini({"test_body.py": BODY}, *HERE, "-x", "--ftcheck-seed=3", folder=folder)
    return first, mini({"test_body.py": BODY}, *HERE, "--lf", "--ftcheck-seed=3", folder=folder)


def test_exit_first(first_and_last_failed):
    first, _ = first_and_last_failed
    assert first.verdicts() == {"test_body.py::test_fails": "failure"}
    assert first.status == 1
    assert "stopping after 1 failures" in first.out


def test_last_failed(first_and_last_failed):
    first, last = first_and_last_failed
    assert found(last) == found(first)


# --- the other options, all in one process ----------------------------------------------------------------------------

PACKAGE = """
class Counter:
    def __init__(self):
        self.value = 0

    def increment(self):
        self.value += 1
"""
OUTSIDE = """
import sys
sys.path.append({folder!r})
"""
USES_IT = """
import ftcheck
from outside.counting import Counter

def test_uses_it():
    counter = Counter()
    ftcheck.concurrently(counter.increment, counter.increment)
    assert counter.value == 2
"""
PINNED = """
import pytest

@pytest.mark.ftcheck(explore=True, schedules=3)
def test_marked(): pass

def test_unmarked(): pass
"""
CALLS = {
    "holds": [*HERE, "test_body.py", "-k", "holds"],
    "budget": [*HERE, "test_body.py", "-k", "has_many_orders", "--ftcheck-schedules=5"],
    "seconds": [*HERE, "test_body.py", "-k", "has_many_orders", "--ftcheck-schedules=1000000", "--ftcheck-seconds=0.2"],
    "lines": [*HERE, "test_body.py", "-k", "one_line or test_fails", "--ftcheck-points=lines", "--ftcheck-schedules=30"],
    "instructions": [*HERE, "test_body.py", "-k", "one_line", "--ftcheck-points=instructions", "--ftcheck-seed=3"],
    "without scope": [*HERE, "test_uses_it.py"],
    "scope": [*HERE, "test_uses_it.py", "--ftcheck-scope=outside", "--ftcheck-seed=3"],
    "scope of a module": [*HERE, "test_uses_it.py", "--ftcheck-scope=outside.counting", "--ftcheck-seed=3"],
    "from the ini file": ["-o", "ftcheck=true", "-o", "ftcheck_explore=yes", "-o", "ftcheck_schedules=7",
                          "--ftcheck-isolate=no", "test_body.py", "-k", "has_many_orders"],
    "switched off again": ["-o", "ftcheck=true", "-o", "ftcheck_explore=yes", "--ftcheck-explore=no", "--ftcheck-rounds=2",
                           "--ftcheck-isolate=no", "test_body.py", "-k", "holds"],
    "marked only": ["test_marked.py", "-v"],
}  # fmt: skip


@pytest.fixture(scope="module")
def calls(mini_many, tmp_path_factory):
    """Runs in one process: what one of them leaves behind would spoil the next."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "outside").mkdir()
    (folder / "outside" / "__init__.py").write_text("")
    (folder / "outside" / "counting.py").write_text(PACKAGE)
    files = {
        "conftest.py": OUTSIDE.format(folder=str(folder)),
        "test_body.py": BODY,
        "test_uses_it.py": USES_IT,
        "test_marked.py": PINNED,
    }
    return dict(zip(CALLS, mini_many(files, list(CALLS.values())), strict=True))


BUILD = "314t" if interpreter.free_threaded_build() else "314"


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("holds", 0, "1  passed  nothing found: 2 threads, all 2 inequivalent interleavings"),
        ("budget", 0, "3 threads, 5 schedules sampled"),
        ("budget", 0, "schedule budget reached"),
        ("seconds", 0, "time budget reached"),
        ("lines", 0, "3  passed  nothing found in"),
        ("instructions", 1, f"--ftcheck-replay=ft2.{BUILD}.i.0."),
        ("without scope", 0, "1  passed  nothing found: 2 threads, all 2 inequivalent interleavings"),
        ("scope", 1, "1  failure"),
        ("scope", 1, "in Counter.increment"),
        ("scope of a module", 1, "1  failure"),
        ("from the ini file", 0, "3 threads, 7 schedules sampled"),
        ("switched off again", 0, "2 rounds"),  # in which threads have overlapped or not, by chance
        ("marked only", 0, "test_marked.py::test_marked PASSED ("),
    ],
)
def test_option(calls, name, status, words):
    """Which thread comes first is all that there is to lines, of which each here is one step."""
    run = calls[name]
    assert run.status == status, run
    assert " ".join(words.split()) in " ".join(run.out.split()), run


def test_where_it_failed_is_in_the_package(calls):
    assert "self.value += 1" in calls["scope"].out
    assert "self.value += 1" not in calls["without scope"].out


# --- what is refused ------------------------------------------------------------------------------------------------

TOKEN = "ft1.314t.a.0.0123abcd~1p2-2"
REFUSED = [
    (["--ftcheck-explore=perhaps"], "argument --ftcheck-explore: ignored explicit argument 'perhaps'"),
    (["--ftcheck-schedules=0"], "--ftcheck-schedules: schedules must be a whole number from 1 up, not '0'."),
    (["--ftcheck-points=words"], "--ftcheck-points: points must be one of accesses, instructions, lines, not 'words'."),
    (
        ["--ftcheck-scope=no-name"],
        "--ftcheck-scope: scope must be names of packages, such as ['cachetools'], not 'no-name'.",
    ),
    (["--ftcheck-scope=nowhere"], "--ftcheck-scope: there is no package 'nowhere' of Python code to explore."),
    (["--ftcheck-scope=_ctypes"], "--ftcheck-scope: there is no package '_ctypes' of Python code to explore."),
    (["-o", "ftcheck_scope=json,nowhere.at_all"], "pytest.ini: ftcheck_scope: there is no package 'nowhere.at_all'"),
    (["--ftcheck-explore", "--ftcheck-noise=0.5"], "the command line: explore contradicts noise"),
    (
        ["--ftcheck-explore", "--ftcheck-rounds=5"],
        "explore contradicts rounds: the limit for interleavings is schedules",
    ),
    ([f"--ftcheck-replay={TOKEN}", "--ftcheck-noise=0.5"], "the command line: replay contradicts noise"),
    ([f"--ftcheck-replay={TOKEN}", "--no-ftcheck"], "--no-ftcheck contradicts --ftcheck-replay: give one of them"),
    ([f"--ftcheck-replay={TOKEN}"], "--ftcheck-replay runs one test, and 5 are selected. Name the one that the token is of"),
    (["--ftcheck-replay="], "--ftcheck-replay: '' is no replay token."),
    (["--ftcheck-replay=nonsense"], "--ftcheck-replay: 'nonsense' is no replay token. Copy the whole of it from the line"),
    ([f"--ftcheck-replay={TOKEN}.", "-k", "holds"], f"'{TOKEN}.' is no replay token"),
    (
        ["--ftcheck-replay=ft3.314t.a.0.0123abcd~1p2-2"],
        "has format 3, and this version of ftcheck reads formats 1 and 2: explore again",
    ),
    (["--ftcheck-replay=ft1.314t.a.0.0123abcd~1p2"], "is no replay token"),
]
MARKERS = {
    "test_nonsense.py": ("replay='nonsense'", "'nonsense' is no replay token."),
    "test_nowhere.py": ("explore=True, scope='nowhere'", "there is no package 'nowhere' of Python code to explore."),
    "test_noise.py": ("explore=True, noise=0.5", "explore contradicts noise"),
    "test_rounds.py": ("explore=True, rounds=5", "explore contradicts rounds"),
    "test_skip.py": (f"replay='{TOKEN}', skip='why'", "skip contradicts replay"),
}
MARKED_WRONG = "import pytest\n@pytest.mark.ftcheck({})\ndef test_wrong(): pass\n"


@pytest.fixture(scope="module")
def refused(mini_many):
    files = {"test_body.py": BODY, **{name: MARKED_WRONG.format(options) for name, (options, _) in MARKERS.items()}}
    words = [[*arguments, "--ftcheck-isolate=no", "test_body.py"] for arguments, _ in REFUSED]
    runs = mini_many(files, [*words, *([name] for name in MARKERS)])
    return dict(zip([" ".join(arguments) for arguments, _ in REFUSED] + list(MARKERS), runs, strict=True))


@pytest.mark.parametrize(("arguments", "words"), REFUSED, ids=[" ".join(arguments) for arguments, _ in REFUSED])
def test_usage_error(refused, arguments, words):
    """Exit status 4 before anything is run, and a message that says what is allowed."""
    run = refused[" ".join(arguments)]
    assert run.status == 4, run
    assert words in run.err
    assert "Traceback" not in run.out + run.err
    assert "passed" not in run.out


@pytest.mark.parametrize("name", MARKERS)
def test_wrong_marker(refused, name):
    run = refused[name]
    assert run.status == 4, run
    assert f"@pytest.mark.ftcheck of {name}::test_wrong: " in run.err
    assert MARKERS[name][1] in run.err
    assert "passed" not in run.out

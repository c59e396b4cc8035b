"""Failing tests are run again in fresh interpreters, and what that says about the GIL is true.

Every body here fails, or passes, with certainty: two bodies meet before they race, and those that stand for code that
relies on the GIL ask whether it is on. Only :func:`test_counter` is a real lost update.
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ftcheck import interpreter

from .minirun import environment, write

pytestmark = pytest.mark.skipif(
    not interpreter.free_threaded_build(), reason="needs a free-threaded build: here there is nothing to compare"
)

TOGETHER = '''
"""What bodies of ``concurrently()`` need to race with certainty, and to pass when they run one after the other."""
import sys
import threading

def others():
    """Whether another body is running. It has begun before this one could, and does not end before they have met."""
    return sum(thread.name.startswith("concurrently-") for thread in threading.enumerate()) > 1

class Pair:
    def __init__(self):
        self.both, self.value = threading.Barrier(2), 0

    def increment(self):
        before = self.value
        if others():
            self.both.wait(60)
        self.value = before + 1

    def met(self):
        """Whether the other one is here as well."""
        if others():
            self.both.wait(60)
            return True
        return False

def no_gil():
    return not sys._is_gil_enabled()
'''
STARTS = """
import json, os
def pytest_configure(config):
    given = getattr(config, "workerinput", {})
    with open(os.environ["STARTS"], "a") as file:
        file.write(json.dumps(["ftcheck_rerun" in given, os.environ.get("PYTHON_GIL")]) + "\\n")
"""
MANY = """
import ctypes, os, pathlib, sys, threading, time, unittest
import pytest
import ftcheck
from together import Pair, no_gil, others

@pytest.mark.ftcheck(rounds=200)
def test_counter():
    counter = Pair()
    def increment():
        for _ in range(5000):
            counter.value += 1
    ftcheck.concurrently(increment, increment)
    assert counter.value == 10000

def test_needs_the_gil():
    pair = Pair()
    def body():
        assert not (pair.met() and no_gil())
    ftcheck.concurrently(body, body)

def test_race():
    pair = Pair()
    ftcheck.concurrently(pair.increment, pair.increment)
    assert pair.value == 2

def test_always():
    assert False

seen = []
def test_cannot_be_repeated():
    seen.append(1)
    assert len(seen) == 1

def test_once():
    pair, flag = Pair(), pathlib.Path(__file__ + ".flag")
    ftcheck.concurrently(pair.met, pair.met)
    if not flag.exists():
        flag.touch()
        raise KeyError("once")

def test_crash():
    pair = Pair()
    def body():
        if pair.met() and no_gil():
            ctypes.string_at(0)
    ftcheck.concurrently(body, body)

@pytest.mark.ftcheck(timeout=2)
def test_hang():
    pair = Pair()
    def body():
        if pair.met():
            while True:
                time.sleep(0.01)
    ftcheck.concurrently(body, body)

def test_deadlock():
    one, other, pair = threading.Lock(), threading.Lock(), Pair()
    def body(first, second):
        with first:
            pair.met()
            with second:
                pass
    ftcheck.concurrently(lambda: body(one, other), lambda: body(other, one))

def test_waits_for_company():
    both = threading.Barrier(2)
    def body():
        both.wait()
        assert not no_gil()
    ftcheck.concurrently(body, body)

def test_waits_not_for_ever():
    both = threading.Barrier(2)
    def body():
        both.wait(60 if others() else 0.01)
        raise KeyError
    ftcheck.concurrently(body, body)

def test_alone_in_the_run(capsys):
    assert False

def test_crash_alone_in_the_run(capsys):
    os._exit(3)

def test_changes_the_directory():
    os.chdir(".")
    assert False

@pytest.mark.parametrize("value", ["a b::c[d]", "\\u00e9/\\u2603", "x\\\\y"], ids=["a b::c[d]", "\\u00e9/\\u2603", "x\\\\y"])
def test_odd_name(value):
    pair = Pair()
    ftcheck.concurrently(pair.increment, pair.increment)
    assert pair.value == 2

class TestUnit(unittest.TestCase):
    def setUp(self):
        self.pair = Pair()

    def test_unit(self):
        ftcheck.concurrently(self.pair.increment, self.pair.increment)
        self.assertEqual(self.pair.value, 2)

def test_passes():
    pair = Pair()
    ftcheck.concurrently(pair.met, pair.met)
"""
FIXTURES = """
import pytest
import ftcheck
from together import Pair

@pytest.fixture(scope="module")
def ledger():
    pair = Pair()
    yield pair
    assert pair.value % 2 == 0

def test_ends_badly(ledger):
    ftcheck.concurrently(ledger.increment, ledger.increment)

"""
SET_UP = """
import pytest

@pytest.fixture(scope="module")
def broken():
    raise OSError("cannot be set up")

def test_not_set_up(broken):
    pass
"""
ONE = """
import pytest
import ftcheck
from together import Pair, no_gil

@pytest.mark.ftcheck(rounds=3)
def test_needs_the_gil():
    pair = Pair()
    def body():
        assert not (pair.met() and no_gil())
    ftcheck.concurrently(body, body)
"""
SHORT = ("--ftcheck-threads=2", "--ftcheck-rounds=3", "--ftcheck-timeout=60")


@pytest.fixture(scope="module")
def starts(tmp_path_factory):
    """A file in which the conftest file of a mini project notes each start of pytest, and a way to read it."""
    path = tmp_path_factory.mktemp("starts") / "starts"

    def read():
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [gil for is_rerun, gil in map(json.loads, lines) if is_rerun]

    read.path = str(path)
    return read


@pytest.fixture(scope="module")
def many(mini):
    """Every kind of failure in one run, in a sub folder."""
    files = {
        "pytest.ini": "[pytest]\npythonpath = .\n",
        "together.py": TOGETHER,
        "sub/test_many.py": MANY,
        "sub/test_fixtures.py": FIXTURES,
        "sub/test_set_up.py": SET_UP,
    }
    return mini(files, "--ftcheck", *SHORT, "--ftcheck-classify=200", PYTHON_GIL=None)


def reliance(run, name):
    """What a run says of a test: kind, text, and the reruns by mode."""
    found = run.finding(name)["reliance"]
    return found["kind"], found["text"], {rerun["mode"]: rerun for rerun in found["reruns"]}


def rates(run, name):
    """Failed and run rounds, by mode."""
    return {mode: (rerun["failed"], rerun["rounds"]) for mode, rerun in reliance(run, name)[2].items()}


ALONE, WITHOUT, WITH = "alone", "without the GIL", "with the GIL"
BOTH = "thread-unsafe with or without the GIL"


def test_counter(many):
    """A lost update. Without the GIL all of 200 rounds must go well for it to stay unseen: 1e-9 if one in ten fails.
    With the GIL the interpreter switches threads at jumps and calls only, never within ``+=``: no round can fail.
    """
    kind, text, reruns = reliance(many, "test_counter")
    assert kind == "GIL-reliant"
    assert text.startswith("GIL-reliant")
    assert reruns[ALONE]["failed"] == 0
    assert reruns[ALONE]["rounds"] == 200
    assert reruns[WITHOUT]["failed"] > 0
    assert (reruns[WITH]["failed"], reruns[WITH]["rounds"]) == (0, 200)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("test_needs_the_gil", "GIL-reliant", {ALONE: (0, 3), WITHOUT: (3, 3), WITH: (0, 3)}),
        ("test_race", BOTH, {ALONE: (0, 3), WITHOUT: (3, 3), WITH: (3, 3)}),
        ("TestUnit::test_unit", BOTH, {ALONE: (0, 3), WITHOUT: (3, 3), WITH: (3, 3)}),
        ("test_odd_name[a b::c[d]]", BOTH, {ALONE: (0, 3), WITHOUT: (3, 3), WITH: (3, 3)}),
        ("test_odd_name[\\xe9/\\u2603]", BOTH, {ALONE: (0, 3), WITHOUT: (3, 3), WITH: (3, 3)}),
        ("test_odd_name[x\\\\y]", BOTH, {ALONE: (0, 3), WITHOUT: (3, 3), WITH: (3, 3)}),
        ("test_always", "fails alone", {ALONE: (3, 3)}),
        ("test_cannot_be_repeated", "fails alone", {ALONE: (2, 3)}),
        ("test_once", "not reproduced", {ALONE: (0, 3), WITHOUT: (0, 3), WITH: (0, 3)}),
        ("test_crash", "GIL-reliant", {ALONE: (0, 3), WITHOUT: (1, 1), WITH: (0, 3)}),
        ("test_hang", BOTH, {ALONE: (0, 3), WITHOUT: (1, 1), WITH: (1, 1)}),
        ("test_deadlock", BOTH, {ALONE: (0, 3), WITHOUT: (1, 1), WITH: (1, 1)}),
        ("test_waits_for_company", "GIL-reliant", {ALONE: (0, 0), WITHOUT: (3, 3), WITH: (0, 3)}),
        ("test_waits_not_for_ever", BOTH, {ALONE: (0, 0), WITHOUT: (3, 3), WITH: (3, 3)}),
        ("test_alone_in_the_run", "fails alone", {}),
        ("test_changes_the_directory", "fails alone", {}),
        ("test_ends_badly", BOTH, {ALONE: (0, 3), WITHOUT: (1, 1), WITH: (1, 1)}),
        ("test_not_set_up", "fails alone", {ALONE: (1, 1)}),
    ],
)  # fmt: skip
def test_kinds(many, name, kind, expected):
    assert reliance(many, name)[0] == kind
    assert rates(many, name) == expected


def test_crash_alone_in_the_run(many):
    """Whether the worker could still say that this test is not rerun is chance; the kind is the same."""
    assert reliance(many, "test_crash_alone_in_the_run")[0] == "fails alone"
    assert rates(many, "test_crash_alone_in_the_run") in ({}, {ALONE: (1, 1)})


@pytest.mark.parametrize(
    ("name", "mode", "note"),
    [
        ("test_crash", WITHOUT, "crash"),
        ("test_hang", WITH, "hang"),
        ("test_deadlock", WITHOUT, "deadlock"),
        ("test_waits_for_company", ALONE, "cannot run alone, its bodies wait for each other"),
        ("test_waits_not_for_ever", ALONE, "cannot run alone, its bodies wait for each other"),
        ("test_cannot_be_repeated", ALONE, "but not in the first: it cannot be repeated in one process"),
        ("test_ends_badly", WITHOUT, "after its rounds"),
        ("test_not_set_up", ALONE, "in the setup"),
    ],
)
def test_notes(many, name, mode, note):
    assert reliance(many, name)[2][mode]["note"] == note


def test_texts(many):
    assert reliance(many, "test_once")[1] == "not reproduced (0 of 9 rounds)"
    assert "may be luck" in reliance(many, "test_crash")[1]  # one round against three
    assert reliance(many, "test_alone_in_the_run")[1].startswith("fails alone: it did not run concurrently (uses capsys")
    assert many.test("test_passes")["findings"] == []


def test_what_is_shown(many):
    known = [found["reliance"] for test in many.record["run"]["tests"] for found in test["findings"]]
    for mode in (ALONE, WITHOUT, WITH):
        number = sum(any(rerun["mode"] == mode for rerun in one["reruns"]) for one in known)
        assert number > 10
        many.lines.fnmatch_lines([f"ftcheck: classifying {number} failing tests ({mode}) ..."])
    many.lines.fnmatch_lines(
        [
            "*. failure  sub/test_many.py::test_race",
            "     GIL  thread-unsafe with or without the GIL",
            "          alone 0 of 3 rounds, without the GIL 3 of 3 rounds, with the GIL 3 of 3 rounds",
        ]
    )
    many.lines.no_fnmatch_line("*INTERNALERROR*")


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("test_race", "thread-unsafe with or without the GIL; alone 0 of 3 rounds, "),
        ("test_crash", "GIL-reliant, "),
        ("test_hang", "thread-unsafe with or without the GIL; "),
        ("test_alone_in_the_run", "fails alone: "),
    ],
)
def test_junit(many, name, begin):
    """Of a crash too, whose element never saw a teardown."""
    assert many.junit_properties(name)["ftcheck_gil_reliance"].startswith(begin)
    assert "ftcheck_gil_reliance" not in many.junit_properties("test_passes")


def one(arguments, ini=""):
    return {
        "pytest.ini": f"[pytest]\npythonpath = .\nmarkers = x\n{ini}",
        "together.py": TOGETHER,
        "conftest.py": STARTS,
        "sub/test_one.py": ONE,
    }, arguments


@pytest.mark.parametrize(
    ("arguments", "ini", "gil"),
    [
        (("--ftcheck",), "", None),
        (("-n2", "-x", "--dist=loadgroup", "-m", "not x"), "addopts = --ftcheck\n", None),
        (("-k", "needs", "--import-mode=importlib", "-p", "no:cacheprovider", "--maxfail=1"), "", None),
        (("--ftcheck", "-p", "no:xdist", "sub/test_one.py::test_needs_the_gil"), "", "0"),
        (("--ftcheck", "--ftcheck-isolate=no", "--rootdir=.", "-c", "pytest.ini", "--", "sub"), "", None),
        (("--ftcheck",), "filterwarnings = error\n", None),
    ],
    ids=["isolated", "-n2 -x", "plain", "no xdist", "not isolated", "warnings are errors"],
)
def test_three_interpreters(mini, starts, arguments, ini, gil):
    """However pytest was called: one start for each mode, with the GIL as it should be."""
    files, arguments = one(arguments, ini)
    loaded = {} if "no:xdist" not in arguments else {"plugins": True, "PYTEST_PLUGINS": None}
    run = mini(files, *arguments, classify=True, PYTHON_GIL=gil, STARTS=starts.path, **loaded)
    assert starts() == [gil, "0", "1"]
    assert run.status == 1
    kind, text, _ = reliance(run, "test_needs_the_gil")
    assert kind == "GIL-reliant", text
    assert rates(run, "test_needs_the_gil") == {ALONE: (0, 3), WITHOUT: (3, 3), WITH: (0, 3)}
    assert run.junit_properties("test_needs_the_gil")["ftcheck_gil_reliance"].startswith("GIL-reliant")


def test_other_plugins(mini, starts):
    """Those that write, shuffle, repeat or time out tests do so in the run, and not once more in each rerun."""
    files, arguments = one(("--ftcheck", "--cov=together", "--cov-report=term", "--reruns=2", "--timeout=100"))
    run = mini(files, *arguments, plugins=True, classify=True, PYTHON_GIL=None, STARTS=starts.path)
    assert starts() == [None, "0", "1"]
    assert run.status == 1, run
    kinds = [finding["reliance"]["kind"] for finding in run.test("test_needs_the_gil")["findings"]]
    assert kinds
    assert set(kinds) == {"GIL-reliant"}
    run.lines.fnmatch_lines(["together.py *%*"])


def test_the_gil_was_on_in_the_run(mini, starts):
    """It fails with the GIL, and that it fails without is seen in the reruns only."""
    files, arguments = one(("--ftcheck",))
    files["sub/test_one.py"] = ONE.replace("and no_gil()", "")
    run = mini(files, *arguments, classify=True, PYTHON_GIL="1", STARTS=starts.path)
    assert starts() == ["1", "0", "1"]
    assert reliance(run, "test_needs_the_gil")[0] == BOTH


def test_no_time(mini, starts):
    """Said, with what to do; and no kind is made up."""
    files, arguments = one(("--ftcheck", "--ftcheck-isolate=no"), "ftcheck_classify = 0.001\n")
    run = mini(files, *arguments, classify=True, STARTS=starts.path)
    kind, text, _ = reliance(run, "test_needs_the_gil")
    assert kind == "not classified"
    assert text == "not classified: the 0.001 s for it were used up; --ftcheck-classify=SECONDS gives more"
    assert len(starts()) <= 1


def test_off(mini, starts):
    files, arguments = one(("--ftcheck", "--ftcheck-isolate=no", "--ftcheck-classify=0"))
    run = mini(files, *arguments, STARTS=starts.path)
    assert run.verdict("test_needs_the_gil") == "failure"
    assert run.finding("test_needs_the_gil")["reliance"] is None
    assert "ftcheck_gil_reliance" not in run.junit_properties("test_needs_the_gil")
    assert starts() == []
    run.lines.no_fnmatch_line("*classifying*")


def test_a_rerun_that_cannot_start(mini, starts):
    """A conftest file that breaks in it: said with its own words, and no pass."""
    files, arguments = one(("--ftcheck", "-qq"))
    files["conftest.py"] = STARTS + "    if 'ftcheck_rerun' in given:\n        raise ZeroDivisionError('of the conftest')\n"
    run = mini(files, *arguments, classify=True, STARTS=starts.path)
    kind, text, _ = reliance(run, "test_needs_the_gil")
    assert kind == "not classified"
    assert "could not start" in text
    assert "of the conftest" in text
    assert starts() == [None]
    run.lines.no_fnmatch_line("*classifying*")  # -qq


@pytest.mark.parametrize(("value", "shown"), [("-1", "'-1'"), ("soon", "'soon'"), ("nan", "'nan'"), ("inf", "'inf'")])
def test_a_wrong_value(mini_many, value, shown):
    [run] = mini_many({"test_x.py": "def test_x(): pass"}, [(f"--ftcheck-classify={value}",)])
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert "--ftcheck-classify must be a number of seconds from 0" in run.err
    assert shown in run.err


STAYS = """
import os, pathlib, sys, time
import pytest

@pytest.mark.ftcheck(rounds=1)
def test_stays():
    if "ftcheck.plugin.rerun_child" in sys.modules:
        pathlib.Path("child").write_text(str(os.getpid()))
        time.sleep(300)
    assert False
"""


RUN_STAYS = """
import os, pathlib, time
def test_fails(): assert False
def test_stays():
    pathlib.Path("child").write_text(str(os.getpid()))
    time.sleep(300)
"""


def stays(folder, number, *arguments, program=STAYS):
    """Begin a run whose first rerun does not end; send the run a signal while that is so."""
    write(folder, {"test_stays.py": program})
    words = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "ftcheck.plugin", *arguments]
    env = environment(TMPDIR=str(folder / "temporary")) | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    (folder / "temporary").mkdir()
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(words, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        child = _eventually(lambda: int((folder / "child").read_text()))
        process.send_signal(number)
        status = process.wait(120)
    finally:
        process.kill()
    _eventually(lambda: None if _alive(child) else True)
    return status, (folder / "out").read_text()


def _eventually(ask):
    """The first answer that is not None, and no error."""
    for _ in range(6000):
        try:
            answer = ask()
        except OSError, ValueError:
            answer = None
        if answer is not None:
            return answer
        time.sleep(0.02)
    raise AssertionError("it never came")


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("arguments", [("--ftcheck",), ("--ftcheck", "--ftcheck-isolate=no")])
def test_interrupted(tmp_path, arguments):
    """Ctrl-C ends the reruns, not the run: the summary is printed, and no process and no file is left."""
    status, out = stays(tmp_path, signal.SIGINT, *arguments)
    assert status == 1
    assert "GIL  not classified: interrupted" in out
    assert "1 failed" in out
    assert not list((tmp_path / "temporary").glob("ftcheck-*"))


def test_a_run_that_was_interrupted(tmp_path):
    """Whoever presses Ctrl-C does not want three more interpreters; the findings say that they are not classified."""
    status, out = stays(tmp_path, signal.SIGINT, "--ftcheck", program=RUN_STAYS)
    assert status == pytest.ExitCode.INTERRUPTED
    assert "GIL  not classified: the run was interrupted" in out
    assert "classifying" not in out


def test_killed(tmp_path):
    """Even then no child is left, nor its files."""
    status, _ = stays(tmp_path, signal.SIGKILL, "--ftcheck")
    assert status == -signal.SIGKILL
    assert not list((tmp_path / "temporary").glob("ftcheck-classify-*"))

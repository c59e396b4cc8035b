"""``--ftcheck-tsan-log``: runs under gcc's ThreadSanitizer, with an extension that it watches.

The interpreter is the stock one, which ThreadSanitizer does not understand; so these extensions hold no lock, and the tests
look at what is said of *them*. ThreadSanitizer needs no overlap to see a race: only that nothing which it knows orders the
two accesses. Both bodies leave a barrier together, in each of several rounds.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ftcheck.native import tsan_options

SOURCE = Path(__file__).parents[1] / "native" / "tsan_logs" / "programs" / "tsan_sample.c"

TESTS = """
import threading

import pytest
import tsan_sample
from meeting import meet

def at_once(function):
    start = threading.Barrier(2)
    def body():
        start.wait()
        function()
    threads = [threading.Thread(target=body) for _ in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()

at_once(tsan_sample.add_at_import)

@pytest.fixture(scope="module")
def racy():
    at_once(tsan_sample.add_in_setup)
    yield
    at_once(tsan_sample.add_in_teardown)

def test_atomic():
    meet()
    tsan_sample.add_atomic()

def test_plain():
    meet()
    tsan_sample.add_plain()

def test_plain_again():
    meet()
    tsan_sample.add_plain()

def test_failing():
    meet()
    tsan_sample.add_failing()
    raise LookupError("by itself")

@pytest.mark.xfail(reason="is known")
def test_expected():
    meet()
    tsan_sample.add_expected()

@pytest.mark.xfail(strict=True, reason="is known as well")
def test_strictly():
    meet()
    tsan_sample.add_strictly()

@pytest.mark.ftcheck(skip="brings its own threads")
def test_alone():
    at_once(tsan_sample.add_alone)

def test_dying():
    meet("before")
    tsan_sample.add_dying()
    meet("after")
    tsan_sample.die()

@pytest.fixture(scope="module")
def racy_again():
    at_once(tsan_sample.add_before_death)

def test_dying_later(racy_again):
    meet("later")
    tsan_sample.die()

def test_fixture(racy):
    meet()
"""


@pytest.fixture(scope="module")
def tsan(tmp_path_factory):
    """A function of the logs' prefix: the environment of a run under ThreadSanitizer that can import ``tsan_sample``."""
    if sys.platform != "linux" or shutil.which("gcc") is None:
        pytest.skip("gcc's ThreadSanitizer is needed: there is no gcc")
    runtime = subprocess.run(
        ["gcc", "-print-file-name=libtsan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not os.path.isabs(runtime):
        pytest.skip("gcc's ThreadSanitizer is needed: there is no libtsan")
    folder = tmp_path_factory.mktemp("tsan")
    include = f"-I{os.path.dirname(sys.modules['sysconfig'].get_config_h_filename())}"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-g", "-fsanitize=thread", include, SOURCE, "-o", folder / "tsan_sample.so"]
    subprocess.run(command, check=True)
    works = subprocess.run(
        [sys.executable, "-c", ""], env=os.environ | {"LD_PRELOAD": runtime}, capture_output=True, text=True, check=False
    )
    if works.returncode:
        pytest.skip(f"an interpreter cannot run under libtsan here: {works.stderr.strip() or works.returncode}")

    def environment(prefix, more="exitcode=0"):
        return {"LD_PRELOAD": runtime, "TSAN_OPTIONS": f"log_path={prefix}:{more}", "SAMPLE": str(folder)}

    return environment


CONFTEST = "import os, sys\nsys.path.insert(0, os.environ['SAMPLE'])\n"


@pytest.fixture(scope="module")
def under_tsan(tsan, mini, tmp_path_factory):
    """Run tests under it."""

    def run(tests, *words):
        folder = tmp_path_factory.mktemp("mini")
        words = ["--ftcheck", f"--ftcheck-tsan-log={folder}/log", "--ftcheck-rounds=8", *words]
        return mini({"test_it.py": tests, "conftest.py": CONFTEST}, *words, folder=folder, **tsan(folder / "log"))

    return run


@pytest.fixture(scope="module")
def isolated(under_tsan):
    return under_tsan(TESTS, "-v")


@pytest.fixture(scope="module")
def in_one_process(under_tsan):
    return under_tsan(TESTS, "--ftcheck-isolate=no", "-k", "plain or atomic")


CLEAN = """
import tsan_sample
from meeting import meet

def test_atomic():
    meet()
    tsan_sample.add_atomic()
"""


@pytest.fixture(scope="module")
def clean(under_tsan):
    return under_tsan(CLEAN, "--ftcheck-isolate=no")


def line_of(name):
    lines = SOURCE.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.startswith(f"COUNTER({name},"))


def where(name):
    return f"tsan_sample.c:{line_of(name)} (add_{name})"


def races(findings):
    return [one["headline"] for one in findings if one["verdict"] == "data race"]


@pytest.mark.parametrize(
    ("test", "name"),
    [("test_plain", "plain"), ("test_alone", "alone"), ("test_fixture", "in_setup"), ("test_failing", "failing")],
)
def test_a_race_is_the_tests_that_made_it(isolated, test, name):
    found = races(isolated.test(test)["findings"])
    if test == "test_fixture":
        found = found[:1]
    assert len(found) == 1
    assert found[0].count(where(name)) == 2


def test_verdicts(isolated):
    assert isolated.status == 1
    verdicts = {name.partition("::")[2]: verdict for name, verdict in isolated.verdicts().items()}
    assert verdicts == {
        "test_atomic": "passed",
        "test_plain": "data race",
        "test_plain_again": "passed",  # ThreadSanitizer reports a place once in a process: the first test has it
        "test_failing": "failure",
        "test_expected": "expected failure",
        "test_strictly": "expected failure",
        "test_alone": "data race",
        "test_dying": "crash",
        "test_dying_later": "crash",
        "test_fixture": "data race",
    }


def test_both_accesses_are_shown_where_the_test_failed(isolated):
    text = isolated.text("test_plain")
    assert re.search(r"^data race: (read|write) ", text, re.MULTILINE)
    assert text.count(f"tsan_sample.c:{line_of('plain')} in add_plain") == 2
    assert "was started by main thread" in text


def test_a_failure_of_its_own_stays_the_worst(isolated):
    assert [one["verdict"] for one in isolated.test("test_failing")["findings"]] == ["failure", "data race"]
    assert "LookupError: by itself" in isolated.text("test_failing")


def test_a_race_in_a_fixture_does_not_keep_the_test_from_running(isolated):
    assert isolated.test("test_fixture")["coverage"]["rounds"] == 8
    phases = {one["phase"]: one["headline"] for one in isolated.test("test_fixture")["findings"]}
    assert where("in_setup") in phases["setup"]
    assert where("in_teardown") in phases["teardown"]


def test_what_a_dead_worker_has_written_is_the_tests(isolated):
    crash, race = isolated.test("test_dying")["findings"]
    assert (crash["verdict"], race["verdict"]) == ("crash", "data race")
    assert race["headline"].count(where("dying")) == 2
    assert "ThreadSanitizer, before that:" in isolated.text("test_dying")


def test_what_was_read_before_a_worker_died_is_not_lost(isolated):
    crash, race = isolated.test("test_dying_later")["findings"]
    assert (crash["verdict"], race["verdict"]) == ("crash", "data race")
    assert race["headline"].count(where("before_death")) == 2


def test_what_comes_at_import_is_no_tests(isolated):
    assert {one["tests"][0] for one in isolated.general} == {"(outside of tests)"}
    found = races(isolated.general)
    assert [one for one in found if one.count(where("at_import")) == 2] == found


def test_no_race_is_told_twice(isolated):
    everything = [one for test in isolated.record["run"]["tests"] for one in test["findings"]] + isolated.general
    for name in ("plain", "alone", "in_setup", "in_teardown", "failing", "dying", "at_import"):
        assert sum(where(name) in one for one in races(everything)) == 1, name
    for name in ("atomic", "expected", "strictly"):
        assert not any(where(name) in one for one in races(everything)), name


def test_the_interpreters_own_are_listed_and_accuse_nobody(isolated):
    isolated.lines.fnmatch_lines(
        ["*ThreadSanitizer: the interpreter's own*", "Both sides lie in the interpreter (reports: *"]
    )
    everything = [one for test in isolated.record["run"]["tests"] for one in test["findings"]] + isolated.general
    assert all("tsan_sample.c" in one for one in races(everything))


def test_the_command_to_run_it_again_asks_for_it_again(isolated):
    assert f"--ftcheck-tsan-log={isolated.folder}/log" in isolated.out


def test_where_nothing_is_found_nothing_fails(clean):
    assert clean.status == 0
    assert clean.verdict("test_atomic") == "passed"
    assert clean.general == []


def test_in_one_process(in_one_process):
    assert in_one_process.status == 1
    verdicts = {name.partition("::")[2]: verdict for name, verdict in in_one_process.verdicts().items()}
    assert verdicts == {"test_atomic": "passed", "test_plain": "data race", "test_plain_again": "passed"}
    assert where("plain") in in_one_process.finding("test_plain")["headline"]
    assert [where("at_import") in one for one in races(in_one_process.general)] == [True]


def test_a_stock_interpreter_is_called_one(clean, in_one_process):
    if tsan_options.interpreter_built_with_it():
        pytest.skip("this one was compiled with ThreadSanitizer")
    clean.lines.fnmatch_lines(["ftcheck: this interpreter was not compiled with ThreadSanitizer*"])
    assert "possible only" in in_one_process.finding("test_plain")["detail"]


def test_the_logs_are_left_for_the_command(isolated, tsan):
    extension = Path(tsan("")["SAMPLE"]) / "tsan_sample.so"
    logs = [str(path) for path in isolated.folder.glob("log.*")]
    program = "import sys; from ftcheck.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "tsan-log", "--brief", f"--modules={extension.parent}", *logs]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    for name in ("plain", "expected", "dying", "at_import"):
        assert f"add_{name}" in done.stdout


def test_it_must_know_where_the_log_is(tsan, mini, tmp_path):
    words = ("--ftcheck", f"--ftcheck-tsan-log={tmp_path}/log")
    wrong = mini({"test_it.py": "def test(): pass"}, *words, **tsan(tmp_path / "other"))
    assert wrong.status == 4
    assert f"TSAN_OPTIONS has log_path={tmp_path}/other" in wrong.err
    assert f"TSAN_OPTIONS=log_path={tmp_path}/log:exitcode=0:halt_on_error=0 pytest" in wrong.err


@pytest.fixture(scope="module")
def refused(mini_many):
    calls = {
        "none": ["--ftcheck", "--ftcheck-tsan-log=/tmp/log"],
        "not asked": ["--ftcheck-tsan-log=/tmp/log"],
        "off": ["--no-ftcheck", "--ftcheck-tsan-log=/tmp/log"],
        "explored": ["--ftcheck", "--ftcheck-explore", "--ftcheck-tsan-log=/tmp/log"],
        "empty": ["--ftcheck", "--ftcheck-tsan-log="],
    }
    return dict(zip(calls, mini_many({"test_it.py": "def test(): pass"}, list(calls.values())), strict=True))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "there is no ThreadSanitizer in this process"),
        ("not asked", "--ftcheck-tsan-log needs --ftcheck or --ftcheck-marked"),
        ("off", "--no-ftcheck contradicts --ftcheck-tsan-log"),
        ("explored", "--ftcheck-tsan-log contradicts explore: controlled threads hand over to each other"),
        ("empty", "the prefix is empty"),
    ],
)
def test_refused(refused, name, message):
    assert refused[name].status == 4
    assert message in refused[name].out + refused[name].err

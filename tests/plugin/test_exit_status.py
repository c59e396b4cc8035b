"""The exit status of a run: pytest's own, and 8 where the run could not do what it was asked for; and what it says then."""

import itertools
import json
import os

import pytest

from ftcheck.plugin.ending import HARNESS_TROUBLE, exit_status

# --- the rule ---------------------------------------------------------------------------------------------------------

FLAGS = ("usage", "findings", "faults", "troubles", "incomplete", "enough")


def every_case(**fixed):
    free = [flag for flag in FLAGS if flag not in fixed]
    for values in itertools.product([False, True], repeat=len(free)):
        yield {**dict(zip(free, values, strict=True)), **fixed}


@pytest.mark.parametrize(
    ("given", "flags", "expected"),
    [
        (0, {}, 0),
        (0, {"findings": True}, 1),  # about no test in particular
        (0, {"troubles": True}, 8),
        (0, {"findings": True, "troubles": True}, 1),
        (1, {"findings": True}, 1),
        (1, {"findings": True, "troubles": True, "faults": True}, 1),
        (1, {"faults": True, "troubles": True}, 8),
        (1, {}, 1),  # another plugin's doing
        (1, {"findings": True, "incomplete": True}, 8),
        (2, {"findings": True}, 2),
        (2, {"findings": True, "enough": True}, 1),
        (2, {"troubles": True}, 2),
        (2, {"incomplete": True}, 8),
    ],
)
def test_rule(given, flags, expected):
    assert exit_status(given, **flags) == expected


def test_usage_is_usage_whatever_else():
    assert {exit_status(given, **case) for given in (0, 1, 2, 5) for case in every_case(usage=True)} == {4}


@pytest.mark.parametrize("given", [3, 4, 5, 6, 77])
def test_other_statuses_stay(given):
    """Internal error, usage, nothing collected, too many warnings, pytest.exit(returncode=77)."""
    assert {exit_status(given, **case) for case in every_case(usage=False)} == {given}


def test_never_green_with_anything_to_say():
    for case in every_case():
        silent = not any(case[flag] for flag in ("usage", "findings", "troubles", "incomplete"))
        assert (exit_status(0, **case) == 0) is silent


# --- runs in one process ----------------------------------------------------------------------------------------------

FILES = {
    "test_alone.py": "def test_one(monkeypatch): pass\ndef test_two(monkeypatch): pass\ndef test_three(capsys): pass\n",
    "test_skips.py": "import pytest\ndef test_one(): pytest.skip('no display')\n"
    "@pytest.mark.skip(reason='old')\ndef test_two(): pass\n",
    "test_plain.py": "def test_one(): pass\ndef test_two(): pass\n",
    "test_meets.py": "from meeting import meet\ndef test_one(): meet()\ndef test_two(): meet()\n",
    "test_fails_alone.py": "def test_one(monkeypatch): assert 0\n",
    "test_fails.py": "from meeting import meet\ndef test_one(request):\n    meet()\n    assert 0\n",
    "test_broken.py": "import no_such_module_anywhere\n",
}
BASE = ("--ftcheck-isolate=no", "--ftcheck-threads=2", "--ftcheck-rounds=2", "--ftcheck-timeout=120", "--ftcheck-classify=0")
NOTHING = "ftcheck: nothing was rerun in threads, although it was asked for: "
CASES = {
    "passes": (["--ftcheck", "test_meets.py"], 0, None),
    "all run alone": (
        ["--ftcheck", "test_alone.py"],
        8,
        f"{NOTHING}2 not checked (uses monkeypatch, which *); 1 not checked (uses capsys, which *)",
    ),
    "by the ini file": (["-o", "ftcheck=true", "test_alone.py"], 8, f"{NOTHING}*"),
    "all skipped": (["--ftcheck", "test_skips.py"], 8, f"{NOTHING}1 skipped (no display); 1 skipped (old)"),
    "none marked": (
        ["--ftcheck-marked", "test_plain.py"],
        8,
        f"{NOTHING}none of the selected tests has the marker @pytest.mark.ftcheck",
    ),
    "quiet": (["--ftcheck", "-qq", "test_alone.py"], 8, f"{NOTHING}*"),
    "a failure is worse": (["--ftcheck", "test_fails_alone.py"], 1, f"{NOTHING}1 failure (uses monkeypatch, *)"),
    "one is enough": (["--ftcheck", "test_meets.py", "test_alone.py"], 0, None),
    "failures ran, too": (["--ftcheck", "test_fails.py"], 1, None),
    "not asked for": (["test_plain.py"], 0, None),
    "off": (["--no-ftcheck", "-o", "ftcheck=true", "test_alone.py"], 0, None),
    "collected only": (["--ftcheck", "--collect-only", "test_alone.py"], 0, None),
    "set up only": (["--ftcheck", "--setup-only", "test_alone.py"], 0, None),
    "nothing selected": (["--ftcheck", "-k", "no_such", "test_meets.py"], 5, None),
    "collection error": (["--ftcheck", "test_broken.py", "test_alone.py"], 2, None),
    "stopped at the first": (["--ftcheck", "-x", "test_fails_alone.py", "test_alone.py"], 1, None),
    "usage": (["--ftcheck", "--ftcheck-threads=0"], 4, None),
}


@pytest.fixture(scope="module")
def cases(mini_many):
    runs = mini_many(FILES, [[*BASE, *arguments] for arguments, _, _ in CASES.values()])
    return dict(zip(CASES, runs, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_run(cases, name):
    """The status, and where it is 8, the reason, as the last words of our summary; pytest's own lines are all there."""
    _, status, words = CASES[name]
    run = cases[name]
    assert run.status == status, run
    if words is None:
        run.lines.no_fnmatch_line("ftcheck: nothing was*")
    else:
        run.lines.fnmatch_lines(["*= ftcheck =*", words.replace("[", "[[]")])
    if status in (0, 1, 8) and name != "quiet":
        run.lines.fnmatch_lines(["*= * in *s =*"])


# --- reports that cannot be written -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Files of several kinds."""
    folder = tmp_path_factory.mktemp("places")
    (folder / "a_file").write_text("mine")
    (folder / "a_folder").mkdir()
    os.mkfifo(folder / "a_pipe")
    (folder / "real.json").write_text("old")
    (folder / "link.json").symlink_to("real.json")
    (folder / "to_nowhere").symlink_to("made_by_the_link.json")
    os.chmod(folder / "real.json", 0o640)
    return folder


WRITING = {
    "folder": ("--ftcheck-json={}/a_folder", 4, "ERROR: --ftcheck-json=*/a_folder: * cannot be written (it is a folder). *"),
    "below a file": (
        "--ftcheck-json={}/a_file/x/out.json",
        4,
        "ERROR: --ftcheck-json=* cannot be written (*). Nothing was*",
    ),
    "no name": ("--ftcheck-json=", 4, "ERROR: --ftcheck-json=: * cannot be written (the name is empty). *"),
    "too long": ("--ftcheck-json={}/" + "x" * 300, 4, "ERROR: --ftcheck-json=* cannot be written (File name too long). *"),
    "no descriptor": ("--ftcheck-json=/dev/fd/987", 4, "ERROR: --ftcheck-json=* cannot be written (Bad file descriptor). *"),
    "full device": ("--ftcheck-json=/dev/full", 8, "ftcheck: /dev/full could not be written: No space left on device. *"),
    "pipe": ("--ftcheck-json={}/a_pipe", 8, "ftcheck: */a_pipe could not be written: No such device or address. *"),
    "JUnit": ("--junitxml=/dev/full", 8, "ftcheck: /dev/full could not be written: * No space left on device*not complete."),
    "link": ("--ftcheck-json={}/link.json", 0, None),
    "new by a link": ("--ftcheck-json={}/to_nowhere", 0, None),
    "null": ("--ftcheck-json=/dev/null", 0, None),
    "long": ("--ftcheck-json={}/" + "x" * 255, 0, None),
    "home": ("--ftcheck-json=~/deep/er/out.json", 0, None),
}


@pytest.fixture(scope="module")
def writing(mini_many, places):
    before = os.environ.get("HOME")
    os.environ["HOME"] = str(places)  # of the child that runs them
    try:
        calls = [[*BASE, "--ftcheck", "test_meets.py", option.format(places)] for option, _, _ in WRITING.values()]
        return dict(zip(WRITING, mini_many(FILES, calls), strict=True))
    finally:
        if before is None:
            del os.environ["HOME"]
        else:
            os.environ["HOME"] = before


@pytest.mark.parametrize("name", WRITING)
def test_writing(writing, name):
    """What can be known before is a usage error, and no test has run; what is found out at the end loses no summary."""
    _, status, words = WRITING[name]
    run = writing[name]
    assert run.status == status, run
    if status == 4:
        assert "passed" not in run.out
        run.lines.no_fnmatch_line("*= test session starts =*") if "collected" not in run.out else pytest.fail(repr(run))
        pytest.LineMatcher(run.err.splitlines()).fnmatch_lines([words])
        return
    run.lines.fnmatch_lines(["2  passed*", "concurrent: 2 of 2 tests (100%)", *filter(None, [words]), "*= 2 passed in *"])
    run.lines.no_fnmatch_line("*Traceback*")
    announced = "*- generated *"
    if status == 8:
        run.lines.no_fnmatch_line(announced)
    else:
        run.lines.fnmatch_lines([announced])


def test_what_was_written(writing, places):
    """A link stays one, a file keeps its mode, folders are made, and nothing else is left."""
    assert (places / "link.json").is_symlink()
    for name in ("real.json", "made_by_the_link.json", "x" * 255, "deep/er/out.json"):
        assert json.loads((places / name).read_text())["counts"]["passed"] == 2
    assert (places / "real.json").stat().st_mode & 0o777 == 0o640
    assert (places / "a_file").read_text() == "mine"
    left = sorted(path.name for path in places.iterdir())
    assert left == sorted(
        ["a_file", "a_folder", "a_pipe", "real.json", "link.json", "to_nowhere", "made_by_the_link.json", "x" * 255, "deep"]
    )


def test_same_file_twice(mini_many):
    """One report would overwrite the other."""
    [run] = mini_many(FILES, [[*BASE, "--ftcheck", "--ftcheck-json=x/out", "--junitxml=./x/out"]])
    assert run.status == 4
    assert "--ftcheck-json and --junitxml name the same file" in run.err


LIMITED = """
import resource
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish():
    '''No file may grow beyond 100 bytes from here: to who writes, like a full disk.'''
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        return (yield)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
"""


def test_no_space(mini, tmp_path):
    """The disk is full at the end of a run: the last run's report stays whole, and both reports are said to be missing."""
    files = {"test_meets.py": FILES["test_meets.py"]}
    arguments = (*BASE, "--ftcheck", "--ftcheck-json=out.json")
    assert mini(files, *arguments, folder=tmp_path).status == 0
    old = (tmp_path / "out.json").read_bytes()
    run = mini({**files, "conftest.py": LIMITED}, *arguments, folder=tmp_path)
    assert run.status == HARNESS_TROUBLE
    run.lines.fnmatch_lines(
        [
            "2  passed*",
            "ftcheck: */junit.xml could not be written: * File too large*not complete.",
            "ftcheck: */out.json could not be written: File too large. An older report there is as it was. Make room, or *",
            "*= 2 passed in *",
        ]
    )
    assert (tmp_path / "out.json").read_bytes() == old
    assert not [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")]


def test_to_standard_output(mini):
    """The terminal's text and the report in one stream, neither overwrites the other."""
    run = mini({"test_meets.py": FILES["test_meets.py"]}, *BASE, "--ftcheck", "--ftcheck-json=/dev/stdout")
    assert run.status == 0
    begin = run.out.index('{\n "schema"')
    data, end = json.JSONDecoder().raw_decode(run.out, begin)
    assert data["counts"]["passed"] == 2
    assert "test session starts" in run.out[:begin]
    assert "2 passed in" in run.out[end:]


# --- runs that end early, and faults of the harness --------------------------------------------------------------------

ISOLATED = ("--ftcheck", *BASE[1:], "--ftcheck-json=out.json")


def written(run):
    return json.loads((run.folder / "out.json").read_text(encoding="utf-8"))


def test_given_up(mini):
    """No worker lives long enough to run a test: no verdict is missing silently."""
    conftest = "import os\nif 'PYTEST_XDIST_WORKER' in os.environ: os._exit(1)\n"
    run = mini({"conftest.py": conftest, "test_meets.py": FILES["test_meets.py"]}, *ISOLATED)
    assert run.status == HARNESS_TROUBLE
    run.lines.fnmatch_lines(["ftcheck: the run was given up, *selected tests have no result: * workers died in a row *"])
    ending = written(run)["ending"]
    assert (ending["exit_status"], ending["complete"]) == (8, False)
    assert "workers died in a row" in ending["stopped"]


def test_workers_that_are_not_replaced(mini):
    """xdist is told not to: the tests after the crash have no verdict, which is worse than the crash."""
    body = "import os\ndef test_dies(): os.abort()\ndef test_two(): pass\ndef test_three(): pass\n"
    run = mini({"test_dies.py": body}, *ISOLATED, "--max-worker-restart=0")
    assert run.status == HARNESS_TROUBLE
    run.lines.fnmatch_lines(["ftcheck: the run was given up, 2 of 3 selected tests have no result: *restarting disabled"])
    data = written(run)
    assert data["counts"]["crash"] == 1
    assert data["ending"]["complete"] is False


def test_stopped_at_the_first_failure(mini):
    """-x in a worker: pytest's 1, not xdist's 2; what was not run is neither a trouble nor complete."""
    files = {"test_a_fails.py": FILES["test_fails.py"], "test_b_alone.py": FILES["test_alone.py"]}
    run = mini(files, *ISOLATED, "-x", "--ftcheck-min-concurrent=1")
    assert run.status == 1
    ending = written(run)["ending"]
    assert (ending["exit_status"], ending["complete"], ending["troubles"]) == (1, False, [])
    assert ending["stopped"] == "stopping after 1 failures"


INTERRUPTED = """
import os
def pytest_runtest_logreport(report):
    first = report.nodeid.endswith("test_last") and report.when == "setup"
    if first and "PYTEST_XDIST_WORKER" not in os.environ:
        raise KeyboardInterrupt
"""


def test_interrupted(mini):
    """Ctrl-C: what was seen is in the report; nothing is judged that needs all tests."""
    body = FILES["test_fails.py"] + "def test_last(monkeypatch): pass\n"
    run = mini({"conftest.py": INTERRUPTED, "test_body.py": body}, *ISOLATED, "--ftcheck-min-concurrent=1")
    assert run.status == 2
    data = written(run)
    assert data["tests"][0]["verdict"] == "failure"
    assert (data["ending"]["exit_status"], data["ending"]["complete"]) == (2, False)
    assert data["ending"]["stopped"] == "interrupted by Ctrl-C"
    run.lines.fnmatch_lines(["1. failure*"])


FAULTY = """
import ftcheck.stress.overlap
def broken(stamps):
    raise RuntimeError("made by the test")
ftcheck.stress.overlap.overlapped = broken
"""


def test_fault_of_ours(mini):
    """An engine that breaks is no finding about the test: said, with its own status."""
    run = mini(
        {"conftest.py": FAULTY, "test_meets.py": FILES["test_meets.py"]}, *BASE, "--ftcheck", "--ftcheck-json=out.json"
    )
    assert run.status == HARNESS_TROUBLE
    run.lines.fnmatch_lines(
        ["ftcheck: a fault of ftcheck itself in test_meets.py::test_one: *RuntimeError: made by the test"]
    )
    assert {test["verdict"] for test in written(run)["tests"]} == {"failure"}
    assert len(written(run)["ending"]["troubles"]) == 2


def test_fault_of_ours_beside_a_failure(mini):
    """A finding is worse."""
    files = {
        "conftest.py": FAULTY,
        "test_meets.py": FILES["test_meets.py"],
        "test_fails_alone.py": FILES["test_fails_alone.py"],
    }
    assert mini(files, *BASE, "--ftcheck").status == 1

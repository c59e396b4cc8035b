"""Command line, ini file and marker: each option everywhere, the nearest wins, and what is wrong is said at once."""

import re

import pytest

SEEN = """
import threading
import pytest
from meeting import meet

def threads():
    return threading.current_thread() is not threading.main_thread()

def test_plain(): assert not threads()
"""

MARKED = """
import collections, threading
import pytest
from meeting import meet

def count(name, parties):
    '''Waits for all threads of this round; so the number of threads is certain.'''
    meet(name, parties=parties)

@pytest.fixture
def box():
    return []

def test_from_the_run():
    count("run", 3)

@pytest.mark.ftcheck(threads=2, rounds=2)
def test_from_the_marker():
    count("marker", 2)

@pytest.mark.ftcheck(rounds=2)
def test_some_from_the_marker():
    count("some", 3)

@pytest.mark.ftcheck(share=["box"])
def test_shared(box):
    count("shared start", 3)
    box.append(1)
    count("shared end", 3)
    assert len(box) == 3

@pytest.mark.ftcheck(seconds=0.2)
def test_seconds_only():
    count("seconds", 3)

@pytest.mark.ftcheck(threads=2)
class TestClass:
    def test_from_the_class(self):
        count("class", 2)

    @pytest.mark.ftcheck(threads=4)
    def test_nearer_than_the_class(self):
        count("nearer", 4)

    @pytest.mark.ftcheck(rounds=1)
    def test_both_add_up(self):
        count("both", 2)

@pytest.mark.ftcheck(noise=0.5, timeout=100)
def test_noise(request):
    count("noise", 3)
"""

WRONG = {
    "test_unknown.py": "threds=4",
    "test_value.py": "threads=1",
    "test_word.py": "rounds='many'",
    "test_truth.py": "rounds=True",
    "test_negative.py": "seconds=-1",
    "test_zero.py": "timeout=0",
    "test_share.py": "share=3",
    "test_probability.py": "noise=2",
    "test_skip.py": "skip=''",
    "test_contradiction.py": "skip='x', threads=4",
    "test_positional.py": "4",
}
ALL = (
    "threads, rounds, seconds, timeout, share, noise, allow, explore, schedules, points, scope, races, replay, "
    "interpreters, native, skip"
)
COMPLAINTS = {
    "test_unknown.py": [f"there is no option 'threds'. Did you mean 'threads'? The options are: {ALL}."],
    "test_value.py": ["threads must be a whole number from 2 up, or 'auto'", "skip='reason'", "not 1."],
    "test_word.py": ["rounds must be a whole number", "not 'many'."],
    "test_truth.py": ["rounds must be a whole number", "not True."],
    "test_negative.py": ["seconds must be a number of seconds above 0, not -1."],
    "test_zero.py": ["timeout must be a number of seconds above 0, not 0."],
    "test_share.py": ["share must be True (all), or the names of function-scoped fixtures", "not 3."],
    "test_probability.py": ["noise must be a probability from 0", "not 2."],
    "test_skip.py": ["skip must be a text that says why", "not ''."],
    "test_contradiction.py": ["skip contradicts threads"],
    "test_positional.py": ["the options are given by name, such as threads=4, not 4."],
}
MARKED_WRONG = """
import pytest

@pytest.mark.ftcheck({options})
def test_wrong(): pass

def test_right(): pass
"""


@pytest.fixture(scope="module")
def layers(mini):
    """A run with settings in the ini file, on the command line and in markers."""
    ini = "[pytest]\nftcheck = true\nftcheck_threads = 2\nftcheck_rounds = 4\nftcheck_timeout = 99\n"
    return mini({"pytest.ini": ini, "test_marked.py": MARKED}, "--ftcheck-threads=3", "--ftcheck-seed=42")


@pytest.mark.parametrize(
    ("name", "threads", "rounds"),
    [
        ("test_from_the_run", 3, 4),
        ("test_from_the_marker", 2, 2),
        ("test_some_from_the_marker", 3, 2),
        ("test_shared", 3, 4),
        ("TestClass::test_from_the_class", 2, 4),
        ("TestClass::test_nearer_than_the_class", 4, 4),
        ("TestClass::test_both_add_up", 2, 1),
        ("test_noise", 3, 4),
    ],
)
def test_the_nearest_wins(layers, name, threads, rounds):
    """Marker over class marker over command line over ini file, option by option."""
    coverage = layers.test(name)["coverage"]
    assert layers.verdict(name) == "passed", layers.text(name)
    assert (coverage["threads"], coverage["rounds"]) == (threads, rounds)


def test_seconds_of_a_marker_with_rounds_of_the_ini_file(layers):
    """Both are limits, and the first one that is reached ends the test."""
    assert layers.test("test_seconds_only")["coverage"]["limit"] in ("rounds", "seconds")
    assert layers.test("test_seconds_only")["coverage"]["rounds"] <= 4


def test_header_says_the_settings(layers):
    """The interpreter, and what holds for a test without a marker."""
    layers.lines.fnmatch_lines(
        [
            "ftcheck: CPython 3.*, GIL o* CPU*",
            "ftcheck: 3 threads, up to 4 rounds per test, timeout 99 s, seed 42, isolated in a worker process",
        ]
    )


def test_ini_alone_asks_for_the_run(layers):
    assert layers.status == 0
    assert len(layers.verdicts()) == 9


def wrong_files():
    return {name: MARKED_WRONG.format(options=options) for name, options in WRONG.items()}


@pytest.fixture(scope="module")
def wrong_isolated(mini):
    """Wrong markers in a run with a worker."""
    return mini(wrong_files(), "--ftcheck", "--ftcheck-rounds=1")


@pytest.fixture(scope="module")
def wrong_in_process(mini_many):
    """The same without a worker: under --ftcheck, and in a run that was asked for nothing."""
    names = list(WRONG)
    calls = [["--ftcheck", "--ftcheck-isolate=no", name] for name in names] + [[name] for name in names]
    runs = mini_many(wrong_files(), calls)
    return dict(zip(names, zip(runs[: len(names)], runs[len(names) :], strict=True), strict=True))


@pytest.mark.parametrize("name", WRONG)
def test_wrong_marker_in_a_worker(wrong_isolated, name):
    """A collection error of that file, which says what is allowed; nothing in it is run."""
    assert wrong_isolated.status == 4  # a usage error, also where xdist alone would say 1
    text = wrong_isolated.reports(name)["collect"][1]
    assert f"@pytest.mark.ftcheck of {name}::test_wrong: " in text
    for part in COMPLAINTS[name]:
        assert part in text


def test_wrong_marker_runs_no_other_test(wrong_isolated):
    assert not [report for report in wrong_isolated.record["reports"] if report["when"] == "call"]
    wrong_isolated.lines.no_fnmatch_line("*INTERNALERROR*")


@pytest.mark.parametrize("name", WRONG)
def test_wrong_marker_in_process(wrong_in_process, name):
    """A collection error or a usage error, with the same words."""
    for run in wrong_in_process[name]:
        assert run.status == 4
        text = run.out + run.err
        assert f"@pytest.mark.ftcheck of {name}::test_wrong: " in text
        assert "Traceback" not in text
        for part in COMPLAINTS[name]:
            assert part in text


USAGE = [
    (["--ftcheck", "--no-ftcheck"], ["--no-ftcheck contradicts --ftcheck"]),
    (["--ftcheck-marked", "--no-ftcheck"], ["--no-ftcheck contradicts --ftcheck"]),
    (["--ftcheck", "--ftcheck-marked"], ["--ftcheck (every test) contradicts --ftcheck-marked (only marked tests)"]),
    (["--ftcheck", "--ftcheck-isolate=yes", "--pdb"], ["--ftcheck-isolate=yes contradicts --pdb"]),
    (["--ftcheck", "--ftcheck-isolate=yes", "-p", "no:xdist"], ["--ftcheck-isolate=yes needs pytest-xdist", "-p no:xdist"]),
    (["--ftcheck", "--ftcheck-isolate=perhaps"], ["auto", "yes", "no", "perhaps"]),
    (["--ftcheck", "-o", "ftcheck_isolate=perhaps"], ["ftcheck_isolate must be auto, yes or no, not 'perhaps'"]),
    (["--ftcheck", "--ftcheck-threads=1"], ["--ftcheck-threads: threads must be a whole number from 2 up", "not '1'"]),
    (["--ftcheck", "--ftcheck-threads=some"], ["--ftcheck-threads: threads must be a whole number", "not 'some'"]),
    (["--ftcheck", "--ftcheck-rounds=0"], ["--ftcheck-rounds: rounds must be a whole number from 1 up, not '0'"]),
    (["--ftcheck", "--ftcheck-rounds=1.5"], ["--ftcheck-rounds: rounds must be a whole number", "not '1.5'"]),
    (["--ftcheck", "--ftcheck-seconds=nan"], ["--ftcheck-seconds: seconds must be a number of seconds above 0"]),
    (["--ftcheck", "--ftcheck-seconds=inf"], ["--ftcheck-seconds: seconds must be a number of seconds above 0"]),
    (["--ftcheck", "--ftcheck-timeout=-1"], ["--ftcheck-timeout: timeout must be a number of seconds above 0"]),
    (["--ftcheck", "--ftcheck-share=a-b"], ["--ftcheck-share: share must be True (all), or the names"]),
    (["--ftcheck", "--ftcheck-noise=1.1"], ["--ftcheck-noise: noise must be a probability from 0"]),
    (["--ftcheck", "--ftcheck-seed=x"], ["--ftcheck-seed must be a whole number, not 'x'"]),
    (["--ftcheck", "-o", "ftcheck_threads=0"], ["pytest.ini: ftcheck_threads: threads must be a whole number from 2 up"]),
    (["--ftcheck", "-o", "ftcheck_rounds=x"], ["pytest.ini: ftcheck_rounds: rounds must be a whole number"]),
    (["--ftcheck", "-o", "ftcheck_seconds=x"], ["pytest.ini: ftcheck_seconds: seconds must be a number of seconds"]),
    (["--ftcheck", "--ftcheck-skip=x"], ["unrecognized arguments: --ftcheck-skip"]),
    (["--ftcheck-threads=1"], ["--ftcheck-threads: threads must be a whole number from 2 up"]),
]


@pytest.fixture(scope="module")
def usage(mini_many):
    """Every wrong command line."""
    runs = mini_many({"test_seen.py": SEEN}, [arguments for arguments, _ in USAGE])
    return {" ".join(arguments): run for (arguments, _), run in zip(USAGE, runs, strict=True)}


@pytest.mark.parametrize(("arguments", "words"), USAGE, ids=[" ".join(arguments) for arguments, _ in USAGE])
def test_usage_error(usage, arguments, words):
    """Exit status 4 before anything is run, and a message that says what is allowed."""
    run = usage[" ".join(arguments)]
    assert run.status == 4
    assert "ERROR: " in run.err or "error: " in run.err
    assert "Traceback" not in run.out + run.err
    assert "passed" not in run.out
    for part in words:
        assert part in run.err


IN_PROCESS = [
    (["--ftcheck", "-n0"], "-n0"),
    (["--ftcheck", "-s"], "-s"),
    (["--ftcheck", "--pdb"], "--pdb"),
    (["--ftcheck", "-p", "no:xdist"], "pytest-xdist is switched off (-p no:xdist)"),
    (["--ftcheck", "--ftcheck-isolate=no"], "--ftcheck-isolate=no"),
    (["-o", "ftcheck=true", "-o", "ftcheck_isolate=no"], "--ftcheck-isolate=no"),
]
CALLS = [
    ["-o", "ftcheck=true", "--no-ftcheck", "test_off.py", "test_seen.py"],
    ["test_seen.py"],
    ["--ftcheck-threads=4", "test_seen.py"],
    ["--ftcheck", "--collect-only", "-q", "test_seen.py"],
    ["--ftcheck", "--markers"],
    ["--help"],
    ["--ftcheck", "--fixtures", "test_seen.py"],
    ["--strict-markers", "test_off.py", "-k", "test_never"],
    ["-o", "addopts=--ftcheck", "--ftcheck-marked", "test_seen.py"],
    ["--ftcheck", "--ftcheck-isolate=no", "--setup-show", "--ftcheck-threads=2", "--ftcheck-rounds=2", "test_thread.py"],
    ["--ftcheck", "--ftcheck-isolate=no", "-p", "no:terminal", "--ftcheck-rounds=2", "test_thread.py"],
    ["--ftcheck-marked", "--ftcheck-isolate=no", "--ftcheck-rounds=2", "test_thread.py"],
    ["test_thread.py", "--ftcheck-threads=2", "--ftcheck-rounds=2"],
]

OFF = """
import threading
import pytest

@pytest.mark.ftcheck(threads=8)
def test_marked():
    assert threading.current_thread() is threading.main_thread()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("ftcheck")] == []

@pytest.mark.ftcheck(threds=8)
def test_wrong_marker_does_not_matter(): pass
"""
THREAD = """
import threading
import pytest
from meeting import meet

@pytest.mark.ftcheck(threads=2)
def test_marked():
    meet()
    assert threading.current_thread() is not threading.main_thread()

def test_not_marked(pytestconfig):
    everything = pytestconfig.getoption("ftcheck")
    assert (threading.current_thread() is threading.main_thread()) != bool(everything)
"""


@pytest.fixture(scope="module")
def calls(mini_many):
    """Runs without a worker, all in one process."""
    once = "def test_once(request): pass\n"
    files = {"test_seen.py": SEEN, "test_off.py": OFF, "test_once.py": once, "test_thread.py": THREAD}
    few = ["--ftcheck-rounds=2", "--ftcheck-threads=2", "test_once.py"]
    runs = mini_many(files, [*CALLS, *([*arguments, *few] for arguments, _ in IN_PROCESS)])
    keys = [" ".join(call) for call in CALLS] + [" ".join(arguments) for arguments, _ in IN_PROCESS]
    return dict(zip(keys, runs, strict=True))


@pytest.mark.parametrize(("arguments", "why"), IN_PROCESS, ids=[" ".join(arguments) for arguments, _ in IN_PROCESS])
def test_not_isolated(calls, arguments, why):
    """Where there is no worker, the header says so, and why; the test is rerun all the same."""
    run = calls[" ".join(arguments)]
    assert run.status == 0
    run.lines.fnmatch_lines([f"ftcheck: 2 threads, up to 2 rounds per test, *, NOT isolated ({why})"])
    assert "created: 1/1 worker" not in run.out
    run.lines.re_match_lines([r"1  (passed|not checked) .*"])


def test_off_means_off(calls):
    """--no-ftcheck over the ini file and over markers, even wrong ones; nothing of ours is printed."""
    run = calls[" ".join(CALLS[0])]
    assert run.status == 0
    run.lines.fnmatch_lines(["*3 passed*"])
    assert "ftcheck" not in run.out.replace("ftcheck-0", "")


@pytest.mark.parametrize("call", [CALLS[1], CALLS[2]])
def test_not_asked_for(calls, call):
    """Without --ftcheck and without markers a run is plain pytest's."""
    run = calls[" ".join(call)]
    assert run.status == 0
    assert "ftcheck" not in run.out.replace("ftcheck-0", "")


def test_collect_only(calls):
    run = calls[" ".join(CALLS[3])]
    assert run.status == 0
    run.lines.fnmatch_lines(["test_seen.py::test_plain"])


def test_markers_text(calls):
    """pytest --markers names every option."""
    run = calls[" ".join(CALLS[4])]
    assert run.status == 0
    run.lines.fnmatch_lines(["@pytest.mark.ftcheck(*): rerun this test in several threads at once*"])
    for name in ALL.split(", "):
        assert f"{name}=..." in run.out


def test_help_text(calls):
    """pytest --help explains every option, on the command line and in the ini file."""
    run = calls["--help"]
    assert run.status == 0
    per_project = ("threads", "rounds", "seconds", "timeout", "share", "noise", "allow", "schedules", "points", "scope")
    for name in (*per_project, "isolate", "seed", "replay"):
        run.lines.re_match_lines_random([rf"  --ftcheck-{name}=\S+( .*)?"])
    for name in (*per_project, "isolate"):
        run.lines.re_match_lines_random([rf"  ftcheck_{name} \(string\):( .*)?"])
    run.lines.re_match_lines_random([r"  --ftcheck-explore( .*)?", r"  ftcheck_explore \(string\):( .*)?"])
    run.lines.re_match_lines_random([r"  --ftcheck( .*)?", r"  --no-ftcheck( .*)?", r"  --ftcheck-marked( .*)?"])


def test_all_options_have_our_name(calls):
    """None of them can clash with another plugin's."""
    group = calls["--help"].out.partition("\nftcheck: ")[2].partition("\n\n")[0]
    options = re.findall(r"^  (-\S+)", group, re.MULTILINE)
    assert len(options) >= 11
    assert [name for name in options if not name.startswith(("--ftcheck", "--no-ftcheck"))] == []


def test_fixtures_can_be_listed(calls):
    assert calls[" ".join(CALLS[6])].status == 0


def test_strict_markers_know_ours(calls):
    """Nothing is left to run in that file, but it was collected: the marker is registered."""
    assert calls[" ".join(CALLS[7])].status == 4  # its other marker is wrong, and that is all that is wrong
    assert "threds" in calls[" ".join(CALLS[7])].err


def test_contradiction_with_addopts(calls):
    run = calls[" ".join(CALLS[8])]
    assert run.status == 4
    assert "contradicts" in run.err


def test_setup_show(calls):
    run = calls[" ".join(CALLS[9])]
    assert run.status == 0
    run.lines.no_fnmatch_line("*INTERNALERROR*")


def test_without_the_terminal_plugin(calls):
    assert calls[" ".join(CALLS[10])].status == 0


def test_only_marked_tests(calls):
    """--ftcheck-marked: the marked test in threads, the other one as pytest does; it has no verdict."""
    run = calls[" ".join(CALLS[11])]
    assert run.status == 0
    run.lines.fnmatch_lines(["ftcheck: *, NOT isolated (--ftcheck-isolate=no)"])
    run.lines.fnmatch_lines(["1  passed  nothing found in 2 rounds of 2 threads, *", "*2 passed in *"])


def test_marker_without_any_option(calls):
    """A marked test is rerun also where the run was not asked for anything."""
    run = calls[" ".join(CALLS[12])]
    assert run.status == 0
    run.lines.fnmatch_lines(["1  passed  nothing found in 2 rounds of 2 threads, *", "*2 passed in *"])


def test_marked_tests_are_isolated_when_asked(mini):
    """--ftcheck-marked runs in a worker, whose death is one test's verdict; so does --ftcheck-isolate=yes alone."""
    body = """
    import os
    import pytest
    @pytest.mark.ftcheck(rounds=1)
    def test_dies(): os._exit(3)
    def test_plain(): pass
    """
    for arguments in (["--ftcheck-marked"], ["--ftcheck-isolate=yes"]):
        run = mini({"test_marked.py": body}, *arguments, "--ftcheck-threads=2")
        assert run.status == 1
        assert run.verdicts() == {"test_marked.py::test_dies": "crash"}
        assert run.outcomes("test_plain") == dict.fromkeys(("setup", "call", "teardown"), "passed")


def test_ini_file_options(mini):
    """Every option of the ini file has its effect, from a pyproject.toml as well."""
    toml = """
    [tool.pytest.ini_options]
    ftcheck = true
    ftcheck_threads = "3"
    ftcheck_rounds = "5"
    ftcheck_timeout = "77"
    ftcheck_share = "box"
    ftcheck_noise = "0.1"
    ftcheck_isolate = "no"
    """
    body = """
    import pytest
    from meeting import meet
    @pytest.fixture
    def box(): return []
    def test_all(box):
        meet("start", parties=3)
        box.append(1)
        meet("end", parties=3)
        assert len(box) == 3
    """
    run = mini({"pyproject.toml": toml, "test_ini.py": body}, "-c", "pyproject.toml", "--ftcheck-seed=7")
    run.lines.fnmatch_lines(["ftcheck: 3 threads, up to 5 rounds *timeout 77 s, seed 7, NOT isolated (*"])
    assert run.verdict("test_all") == "passed", run.text("test_all")
    assert run.test("test_all")["coverage"]["rounds"] == 5


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("nowhere.py", "ERROR: file or directory not found: nowhere.py"),
        ("test_plain.py::test_nowhere", "ERROR: not found: *test_plain.py::test_nowhere"),
    ],
)
def test_what_is_named_and_not_there(mini, named, message):
    """The error comes up in the worker, and xdist has no place for it: pytest's own words and status all the same."""
    run = mini({"test_plain.py": "def test_plain(): pass\n"}, "--ftcheck", named)
    assert run.status == pytest.ExitCode.USAGE_ERROR, run
    run.lines.fnmatch_lines([message])

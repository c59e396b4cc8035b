"""--ftcheck-min-concurrent: how many of the tests really ran concurrently, and a run that fails where too few did."""

import json

import pytest

MIXED = """
import os
import pytest
from meeting import meet

def test_one(): meet()
def test_two(): meet()
def test_fails(request):
    meet()
    assert 0

def test_alone(monkeypatch): pass
def test_skipped(): pytest.skip("skips itself")
"""
CLEAN = "from meeting import meet\ndef test_one(): meet()\ndef test_two(): meet()\ndef test_alone(monkeypatch): pass\n"
MARKED = """
import pytest
from meeting import meet
@pytest.mark.ftcheck
def test_marked(): meet()
@pytest.mark.ftcheck
def test_marked_alone(monkeypatch): pass
def test_plain(): pass
"""
FILES = {
    "test_clean.py": CLEAN,
    "test_mixed.py": MIXED,
    "test_marked.py": MARKED,
    "test_plain.py": "def test_plain(): pass\n",
    "strict.ini": "[pytest]\nftcheck_min_concurrent = 90%\n",
    "wrong.ini": "[pytest]\nftcheck_min_concurrent = most\n",
}
BASE = ("--ftcheck-isolate=no", "--ftcheck-threads=2", "--ftcheck-rounds=2", "--ftcheck-timeout=120", "--ftcheck-classify=0")
LEAST = "--ftcheck-min-concurrent="
TWO_THIRDS = "concurrent: 2 of 3 tests (66%)"
CASES = {
    "none": (["--ftcheck", "test_clean.py"], 0, [TWO_THIRDS]),
    "enough": (["--ftcheck", "test_clean.py", f"{LEAST}0.66"], 0, [TWO_THIRDS]),
    "too few": (
        ["--ftcheck", "test_clean.py", f"{LEAST}67%"],
        8,
        [TWO_THIRDS, f"ftcheck: 2 of 3 tests ran concurrently (66%), which is below {LEAST}67%"],
    ),
    "as a number": (["--ftcheck", "test_clean.py", f"{LEAST}0.8"], 8, [f"ftcheck: 2 of 3 * below {LEAST}80%"]),
    "all": (["--ftcheck", "test_clean.py", f"{LEAST}1"], 8, [f"ftcheck: 2 of 3 * below {LEAST}100%"]),
    "no limit": (["--ftcheck", "test_clean.py", f"{LEAST}0"], 0, [TWO_THIRDS]),
    "a failure is worse": (
        ["--ftcheck", "test_mixed.py", f"{LEAST}90%"],
        1,
        ["concurrent: 3 of 4 tests (75%)", f"ftcheck: 3 of 4 tests ran concurrently (75%), which is below {LEAST}90%"],
    ),
    "ini file": (["-c", "strict.ini", "--ftcheck", "test_clean.py"], 8, [f"ftcheck: 2 of 3 * below {LEAST}90%"]),
    "command line wins": (["-c", "strict.ini", "--ftcheck", "test_clean.py", f"{LEAST}50%"], 0, [TWO_THIRDS]),
    "marked alone": (["test_marked.py", f"{LEAST}50%"], 0, ["concurrent: 1 of 2 tests (50%)"]),
    "marked, too few": (["test_marked.py", f"{LEAST}51%"], 8, [f"ftcheck: 1 of 2 tests ran * (50%), * {LEAST}51%"]),
    "asked for marked": (["--ftcheck-marked", "test_marked.py", f"{LEAST}51%"], 8, ["concurrent: 1 of 2 tests (50%)"]),
    "nothing marked": (
        ["test_plain.py", f"{LEAST}50%"],
        8,
        ["ftcheck: nothing was rerun in threads, although it was asked for: *"],
    ),
    "nothing marked, ini file": (["-c", "strict.ini", "test_plain.py"], 0, ["*= 1 passed in *"]),
    "off, ini file": (["-c", "strict.ini", "--no-ftcheck", "test_plain.py"], 0, ["*= 1 passed in *"]),
    "nothing selected": (["--ftcheck", "test_clean.py", "-kno_such", f"{LEAST}1"], 5, []),
}


@pytest.fixture(scope="module")
def cases(mini_many):
    runs = mini_many(FILES, [[*BASE, *arguments] for arguments, _, _ in CASES.values()])
    return dict(zip(CASES, runs, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_run(cases, name):
    _, status, lines = CASES[name]
    assert cases[name].status == status, cases[name]
    cases[name].lines.fnmatch_lines(lines)
    if status in (0, 5):
        cases[name].lines.no_fnmatch_line(f"*below {LEAST}*")


MUST_BE = "must be a share from 0 to 1, or a percentage, such as 0.8 or 80%, not"
VALUES = ("80", "-0.1", "101%", "%", "", "nan", "1/2", "all", "1e-1", "1e999999999%", "٣%")
WRONG = {
    **{f"{LEAST}{value}": f"--ftcheck-min-concurrent {MUST_BE} {value!r}" for value in VALUES},
    "-cwrong.ini": f"ftcheck_min_concurrent {MUST_BE} 'most'",
    f"--no-ftcheck {LEAST}0.5": "--no-ftcheck contradicts --ftcheck-min-concurrent: give one of them",
}


@pytest.fixture(scope="module")
def wrong(mini_many):
    return dict(zip(WRONG, mini_many(FILES, [option.split(" ") for option in WRONG]), strict=True))


@pytest.mark.parametrize("option", WRONG)
def test_wrong(wrong, option):
    """Said before anything is run."""
    assert wrong[option].status == 4
    assert WRONG[option] in wrong[option].err
    assert "passed" not in wrong[option].out


# --- with workers -----------------------------------------------------------------------------------------------------

CRASHES = """
import os
import pytest
from meeting import meet

def test_one(): meet()
def test_dies_in_a_round(): os.abort()
def test_dies_alone(monkeypatch): os.abort()

@pytest.fixture
def dies(): os.abort()
def test_dies_in_set_up(dies): pass

def test_two(): meet()
"""
MARKED_CRASHES = """
import os
import pytest
from meeting import meet

@pytest.mark.ftcheck
def test_one(): meet()
@pytest.mark.ftcheck
def test_dies_in_a_round(): os.abort()
def test_dies_unmarked(): os.abort()

@pytest.fixture
def dies(): os.abort()
@pytest.mark.ftcheck
def test_dies_in_set_up(dies): pass
def test_dies_in_set_up_unmarked(dies): pass
"""


@pytest.mark.parametrize(
    ("how", "body", "part", "whole"), [("--ftcheck", CRASHES, 3, 5), ("--ftcheck-marked", MARKED_CRASHES, 2, 3)]
)
def test_two_workers_that_die(mini, how, body, part, whole):
    """A crash in a round counts as concurrent, one in a set-up or alone does not; what nobody asked for is not counted."""
    run = mini({"test_crashes.py": body}, how, *BASE[1:], "-n2", f"{LEAST}99%", "--ftcheck-json=out.json")
    assert run.status == 1
    share = f"{part} of {whole} tests"
    run.lines.fnmatch_lines(
        [f"concurrent: {share} ({part * 100 // whole}%)", f"ftcheck: {share} ran *, which is below {LEAST}99%"]
    )
    data = json.loads((run.folder / "out.json").read_text(encoding="utf-8"))
    assert data["concurrent"] == {"tests": part, "of": whole, "share": part / whole}
    assert data["run"]["min_concurrent"] == 0.99

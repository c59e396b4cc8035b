"""The sample extensions under ftcheck: the folder is the verdict.

Both halves of the corpus are run once. For the unsafe half the budget is 20 s per test, and a run ends after 20 failing
rounds: an idle machine runs more than 150 rounds a second of each sample, and each fails in 3 % of its rounds or more
(measured; bench/README.md), so a miss has a probability below 0.97 ** 3000 < 1e-9. Rounds of many threads take longer: even
at a load of five (measured), short_threads has 20 rounds a second, of which half fail, and many_threads has 6, of which one
in five fails: 0.5 ** 400 and 0.8 ** 120 < 1e-11. The three samples that turn the GIL on do so at import, always.
"""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from ftcheck import interpreter

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "ext_samples"
NAMES = sorted(path.parent.name for path in (SAMPLES / "unsafe").glob("*/test_*.py"))
ROWS = dict(re.findall(r"(?m)^\| (\w+) \|.* \| ([^|]+) \|$", (SAMPLES / "README.md").read_text()))
"""Sample to how it shows: the table there."""
INSIDE = {name for name, shows in ROWS.items() if shows == "only from the inside"}
"""These are skipped where ftcheck-cc has not built them; tests/native/test_samples_native.py has them found."""
WRONG_RESULT = {"failure", "crash"}
EXPECTED = {
    "lock_order": {"deadlock"},
    "segv_race": {"crash"},
    "cy_directive": {"GIL re-enabled"},
    "no_gil_slot": {"GIL re-enabled"},
    "single_phase": {"GIL re-enabled"},
}
"""Sample to verdicts; all others: a wrong result, or a crash where the memory is damaged."""
EXPECTED |= {name: {"skipped"} for name in INSIDE}

needs_no_gil = pytest.mark.skipif(
    interpreter.gil_enabled() or not interpreter.free_threaded_build(),
    reason="the samples are wrong without the GIL; with it most of them are right",
)


def run(folder, report, *words):
    """One run of one half; the verdict of each sample."""
    command = [sys.executable, "-m", "pytest", "--ftcheck", "-p", "no:cacheprovider", "--tb=line", f"--junitxml={report}"]
    command.append("--ftcheck-classify=0")
    done = subprocess.run([*command, *words, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False)
    verdicts = {}
    for case in ElementTree.parse(report).iter("testcase"):
        sample = case.get("classname").split(".")[-2]
        given = [entry.get("value") for entry in case.iter("property") if entry.get("name") == "ftcheck_verdict"]
        verdict = given[-1] if given else "none"
        if verdict == "passed" and any(child.tag in ("failure", "error") for child in case):
            verdict = "failure"  # found by the teardown of a fixture that checks the whole run
        verdicts[sample] = verdict
    return done, verdicts


@pytest.fixture(scope="module")
def unsafe(tmp_path_factory):
    return run(SAMPLES / "unsafe", tmp_path_factory.mktemp("unsafe") / "report.xml", "--ftcheck-seconds=20")


@pytest.fixture(scope="module")
def safe(tmp_path_factory):
    return run(SAMPLES / "safe", tmp_path_factory.mktemp("safe") / "report.xml")


def test_every_sample_has_a_twin():
    assert sorted(path.parent.name for path in (SAMPLES / "safe").glob("*/test_*.py")) == NAMES
    assert len(NAMES) >= 52


def test_every_sample_has_a_row_in_the_table():
    assert sorted(ROWS.keys() - {"sample"}) == NAMES


def test_the_table_says_what_shows_only_from_the_inside():
    headers = {path.parent.name for path in (SAMPLES / "unsafe").glob("*/unsafe_*.c*") if "* Shows: " in path.read_text()}
    assert headers == INSIDE


@needs_no_gil
@pytest.mark.parametrize("name", NAMES)
def test_unsafe_sample_is_found(unsafe, name):
    done, verdicts = unsafe
    assert verdicts.get(name) in EXPECTED.get(name, WRONG_RESULT), done.stdout


@needs_no_gil
def test_the_run_with_unsafe_samples_went_to_its_end(unsafe):
    done, verdicts = unsafe
    assert done.returncode == 1, done.stdout
    assert sorted(verdicts) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_safe_sample_is_not_accused(safe, name):
    done, verdicts = safe
    allowed = {"passed"} if not interpreter.gil_enabled() else {"passed", "not checked"}
    assert verdicts.get(name) in allowed, done.stdout


def test_the_run_with_safe_samples_is_green(safe):
    done, _ = safe
    assert done.returncode == 0, done.stdout

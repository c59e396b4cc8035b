"""``interpreters=N``: verdicts, reasons and words, from end to end."""

import pytest

from ..gil_modules import build
from ..subinterpreters.test_engine import SOURCES

pytest.importorskip("concurrent.interpreters")

MARK = "import pytest\npytestmark = pytest.mark.ftcheck(interpreters=2, rounds=3, timeout=100)\n"
FILES = {
    "test_it.py": MARK + """
import leaky

def test_fine():
    assert sum(range(1000)) == 499500

def test_leak():
    assert leaky.hit() == 1

def test_together():
    assert leaky.hit() <= 2

def test_crash():
    if leaky.hit() > 2:
        leaky.die()

def test_exit():
    import os
    if leaky.hit() > 2:
        os._exit(3)

@pytest.mark.ftcheck(timeout=15)
def test_hangs():
    import time
    if leaky.hit() > 2:
        time.sleep(600)

def test_main_only():
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

def test_fails_anyway():
    assert 1 == 2

def test_skips():
    pytest.skip("not today")

def test_xfails():
    pytest.xfail("not yet")

@pytest.mark.parametrize("a", [[1]])
def test_parameter(a, tmp_path):
    a.append(2)
    assert a == [1, 2]
    (tmp_path / "x").mkdir()

class TestA:
    def test_method(self):
        print("said in an interpreter")
""",
    "test_refused.py": MARK + """
def test_old():
    try:
        import old
    except ImportError:
        raise RuntimeError("reinstall everything")

def test_two():
    import shares_the_gil
    import old
""",
    "test_here_only.py": MARK + """
import unittest

@pytest.fixture
def mine(): return 1

def test_fixture(mine): pass
def test_capsys(capsys): pass
def test_request(request): pass

@pytest.mark.usefixtures("mine")
def test_used(): pass

@pytest.mark.parametrize("a", [lambda: 1], ids=["f"])
def test_pickle(a): pass

@pytest.mark.parametrize("mine", [3], indirect=True)
def test_indirect(mine): pass

async def test_coroutine(): pass

class TestB:
    def setup_method(self): pass
    def test_method(self): pass

class TestC(unittest.TestCase):
    def test_case(self): pass
""",
    "sub/conftest.py": "import pytest\n@pytest.fixture(autouse=True)\ndef always(): pass\n",
    "sub/test_autouse.py": MARK + "def test_autouse(): pass\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(mini, tmp_path_factory):
    extensions = build(tmp_path_factory.mktemp("extensions"), SOURCES)
    files = FILES | {"conftest.py": f"import sys\nsys.path.append({str(extensions)!r})\n"}  # it holds in the others, too
    return mini(files, "--ftcheck", "--ftcheck-timeout=120")


class TestVerdicts:
    @pytest.mark.parametrize(
        ("name", "verdict"),
        [
            ("test_leak", "failure"),
            ("test_together", "failure"),
            ("test_crash", "crash"),
            ("test_exit", "crash"),
            ("test_hangs", "hang"),
            ("test_main_only", "failure"),
            ("test_fails_anyway", "failure"),
            ("test_skips", "skipped"),
        ],
    )
    def test_each(self, run, name, verdict):
        assert run.verdict(name) == verdict

    @pytest.mark.parametrize("name", ["test_fine", "test_parameter[a0]", "TestA::test_method"])
    def test_a_pass_is_one_that_overlapped(self, run, name):
        """A busy machine may bring no two calls together in three rounds: then it is not checked, and says so."""
        test = run.test(name)
        overlapped = test["coverage"]["overlapped"]
        assert test["verdict"] == ("passed" if overlapped else "not checked")
        assert (test["coverage"]["interpreters"], test["coverage"]["rounds"]) == (2, 3)

    @pytest.mark.parametrize(
        ("name", "headline"),
        [
            ("test_leak", "passes in the first interpreter and fails in a later one (2 of 2): AssertionError: "),
            ("test_together", "3 of 3 rounds in 2 interpreters at once: AssertionError: "),
            ("test_crash", "SIGSEGV in round 1 of 2 interpreters"),
            ("test_exit", "the process ended with status 3 in round 1 of 2 interpreters"),
            ("test_hangs", "round 1 of 2 interpreters was not over after 15 s"),
            ("test_main_only", "fails in every one of 2 interpreters, each alone: ValueError: signal only works in"),
        ],
    )
    def test_what_is_said(self, run, name, headline):
        assert run.finding(name)["headline"].startswith(headline)

    def test_what_fails_in_this_interpreter_too_is_shown_as_pytest_does(self, run):
        assert "assert 1 == 2" in run.text("test_fails_anyway")
        assert "interpreter" not in run.text("test_fails_anyway")

    def test_what_is_shared_is_named(self, run):
        found = run.finding("test_leak")
        assert "hits of leaky (written by the test)" in found["detail"]
        assert "hits of leaky shared and written" in " ".join(found["coverage"]["watched"])
        assert "hits of leaky" in run.text("test_leak")

    def test_such_a_failure_is_not_classified(self, run):
        assert run.finding("test_leak")["reliance"] is None

    def test_the_run_goes_on(self, run):
        assert run.status == 1
        assert {one["test"].partition("::")[0] for one in run.record["run"]["tests"]} >= {"test_it.py", "test_refused.py"}
        assert run.test("test_autouse")["verdict"] == "not checked"


class TestNotThere:
    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("test_fixture", "uses the fixture mine, made in this interpreter"),
            ("test_capsys", "uses the fixture capsys, made in this interpreter"),
            ("test_request", "uses the fixture request, made in this interpreter"),
            ("test_used", "uses the fixture mine, made in this interpreter"),
            ("test_autouse", "uses the fixture always, made in this interpreter"),
            ("test_pickle[f]", "parameter a (PicklingError: "),
            ("TestB::test_method", "TestB has setup and teardown methods"),
            ("TestC::test_case", "a unittest.TestCase cannot be run in other interpreters"),
            ("test_two", "shares_the_gil does not support loading in subinterpreters"),
        ],
    )
    def test_runs_here_and_says_why(self, run, name, reason):
        test = run.test(name)
        assert test["verdict"] == "not checked"
        assert test["reason"].startswith(reason)

    def test_a_refusal_is_named_whatever_the_test_makes_of_it(self, run):
        test = run.test("test_old")
        assert (test["verdict"], test["reason"]) == ("not checked", "old does not support loading in subinterpreters")

    def test_a_fixture_that_is_given_indirectly(self, run):
        assert run.test("test_indirect[3]")["reason"].startswith("uses the fixture mine")


class TestOptions:
    def test_on_the_command_line(self, mini):
        found = mini({"test_a.py": "def test_a(): sum(range(1000))"}, "--ftcheck", "--ftcheck-interpreters=2",
                     "--ftcheck-rounds=2")  # fmt: skip
        assert found.test("test_a")["coverage"]["interpreters"] == 2
        found.lines.fnmatch_lines(["ftcheck: 2 interpreters, up to 2 rounds per test*"])

    def test_isolated_whatever_the_run_is(self, mini):
        """A plain pytest, in whose own process the test is collected: it survives."""
        text = "import os, pytest\n@pytest.mark.ftcheck(interpreters=2)\ndef test_a(): os._exit(3)\ndef test_b(): pass"
        found = mini({"test_a.py": text})
        assert found.status == 1
        assert found.verdict("test_a") == "crash"
        found.lines.fnmatch_lines(["*1 failed, 1 passed*"])

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ("interpreters=1", "interpreters must be a whole number from 2 to 64, not 1"),
            ("interpreters=65", "interpreters must be a whole number from 2 to 64"),
            ("interpreters='x'", "interpreters must be a whole number"),
            ("interpreters=2, explore=True", "interpreters contradicts explore"),
            ("interpreters=2, threads=4", "interpreters contradicts threads"),
            ("interpreters=2, noise=0.1, share=True", "interpreters contradicts share, noise"),
        ],
    )
    def test_wrong(self, mini, options, says):
        found = mini({"test_a.py": f"import pytest\n@pytest.mark.ftcheck({options})\ndef test_a(): pass"}, "--ftcheck")
        assert found.status == 4
        assert says in found.out + found.err

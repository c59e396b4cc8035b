"""Every kind of test that pytest collects has one verdict, with set-ups and teardowns as often as they belong to it."""

import collections

import pytest

CONFTEST = """
import functools, os
import pytest

def said(what):
    with open("said.txt", "a") as file:
        file.write(f"{what}\\n")

class OwnFunction(pytest.Function):
    '''A plugin's own kind of test function.'''
    def runtest(self):
        said("own runtest")
        super().runtest()

class Line(pytest.Item):
    def __init__(self, *, text, **kwargs):
        super().__init__(**kwargs)
        self.text = text

    def runtest(self):
        said(f"line {self.name}")
        assert self.text == "good"

class Lines(pytest.File):
    def collect(self):
        for number, text in enumerate(self.path.read_text().split()):
            yield Line.from_parent(self, name=f"line {number}", text=text)

def pytest_collect_file(file_path, parent):
    return Lines.from_parent(parent, path=file_path) if file_path.suffix == ".lines" else None

def pytest_pycollect_makeitem(collector, name, obj):
    if name.startswith("own_test"):
        return OwnFunction.from_parent(collector, name=name)
"""
XUNIT = """
import threading, unittest
from conftest import said
from meeting import meet

def setup_module(): said("setup_module")
def teardown_module(): said("teardown_module")
def setup_function(function): said(f"setup_function {function.__name__}")
def teardown_function(function): said(f"teardown_function {function.__name__}")

def test_function(): meet()

class TestMethods:
    @classmethod
    def setup_class(cls): said("setup_class")
    @classmethod
    def teardown_class(cls): said("teardown_class")

    def setup_method(self, method):
        said(f"setup_method {method.__name__}")
        assert not hasattr(self, "mine")
        self.mine = threading.get_ident()

    def teardown_method(self, method):
        said(f"teardown_method {method.__name__}")
        assert self.mine == threading.get_ident()

    def test_method(self):
        meet("method")
        assert self.mine == threading.get_ident()

    @staticmethod
    def test_static(): meet("static")

    @classmethod
    def test_of_class(cls): meet("class")

class TestOuter:
    class TestInner:
        def test_nested(self): meet("nested")

class TestSetupFails:
    def setup_method(self): raise KeyError("in setup_method")
    def test_never_runs(self): said("never")
"""
UNITTEST = """
import threading, unittest
from conftest import said
from meeting import meet

def setUpModule(): said("setUpModule")
def tearDownModule(): said("tearDownModule")

class TestBase(unittest.TestCase):
    @classmethod
    def setUpClass(cls): said("setUpClass")
    @classmethod
    def tearDownClass(cls): said("tearDownClass")

    def setUp(self):
        said(f"setUp {self._testMethodName}")
        self.addCleanup(said, f"cleanup {self._testMethodName}")
        self.mine = [threading.get_ident()]

    def tearDown(self):
        said(f"tearDown {self._testMethodName}")
        self.assertEqual(self.mine, [threading.get_ident()])

    def test_unit(self): meet("unit")

    def test_unit_fails(self):
        meet("unit fails")
        self.fail("in each thread")

    @unittest.skip("not today")
    def test_unit_skipped(self): said("never")

    @unittest.skipIf(True, "not here")
    def test_unit_skipped_if(self): said("never")

    @unittest.expectedFailure
    def test_unit_expected(self):
        meet("unit expected")
        self.fail("expected")

class TestSetUpFails(unittest.TestCase):
    def setUp(self): raise KeyError("in setUp")
    def test_unit_never_runs(self): said("never")

class TestTearDownFails(unittest.TestCase):
    def tearDown(self): raise KeyError("in tearDown")
    def test_unit_tear_down_fails(self): meet("tear down fails")

class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self): said("asyncSetUp")
    async def asyncTearDown(self): said("asyncTearDown")
    async def test_async(self): meet("async")
"""
PLAIN = """
import functools, warnings
import pytest
from hypothesis import given, settings, strategies
from conftest import said
from meeting import meet

def add(a, b):
    '''
    >>> add(1, 2)
    3
    '''
    return a + b

def wrong():
    '''
    >>> add(1, 1)
    3
    '''

@pytest.mark.xfail(run=False, reason="kills the machine")
def test_not_run(): said("never")

@pytest.mark.xfail(True, reason="known")
def test_conditional_xfail():
    meet()
    raise KeyError("known")

@pytest.mark.xfail(False, reason="elsewhere")
def test_xfail_elsewhere(): meet()

@pytest.mark.xfail(strict=False)
def test_passes_unexpectedly(): meet()

@pytest.mark.xfail(raises=ZeroDivisionError, strict=True)
def test_strict_and_raises():
    meet()
    1 / 0

@pytest.mark.skipif("sys.version_info >= (3,)", reason="old")
def test_skipif_string(): said("never")

@pytest.mark.skipif("config.getoption('verbose') > 50", reason="loud")
def test_skipif_of_config(): meet()

@pytest.mark.parametrize("a", [1, 2])
@pytest.mark.parametrize("b", ["x", pytest.param("y", marks=pytest.mark.skip), pytest.param("z", marks=pytest.mark.xfail)])
def test_stacked(a, b):
    meet(f"stacked {a} {b}")
    assert b != "z"

@pytest.fixture
def doubled(request): return request.param * 2

@pytest.mark.parametrize(("doubled", "plain"), [(2, 4), (3, 7)], indirect=["doubled"])
def test_indirect(doubled, plain):
    meet(f"indirect {plain}")
    assert doubled == plain

def test_returns_a_value():
    meet()
    return 3

def own_test_kind(): meet()
def own_test_kind_fails(): meet(); raise KeyError("in an item of another class")

def decorated(function):
    @functools.wraps(function)
    def inner(*args): return function(*args)
    return inner

@decorated
def test_decorated(): meet()

class TestCallable:
    def __init__(self): raise AssertionError("classes with __init__ are not collected")
    def test_never(self): said("never")

@given(strategies.integers())
@settings(max_examples=3, database=None, deadline=None)
def test_given(number): said("example")

@pytest.mark.usefixtures("tmp_path")
def test_uses_fixtures(): meet()
"""
OTHER_FLAG = (
    "import pytest\nFLAG = {}\n@pytest.mark.skipif('FLAG')\ndef test_flag():\n    from meeting import meet\n    meet()\n"
)
TEXT = """
>>> 1 + 1
2
"""
FILES = {
    "conftest.py": CONFTEST,
    "test_xunit.py": XUNIT,
    "test_unit.py": UNITTEST,
    "test_plain.py": PLAIN,
    "test_flag_a.py": OTHER_FLAG.format(True),
    "test_flag_b.py": OTHER_FLAG.format(False),
    "test_text.txt": TEXT,
    "test_wrong.txt": TEXT.replace("2\n", "3\n"),
    "some.lines": "good bad good",
}
THREADS, ROUNDS = 2, 3
VERDICTS = {
    "test_xunit.py::test_function": "passed",
    "test_xunit.py::TestMethods::test_method": "passed",
    "test_xunit.py::TestMethods::test_static": "passed",
    "test_xunit.py::TestMethods::test_of_class": "passed",
    "test_xunit.py::TestOuter::TestInner::test_nested": "passed",
    "test_xunit.py::TestSetupFails::test_never_runs": "error",
    "test_unit.py::TestBase::test_unit": "passed",
    "test_unit.py::TestBase::test_unit_fails": "failure",
    "test_unit.py::TestBase::test_unit_skipped": "skipped",
    "test_unit.py::TestBase::test_unit_skipped_if": "skipped",
    "test_unit.py::TestBase::test_unit_expected": "expected failure",
    "test_unit.py::TestSetUpFails::test_unit_never_runs": "failure",  # unittest runs setUp as a part of the test
    "test_unit.py::TestTearDownFails::test_unit_tear_down_fails": "failure",
    "test_unit.py::TestAsync::test_async": "passed",
    "test_plain.py::test_plain.add": "not checked",
    "test_plain.py::test_plain.wrong": "failure",
    "test_plain.py::test_not_run": "expected failure",
    "test_plain.py::test_conditional_xfail": "expected failure",
    "test_plain.py::test_xfail_elsewhere": "passed",
    "test_plain.py::test_passes_unexpectedly": "passed",
    "test_plain.py::test_strict_and_raises": "expected failure",
    "test_plain.py::test_skipif_string": "skipped",
    "test_plain.py::test_skipif_of_config": "passed",
    "test_plain.py::test_stacked[x-1]": "passed",
    "test_plain.py::test_stacked[x-2]": "passed",
    "test_plain.py::test_stacked[y-1]": "skipped",
    "test_plain.py::test_stacked[y-2]": "skipped",
    "test_plain.py::test_stacked[z-1]": "expected failure",
    "test_plain.py::test_stacked[z-2]": "expected failure",
    "test_plain.py::test_indirect[2-4]": "passed",
    "test_plain.py::test_indirect[3-7]": "failure",
    "test_plain.py::test_returns_a_value": "passed",
    "test_plain.py::own_test_kind": "passed",
    "test_plain.py::own_test_kind_fails": "failure",
    "test_plain.py::test_decorated": "passed",
    "test_plain.py::test_given": "passed",
    "test_plain.py::test_uses_fixtures": "passed",
    "test_flag_a.py::test_flag": "skipped",
    "test_flag_b.py::test_flag": "passed",
    "test_text.txt::test_text.txt": "not checked",
    "test_wrong.txt::test_wrong.txt": "failure",
    "some.lines::line 0": "not checked",
    "some.lines::line 1": "failure",
    "some.lines::line 2": "not checked",
}
SAID = {
    "setup_module": 1,
    "teardown_module": 1,
    "setup_class": 1,
    "teardown_class": 1,
    "setUpModule": 1,
    "tearDownModule": 1,
    "setUpClass": 1,
    "tearDownClass": 1,
    "line line 0": 1,
    "line line 1": 1,
    "never": 0,
}


@pytest.fixture(scope="module")
def run(mini):
    """One run of them all."""
    given = ("-p", "hypothesispytest", "--doctest-modules", "--doctest-glob=*.txt")
    limits = (f"--ftcheck-threads={THREADS}", f"--ftcheck-rounds={ROUNDS}", "--ftcheck-timeout=120")
    return mini(FILES, *given, "--ftcheck", *limits)


@pytest.fixture(scope="module")
def said(run):
    """How often each thing was said."""
    return collections.Counter((run.folder / "said.txt").read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("name", VERDICTS)
def test_verdict(run, name):
    """The verdict of each kind of test."""
    assert run.verdict(name) == VERDICTS[name], run.reports(name)


def test_one_verdict_for_each(run):
    """No node id is missing, none is there twice, neither in the account nor in JUnit nor in pytest's counts."""
    assert sorted(test["test"] for test in run.record["run"]["tests"]) == sorted(VERDICTS)
    assert len(list(run.junit.iter("testcase"))) == len(VERDICTS) == int(run.junit.get("tests"))
    assert run.status == 1


@pytest.mark.parametrize("what", SAID)
def test_once(said, what):
    """What belongs to a class, a module or a test that runs alone happens once; what is skipped, never."""
    assert said[what] == SAID[what]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("setup_function test_function", "teardown_function test_function"),
        ("setup_method test_method", "teardown_method test_method"),
    ],
)
def test_for_each_copy(said, before, after):
    """pytest's own set-up, and one of each thread in each round; each is undone."""
    assert said[before] == said[after] == THREADS * ROUNDS + 1


@pytest.mark.parametrize("name", ["test_unit", "test_unit_fails"])
def test_unittest_set_up(said, name):
    """unittest's set-up is a part of the test, so there are as many as there are runs of the body."""
    assert said[f"setUp {name}"] == said[f"tearDown {name}"] == said[f"cleanup {name}"] == THREADS * ROUNDS


def test_other_kinds_ran_in_threads(said):
    """An item class of a plugin's own, an asynchronous test case, examples of Hypothesis."""
    assert said["own runtest"] == 2 * THREADS * ROUNDS
    assert said["asyncSetUp"] == said["asyncTearDown"] == THREADS * ROUNDS
    assert said["example"] == THREADS * ROUNDS * 3


def test_reasons(run):
    """Why the others ran alone."""
    assert run.test("some.lines::line 0")["reason"] == "items of type Line cannot be copied for each thread"
    assert run.test("test_text.txt")["reason"] == "items of type DoctestItem cannot be copied for each thread"

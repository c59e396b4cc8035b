"""Tests that are simple calls, and those that are not: both ways to make a copy of a test do the same."""

import pytest

CONFTEST = """
import os
import pytest
from ftcheck.plugin import clones

calls = []
made = []

def _count(real):
    def counted(self, *args, **kwargs):
        made.append(1)
        real(self, *args, **kwargs)
    return counted

clones.Clone.__init__ = _count(clones.Clone.__init__)

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    calls.clear()
    made.clear()
    result = yield
    with open(f"{item.name}.calls", "w") as file:
        file.write(" ".join(calls))
    with open(f"{item.name}.clones", "w") as file:
        file.write(str(len(made)))
    return result

@pytest.fixture(scope="session")
def wide():
    return "wide"

@pytest.fixture
def logged(wide):
    calls.append("logged")
    yield [wide]
    calls.append("/logged")

@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("module")

@pytest.fixture
def replaced():
    return "conftest"
"""

BLOCKED = """
def pytest_fixture_setup(fixturedef, request):
    '''A plugin that takes part in the set-up of fixtures: nothing is a simple call any more.'''
"""

SUITE = """
import contextlib
import itertools
import os
import threading

import pytest

from conftest import calls

pytestmark = pytest.mark.ftcheck(explore=True, threads=2, schedules=12)

class Box:
    def __init__(self, value=0):
        self.value = value

@pytest.fixture
def box():
    calls.append("box")
    return Box()

@pytest.fixture
def second(logged, box):
    calls.append("second")
    assert logged == ["wide"]
    yield box
    calls.append(f"/second{box.value}")

@pytest.fixture
def optional(box, by_default=Box):
    return box, by_default

@pytest.fixture(params=["one", "two"])
def with_params():
    calls.append("with_params")

def times():
    '''Counts the times that a fixture is set up.'''
    return itertools.count(1)

# --- nothing goes wrong -----------------------------------------------------------------------------------------------

def test_order(second, wide, box, logged):
    calls.append("body")
    assert (second, wide, logged) == (box, "wide", ["wide"])
    box.value += 1

def test_twice_by_two_ways(box, optional):
    assert optional == (box, Box)
    box.value += 1
    assert box.value == 1

@pytest.mark.usefixtures("logged")
def test_not_an_argument(box):
    calls.append("body")

@pytest.mark.parametrize("number", [1, 2])
def test_parametrized(box, number):
    calls.append(f"body{number}")

def test_fixture_with_params(with_params):
    calls.append("body")

def test_of_wider_scope(folder, box):
    calls.append(str(folder.is_dir()))

@pytest.fixture
def left():
    with contextlib.ExitStack() as stack:
        stack.callback(calls.append, "left")
        yield stack

def test_calls_that_are_left_to_the_teardown(left):
    left.callback(calls.append, "added by the body")

class TestMethods:
    @pytest.fixture(autouse=True)
    def first(self):
        assert not vars(self)
        self.number = 1
        calls.append("first")
        yield
        calls.append(f"/first{self.number}")

    @pytest.fixture
    def same(self, box):
        return self

    @staticmethod
    @pytest.fixture
    def static():
        return "static"

    def test_method(self, same, static):
        calls.append("body")
        assert (same, static) == (self, "static")
        self.number += 1

    def test_other(self, logged):
        self.number += 1

# --- something does ---------------------------------------------------------------------------------------------------

set_up, unset, skipped, expected, yields, outcomes = times(), times(), times(), times(), times(), times()

@pytest.fixture
def breaks():
    if next(set_up) > 3:
        raise OSError("in set-up")
    yield
    calls.append("/breaks")

def test_set_up_breaks(logged, breaks):
    pass

@pytest.fixture
def cannot_end(logged):
    yield
    if next(unset) > 3:
        raise OSError("in teardown")

@pytest.fixture
def cannot_end_either(cannot_end):
    yield
    if next(unset) > 3:
        raise KeyError("in teardown")

def test_teardown_breaks(cannot_end):
    pass

def test_both_teardowns_break(cannot_end_either, box):
    pass

@pytest.fixture
def skips(logged):
    if next(skipped) > 3:
        pytest.skip("enough")

def test_fixture_skips(skips):
    pass

@pytest.fixture
def expects(logged):
    if next(expected) > 3:
        pytest.xfail("enough")

def test_fixture_expects_failure(expects):
    pass

@pytest.fixture
def no_yield(logged):
    if next(yields) < 4:
        yield

def test_no_yield(no_yield):
    pass

@pytest.fixture
def two_yields(logged):
    yield
    if next(outcomes) > 3:
        yield

def test_two_yields(two_yields):
    pass

def test_returns_something(box):
    return 1

def test_fails(logged, box):
    value = box.value
    box.value = value + 1
    calls.append("body")
    if len(calls) > 12:
        raise ValueError("enough")
"""

UNUSUAL = """
import pytest
from conftest import calls

pytestmark = pytest.mark.ftcheck(explore=True, threads=2, schedules=3)

@pytest.fixture
def asks(request):
    return request.node.name

@pytest.fixture
def asks_in_turn(asks):
    return asks

@pytest.fixture
def replaced(replaced):
    return [replaced]

@pytest.fixture
def changeable(request):
    return request.param

def test_request(request): pass
def test_asks(asks_in_turn): assert asks_in_turn == "test_asks"
def test_replaces(replaced): assert replaced == ["conftest"]
def test_folder(tmp_path): assert not list(tmp_path.iterdir())
def test_factory(tmp_path_factory): pass
def test_position(thread_index): pass

@pytest.mark.ftcheck(share=["logged"])
def test_shared(logged): pass

@pytest.mark.parametrize("changeable", [1], indirect=True)
def test_indirect(changeable): assert changeable == 1

@pytest.mark.parametrize("parameter", [[]])
def test_parameter_that_is_copied(parameter):
    parameter.append(1)
    assert parameter == [1]

class TestOld:
    def setup_method(self):
        self.value = []

    def test_old(self):
        self.value.append(1)
        assert self.value == [1]
"""

HOLD = (
    "test_order",
    "test_twice_by_two_ways",
    "test_not_an_argument",
    "test_parametrized[1]",
    "test_parametrized[2]",
    "test_fixture_with_params[one]",
    "test_of_wider_scope",
    "test_calls_that_are_left_to_the_teardown",
    "test_method",
    "test_other",
    "test_returns_something",
)
BREAK = {
    "test_set_up_breaks": "error",
    "test_teardown_breaks": "error",
    "test_both_teardowns_break": "error",
    "test_fixture_skips": "skipped",
    "test_fixture_expects_failure": "expected failure",
    "test_no_yield": "error",
    "test_two_yields": "failure",
    "test_fails": "failure",
}


@pytest.fixture(scope="module")
def calling(mini):
    """The tests as they are."""
    return mini({"conftest.py": CONFTEST, "test_suite.py": SUITE, "test_unusual.py": UNUSUAL}, "--ftcheck-seed=7")


@pytest.fixture(scope="module")
def cloning(mini):
    """The same, where a plugin is in the way."""
    return mini({"conftest.py": CONFTEST + BLOCKED, "test_suite.py": SUITE}, "--ftcheck-seed=7")


def account(run, name):
    """Everything about one test that is to be the same."""
    full = next(test["test"] for test in run.record["run"]["tests"] if test["test"].endswith(f"::{name}"))
    findings = [
        (one["verdict"], one["headline"], [(group["kind"], group["phase"], group["count"]) for group in one["groups"]])
        for one in run.test(full)["findings"]
    ]
    return run.verdict(full), run.outcomes(full), findings, (run.folder / f"{name}.calls").read_text().split()


def clones(run, name):
    return int((run.folder / f"{name}.clones").read_text())


@pytest.mark.parametrize("name", [*HOLD, *BREAK])
def test_calls_and_clones_do_the_same(calling, cloning, name):
    """In the same order, with the same outcome."""
    assert clones(calling, name) == 0 < clones(cloning, name)
    assert account(calling, name) == account(cloning, name)
    assert account(calling, name)[0] == BREAK.get(name, "passed")


def test_the_suite_is_no_empty_one(calling):
    calls = account(calling, "test_order")[3]
    by_pytest, ours = ["logged", "box", "second", "/second0", "/logged"], ["logged", "box", "second", "body"]
    assert calls[: len(by_pytest + ours)] == by_pytest + ours
    assert calls.count("body") == calls.count("/second1") > 2
    assert "/first2" in account(calling, "test_method")[3]
    assert account(calling, "test_teardown_breaks")[2][0][2] == [("OSError", "teardown", 1)]


def test_what_a_test_returns_is_said(calling, cloning):
    """pytest's own warning."""
    for run in (calling, cloning):
        run.lines.fnmatch_lines(["*Test functions should return None, but test_suite.py::test_returns_something returned*"])


@pytest.mark.parametrize(
    "name",
    [
        "test_request",
        "test_asks",
        "test_replaces",
        "test_folder",
        "test_factory",
        "test_position",
        "test_shared",
        "test_indirect[1]",
        "test_parameter_that_is_copied[parameter0]",
        "test_old",
    ],
)
def test_what_is_no_simple_call(calling, name):
    assert clones(calling, name) > 0
    assert account(calling, name)[0] == "passed"

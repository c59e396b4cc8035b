"""Coroutine tests: one event loop for each thread, or run alone with the reason; never green without having run."""

import pytest

ASYNCIO = """
import asyncio, threading, unittest
import pytest, pytest_asyncio
from hypothesis import given, settings, strategies
from meeting import meet

@pytest.fixture(autouse=True)
def once():
    '''So a body is called exactly once per thread and round.'''

loops, torn_down, examples = [], [], []

@pytest.mark.asyncio
async def test_overlaps():
    meet()
    await asyncio.sleep(0)
    loops.append(asyncio.get_running_loop())

def test_each_had_a_loop_of_its_own(monkeypatch):
    assert len(loops) == len(set(loops)) == 2 * 3

@pytest.mark.asyncio
async def test_fails_in_one():
    number = meet()
    await asyncio.sleep(0)
    assert number == 1

@pytest_asyncio.fixture
async def box():
    await asyncio.sleep(0)
    place = asyncio.get_running_loop(), threading.get_ident()
    yield place
    await asyncio.sleep(0)
    torn_down.append(place == (asyncio.get_running_loop(), threading.get_ident()))

@pytest.mark.asyncio
async def test_coroutine_fixture(box):
    meet()
    assert box == (asyncio.get_running_loop(), threading.get_ident())

def test_coroutine_fixture_of_a_function(box):
    meet()
    assert box[1] == threading.get_ident()

def test_coroutine_fixtures_were_torn_down(monkeypatch):
    assert torn_down == [True] * (2 * (2 * 3 + 1))  # of two tests: each copy's, and pytest's own

class TestMethods:
    @pytest.mark.asyncio
    async def test_instance_of_its_own(self, box):
        assert not hasattr(self, "seen")
        self.seen = True
        meet("method")

@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def wide():
    yield asyncio.get_running_loop()

@pytest.mark.asyncio
async def test_wider_fixture(wide):
    meet()
    assert wide is not asyncio.get_running_loop()

@pytest.mark.asyncio(loop_scope="module")
async def test_shared_loop(wide):
    assert wide is asyncio.get_running_loop()

@pytest.mark.asyncio(loop_scope="module")
async def test_shared_loop_fails(wide):
    assert wide is None

@pytest.mark.asyncio(loop_scope="class")
class TestClassLoop:
    async def test_in_class(self): pass

@pytest_asyncio.fixture(loop_scope="module")
async def in_shared_loop(): return asyncio.get_running_loop()

@pytest.mark.asyncio
async def test_fixture_in_shared_loop(in_shared_loop): pass

@pytest.mark.asyncio
@settings(max_examples=3, database=None)
@given(strategies.integers())
async def test_given(number): examples.append(number)

@pytest.mark.asyncio
@settings(max_examples=3, database=None)
@given(strategies.integers())
async def test_given_fails(number): assert number is None

def test_given_has_run(monkeypatch): assert examples

class TestIsolated(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self): self.loop = asyncio.get_running_loop()

    async def test_loop_of_its_own(self):
        meet("isolated")
        self.assertIs(self.loop, asyncio.get_running_loop())

    async def test_isolated_fails_in_one(self):
        self.assertEqual(meet("isolated fails"), 1)
"""
UNMARKED = """
import asyncio
import pytest
from meeting import meet

@pytest.fixture
async def box(): return asyncio.get_running_loop()

async def test_unmarked(box):
    meet()
    assert box is asyncio.get_running_loop()
"""
ANYIO = """
import anyio, pytest

ran = []

@pytest.mark.anyio
async def test_anyio(anyio_backend_name):
    await anyio.sleep(0)
    ran.append(anyio_backend_name)

@pytest.mark.anyio
async def test_anyio_fails():
    await anyio.sleep(0)
    raise KeyError("in a coroutine")

@pytest.fixture
async def box(anyio_backend):
    await anyio.sleep(0)
    yield 3

@pytest.mark.anyio
async def test_fixture(box): assert box == 3

def test_fixture_of_a_function(box): assert box == 3

def test_both_have_run(monkeypatch): assert ran == ["asyncio", "trio"]
"""
TRIO = """
import pytest, trio
from meeting import meet

ran = []

@pytest.mark.trio
async def test_trio(nursery):
    async def body(): ran.append("in the nursery")
    nursery.start_soon(body)
    await trio.sleep(0)

@pytest.mark.trio
async def test_trio_fails():
    await trio.sleep(0)
    raise KeyError("in a coroutine")

def test_has_run(monkeypatch): assert ran == ["in the nursery"]

def test_no_coroutine(): meet()
"""
NOBODY = """
async def test_nobody_runs_it(): assert False

async def test_nobody_runs_this_either(): pass

async def test_nor_this():
    yield
"""
STRANGER = """
import asyncio, inspect
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if inspect.iscoroutinefunction(pyfuncitem.obj):
        asyncio.run(pyfuncitem.obj())
        return True
"""
STRANGE = """
import threading
from meeting import meet

async def test_run_by_a_stranger(): assert threading.current_thread() is threading.main_thread()
async def test_fails_by_a_stranger(): raise KeyError("in a coroutine")
def test_no_coroutine(): meet()
"""
ARGUMENTS = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=3", "--ftcheck-timeout=120", "--ftcheck-classify=0")


@pytest.fixture(scope="module")
def asyncio_strict(mini):
    """pytest-asyncio's default mode."""
    return mini({"test_async.py": ASYNCIO}, "-p", "asyncio", *ARGUMENTS)


@pytest.fixture(scope="module")
def trios(mini):
    """anyio's plugin and pytest-trio's."""
    return mini({"test_anyio.py": ANYIO, "test_trio.py": TRIO}, "-p", "anyio", "-p", "trio", *ARGUMENTS)


@pytest.fixture(scope="module")
def strangers(mini):
    """No plugin for coroutines in one folder, an unknown one in the other."""
    files = {"nobody/test_nobody.py": NOBODY, "strange/conftest.py": STRANGER, "strange/test_strange.py": STRANGE}
    return mini(files, *ARGUMENTS)


@pytest.mark.parametrize(
    "name",
    [
        "test_overlaps",
        "test_coroutine_fixture",
        "test_coroutine_fixture_of_a_function",
        "TestMethods::test_instance_of_its_own",
        "test_wider_fixture",
        "TestIsolated::test_loop_of_its_own",
    ],
)
def test_a_loop_for_each_thread(asyncio_strict, name):
    """A function-scoped loop is one for each thread; their bodies wait for each other, so they ran at the same time."""
    assert asyncio_strict.verdict(name) == "passed", asyncio_strict.text(name)
    assert asyncio_strict.test(name)["coverage"]["overlapped"] == 3


@pytest.mark.parametrize("name", ["test_fails_in_one", "TestIsolated::test_isolated_fails_in_one"])
def test_failure_in_a_coroutine(asyncio_strict, name):
    """A failing coroutine is a failure, with the threads counted."""
    group = asyncio_strict.groups(name)["AssertionError"]
    assert (group["count"], len(group["rounds"])) == (3, 3)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("test_shared_loop", "its event loop is shared (pytest-asyncio, loop_scope='module')"),
        ("TestClassLoop::test_in_class", "its event loop is shared (pytest-asyncio, loop_scope='class')"),
        (
            "test_fixture_in_shared_loop",
            "the event loop of its fixture in_shared_loop is shared (pytest-asyncio, loop_scope='module')",
        ),
        ("test_given", "pytest-asyncio exchanges the body of a @given test, and there is one for all threads"),
    ],
)
def test_shared_loop_runs_alone(asyncio_strict, name, reason):
    """What threads would share is run by one thread, and the reason is said."""
    assert asyncio_strict.verdict(name) == "not checked", asyncio_strict.text(name)
    assert asyncio_strict.test(name)["reason"] == reason


@pytest.mark.parametrize("name", ["test_shared_loop_fails", "test_given_fails"])
def test_failure_alone(asyncio_strict, name):
    """Run alone it still has to pass."""
    assert asyncio_strict.verdict(name) == "failure"


@pytest.mark.parametrize(
    "name", ["test_each_had_a_loop_of_its_own", "test_coroutine_fixtures_were_torn_down", "test_given_has_run"]
)
def test_bodies_were_awaited(asyncio_strict, name):
    """What the bodies have left behind, as seen by tests that run alone after them."""
    assert asyncio_strict.verdict(name) == "not checked", asyncio_strict.text(name)


def test_auto_mode(mini):
    """Without markers; and the scopes of the ini file count."""
    files = {"test_auto.py": UNMARKED}
    auto = mini(files, "-p", "asyncio", "--asyncio-mode=auto", *ARGUMENTS)
    assert auto.verdict("test_unmarked") == "passed", auto
    wider = ("-o", "asyncio_default_test_loop_scope=session", "-o", "asyncio_default_fixture_loop_scope=session")
    alone = {"test_auto.py": UNMARKED.replace("meet()", "pass")}
    shared = mini(alone, "-p", "asyncio", "--asyncio-mode=auto", *wider, *ARGUMENTS)
    assert shared.verdict("test_unmarked") == "not checked", shared.text("test_unmarked")
    assert shared.test("test_unmarked")["reason"] == "its event loop is shared (pytest-asyncio, loop_scope='session')"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("name", ["test_anyio", "test_fixture", "test_fixture_of_a_function"])
def test_anyio(trios, name, backend):
    """anyio's plugin has one runner for the process, so each of its tests runs alone."""
    test = trios.test(f"{name}[{backend}]")
    assert (test["verdict"], test["reason"]) == ("not checked", "anyio has one event loop runner for all threads")


def test_trio(trios):
    """pytest-trio wraps the test and its fixtures before there are copies."""
    test = trios.test("test_trio")
    assert (test["verdict"], test["reason"]) == (
        "not checked",
        "pytest-trio prepares the test before there are copies of it",
    )


@pytest.mark.parametrize("name", ["test_anyio_fails[asyncio]", "test_anyio_fails[trio]", "test_trio_fails"])
def test_failure_in_another_loop(trios, name):
    """Run alone it still has to pass."""
    assert trios.verdict(name) == "failure"


def test_bodies_were_awaited_by_others(trios):
    """They ran, and once."""
    assert trios.verdict("test_both_have_run") == "not checked", trios.text("test_both_have_run")
    assert trios.verdict("test_has_run") == "not checked", trios.text("test_has_run")


def test_functions_beside_coroutines(trios, strangers):
    """A plugin for coroutines takes nothing from the other tests."""
    assert trios.verdict("test_trio.py::test_no_coroutine") == "passed"
    assert strangers.verdict("strange/test_strange.py::test_no_coroutine") == "passed"


@pytest.mark.parametrize("name", ["test_nobody_runs_it", "test_nobody_runs_this_either", "test_nor_this"])
def test_never_green_unrun(strangers, name):
    """A coroutine that nobody awaits fails, as in a plain run."""
    assert strangers.verdict(name) == "failure"
    assert "async def functions are not natively supported" in strangers.text(name)


def test_unknown_plugin(strangers):
    """Nobody knows whether its loop can be there several times."""
    test = strangers.test("test_run_by_a_stranger")
    assert test["verdict"] == "not checked", strangers.text("test_run_by_a_stranger")
    assert test["reason"] == "a coroutine, run by a plugin that is not known to have an event loop for each thread"
    assert strangers.verdict("test_fails_by_a_stranger") == "failure"

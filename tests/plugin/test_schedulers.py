"""xdist's other ways to distribute tests: a test that kills its worker does so once, and every test has its verdict."""

import pytest

from ftcheck.plugin.schedulers import ByFile, ByGroup, ByScope

BODY = """
import os
import pytest
from meeting import meet

class TestOne:
    def test_a(self): meet("a")
    def test_dies(self): os.abort()
    def test_b(self): meet("b")

@pytest.mark.xdist_group("g")
def test_g(): os._exit(0)
@pytest.mark.xdist_group("g")
def test_h(): meet("h")
def test_last_dies(monkeypatch): os.abort()
"""
ARGUMENTS = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=2", "--ftcheck-timeout=120", "--ftcheck-classify=0")
EXPECTED = {
    "test_a": "passed",
    "test_dies": "crash",
    "test_b": "passed",
    "test_g": "crash",
    "test_h": "passed",
    "test_last_dies": "crash",
}


@pytest.mark.parametrize("arguments", [("-n1", "--dist=loadfile"), ("-n2", "--dist=loadscope"), ("-n2", "--dist=loadgroup")])
def test_dies_once(mini, arguments):
    run = mini({"test_one.py": BODY, "test_two.py": BODY}, *ARGUMENTS, *arguments)
    assert run.status == 1
    names = [test.partition("@")[0] for test in run.verdicts()]
    assert len(names) == len(set(names)) == 12
    for test, verdict in run.verdicts().items():
        assert verdict == EXPECTED[test.partition("@")[0].rpartition("::")[2]], test
    assert len(list(run.junit.iter("testcase"))) == 12


# --- the scheduler alone ----------------------------------------------------------------------------------------------


class Config:
    class option:
        loadscopereorder = False

    def getvalue(self, name):
        return {"tx": ["popen"]}[name]

    def getoption(self, name):
        return self.getvalue(name)


class Node:
    """Notes what it is told."""

    def __init__(self):
        self.given, self.shutting_down = [], False

    def send_runtest_some(self, indices):
        self.given.extend(indices)

    def shutdown(self):
        self.shutting_down = True


class Log:
    def __call__(self, *words):
        pass

    def __getattr__(self, name):
        return self


TESTS = ["a.py::test_0", "a.py::test_1", "a.py::test_2"]


@pytest.fixture(params=[ByScope, ByFile, ByGroup])
def started(request):
    """A scheduler, and its only worker, which has been given the first tests at least."""
    scheduler, node = request.param(Config(), Log()), Node()
    add(scheduler, node)
    return scheduler, node


def add(scheduler, node):
    scheduler.add_node(node)
    scheduler.add_node_collection(node, TESTS)
    scheduler.schedule()


def given(*nodes):
    return sorted(TESTS[index] for node in nodes for index in node.given)


def test_the_one_that_ran_is_not_given_again(started):
    scheduler, node = started
    scheduler.mark_test_complete(node, 0)
    assert scheduler.remove_node(node) == TESTS[1]
    new = Node()
    add(scheduler, new)
    assert given(new) == TESTS[2:]
    assert new.shutting_down  # there is nothing more, so it need not wait for the test after


def test_unless_it_had_not_begun(started):
    scheduler, node = started
    crashed = scheduler.remove_node(node)
    assert crashed == TESTS[0]
    scheduler.mark_test_pending(crashed)
    new = Node()
    add(scheduler, new)
    for index in new.given:  # which grows
        scheduler.mark_test_complete(new, index)
    assert given(new) == TESTS
    assert scheduler.tests_finished
    assert scheduler.remove_node(new) is None


def test_the_last_one_had_not_begun(started):
    """Its scope is no longer in the queue."""
    scheduler, node = started
    for index in range(2):
        scheduler.mark_test_complete(node, index)
    crashed = scheduler.remove_node(node)
    assert not scheduler.workqueue
    scheduler.mark_test_pending(crashed)
    new = Node()
    add(scheduler, new)
    assert given(new) == TESTS[2:]


def test_a_worker_that_has_not_collected_is_given_nothing(started):
    scheduler, node = started
    young = Node()
    scheduler.add_node(young)
    scheduler.remove_node(node)
    assert young.given == []
    scheduler.add_node_collection(young, TESTS)
    scheduler.schedule()
    assert given(young) == TESTS[1:]

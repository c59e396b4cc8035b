"""Fixtures of function scope are each thread's own, those of wider scope are shared, and a bad teardown names its users."""

import pytest

CONFTEST = """
import threading
import pytest

@pytest.fixture
def box():
    return []

@pytest.fixture
def local():
    '''Set up on the thread that runs the body: a threading.local would not be seen there otherwise.'''
    place = threading.local()
    place.value = "set"
    return place

@pytest.fixture
def logged(request):
    with open(request.node.originalname + ".log", "a") as log:
        log.write("up\\n")
    yield
    with open(request.node.originalname + ".log", "a") as log:
        log.write("down\\n")

@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "made").mkdir()
    return tmp_path

@pytest.fixture(autouse=True)
def always():
    always.last = [] if not hasattr(always, "last") else always.last
    return []
"""

OWN = """
import threading
import pytest
from meeting import meet

def alone_in(values):
    '''Each thread puts something in; true if this one's list has only its own.'''
    meet(("start", threading.main_thread()))
    values.append(1)
    meet(("end", threading.main_thread()))
    return values == [1]

def test_own(box):
    assert alone_in(box)

@pytest.mark.ftcheck(share=["box"])
def test_shared_by_name(box):
    meet()
    box.append(1)
    meet()
    assert box == [1, 1]

@pytest.mark.ftcheck(share=["box"])
def test_shared_is_new_in_each_round(box, always):
    assert len(box) <= 1
    meet()
    box.append(1)
    meet()
    always.append(1)
    assert (box, always) == ([1, 1], [1])

@pytest.mark.ftcheck(share=True)
def test_shared_all(box, always):
    meet()
    box.append(1)
    always.append(1)
    meet()
    assert (box, always) == ([1, 1], [1, 1])

@pytest.mark.ftcheck(share=["box"])
def test_share_covers_other_fixtures_that_use_it(holder):
    meet()
    holder.append(1)
    meet()
    assert holder == [1, 1]

@pytest.fixture
def holder(box):
    return box

def test_autouse(always):
    assert alone_in(always)

def test_through_another_fixture(holder, box):
    assert holder is box
    assert alone_in(holder)

def test_asked_for_at_run_time(request):
    values = request.getfixturevalue("box")
    assert request.getfixturevalue("box") is values
    assert alone_in(values)

@pytest.mark.usefixtures("box")
def test_usefixtures_asked_for_at_run_time(request):
    assert alone_in(request.getfixturevalue("box"))

@pytest.fixture(params=["one", "two"])
def parameter(request):
    return [request.param]

def test_parametrized_fixture(parameter, request):
    meet(request.node.name + " start")
    parameter.append(1)
    meet(request.node.name + " end")
    assert parameter == [request.node.callspec.params["parameter"], 1]

@pytest.fixture
def indirect(request):
    return [request.param]

@pytest.mark.parametrize("indirect", ["x"], indirect=True)
def test_indirect(indirect):
    meet()
    indirect.append(1)
    meet()
    assert indirect == ["x", 1]

def test_set_up_on_the_thread_of_the_body(local):
    meet()
    assert local.value == "set"

paths = []

def test_tmp_path(tmp_path):
    meet()
    (tmp_path / "new").open("x").close()
    paths.append(tmp_path)
    meet()
    assert len(set(paths)) == len(paths)

def test_tmp_path_through_another_fixture(workspace):
    meet()
    (workspace / "made" / "new").open("x").close()

def test_yield_fixture(logged):
    meet()

@pytest.mark.ftcheck(share=["logged"])
def test_shared_yield_fixture(logged):
    meet()

def test_yield_fixture_of_a_failing_body(logged):
    meet()
    raise KeyError("in the body")

@pytest.fixture
def finalized(request):
    name = request.node.originalname + ".log"
    def finalizer():
        with open(name, "a") as log:
            log.write("down\\n")
    request.addfinalizer(finalizer)
    with open(name, "a") as log:
        log.write("up\\n")

def test_finalizer(finalized):
    meet()

def test_finalizer_added_in_the_body(request):
    name = request.node.originalname + ".log"
    def finalizer():
        with open(name, "a") as log:
            log.write("down\\n")
    with open(name, "a") as log:
        log.write("up\\n")
    request.addfinalizer(finalizer)
    meet()

def test_node(request):
    meet()
    assert request.node.name == "test_node"
    assert request.node.nodeid.endswith("test_own.py::test_node")
    assert request.node.get_closest_marker("ftcheck") is None
    assert request.function.__name__ == "test_node"

class TestOverriding:
    @pytest.fixture
    def box(self, box):
        '''Same name, in a class: asks for the one it overrides.'''
        box.append("wrapped")
        return box

    def test_overridden(self, box):
        meet("overridden start")
        box.append(1)
        meet("overridden end")
        assert box == ["wrapped", 1]

    @pytest.mark.ftcheck(share=["box"])
    def test_overridden_and_shared(self, box):
        meet("shared start")
        box.append(1)
        meet("shared end")
        assert box == ["wrapped", 1, 1]

    @pytest.fixture
    def on_self(self):
        self.value = []

    def test_fixture_method_has_the_same_self(self, on_self):
        meet("self start")
        self.value.append(1)
        meet("self end")
        assert self.value == [1]
"""

WIDER = """
import pytest
from meeting import meet

made = []

def maker(scope):
    @pytest.fixture(scope=scope, name=f"of_{scope}")
    def fixture():
        made.append(scope)
        return [scope]
    return fixture

of_class, of_module, of_package, of_session = map(maker, ["class", "module", "package", "session"])
seen = {}

class TestWider:
    @pytest.mark.parametrize("scope", ["class", "module", "package", "session"])
    def test_shared(self, request, scope, of_class, of_module, of_package, of_session):
        value = request.getfixturevalue(f"of_{scope}")
        meet(f"start {scope}")
        seen.setdefault(scope, set()).add(id(value))
        meet(f"end {scope}")
        assert len(seen[scope]) == 1

    def test_set_up_once(self, of_class, of_module, of_package, of_session):
        meet()
        assert sorted(made) == ["class", "module", "package", "session"]

@pytest.fixture(scope="module")
def first_asked_for_in_a_body():
    made.append("late")
    return []

def test_wider_at_run_time(request):
    value = request.getfixturevalue("first_asked_for_in_a_body")
    meet("late start")
    seen.setdefault("late", set()).add(id(value))
    meet("late end")
    assert len(seen["late"]) == 1 and made.count("late") == 1
"""

BROKEN = """
import threading
import pytest
from meeting import meet

def in_main():
    return threading.current_thread() is threading.main_thread()

@pytest.fixture
def cannot_start():
    raise OSError("set-up fails everywhere")

@pytest.fixture
def cannot_start_in_a_thread():
    if not in_main():
        raise OSError("set-up fails")

turns = []

@pytest.fixture
def cannot_start_twice():
    '''The first of each two set-ups works.'''
    if not in_main():
        turns.append(1)
        if len(turns) % 2 == 0:
            raise OSError("set-up fails the second time")

@pytest.fixture
def cannot_end():
    yield
    if not in_main():
        raise OSError("teardown fails")

@pytest.fixture
def skips():
    if not in_main():
        pytest.skip("not in threads")

@pytest.fixture
def after():
    yield
    with open("after.log", "a") as log:
        log.write("down\\n")

@pytest.fixture
def cannot_end_in_main():
    yield
    if in_main():
        raise OSError("teardown fails")

def test_setup_in_pytest(cannot_start): pass
def test_setup(after, cannot_start_in_a_thread): pass
def test_setup_of_one(cannot_start_twice): pass
def test_teardown(after, cannot_end): meet()
def test_body_and_teardown(cannot_end):
    meet()
    raise KeyError("body fails")
def test_skipping_fixture(skips): pass
def test_teardown_in_pytest(cannot_end_in_main): meet()
def test_last(): meet()
"""

INVARIANTS = """
import pytest
from meeting import meet

@pytest.fixture(scope="module")
def module_total():
    yield
    assert "module total" == 0

@pytest.fixture(scope="class")
def class_total():
    yield
    assert "class total" == 0

@pytest.fixture(scope="session")
def session_total():
    yield
    assert "session total" == 0

def test_first_user(module_total): meet()
def test_not_a_user(): meet()
def test_second_user(module_total): meet()

class TestOne:
    def test_user_in_class(self, class_total): meet("class 1")
    def test_not_in_class(self): meet("class 2")

class TestTwo:
    def test_user_in_other_class(self, class_total, session_total): meet("class 3")

@pytest.fixture(scope="module")
def late_total():
    yield
    assert "late total" == 0

def test_late_user(request):
    request.getfixturevalue("late_total")
    meet()

@pytest.fixture
def by_another(module_total): pass

def test_user_by_another_fixture(by_another): meet()

def test_plain(): meet()
"""

PARAMETERS = """
import pytest
from meeting import meet

@pytest.fixture(scope="module", params=["good", "bad"])
def total(request):
    yield request.param
    assert request.param == "good"

def test_first(total): meet(total)
def test_second(total): meet(total)
"""

XUNIT = """
from meeting import meet

def teardown_module():
    raise OSError("the module's invariant")

class TestMethods:
    @classmethod
    def teardown_class(cls):
        raise OSError("the class's invariant")

    def test_in_class(self): meet("in class")

def test_one(): meet()
def test_two(): meet()
"""

UNITTEST = """
import unittest
from meeting import meet

class TestCase(unittest.TestCase):
    @classmethod
    def tearDownClass(cls):
        raise OSError("the case's invariant")

    def test_a(self): meet()
    def test_b(self): meet()

def test_outside(): meet()
"""

ARGUMENTS = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=3", "--ftcheck-timeout=120")


@pytest.fixture(scope="module")
def run(mini):
    """One run of all of them, in a worker."""
    files = {
        "conftest.py": CONFTEST,
        "test_own.py": OWN,
        "test_wider.py": WIDER,
        "test_broken.py": BROKEN,
        "test_invariants.py": INVARIANTS,
        "test_parameters.py": PARAMETERS,
        "test_xunit.py": XUNIT,
        "test_unittest.py": UNITTEST,
    }
    return mini(files, *ARGUMENTS)


@pytest.mark.parametrize(
    "name",
    [
        "test_own",
        "test_autouse",
        "test_through_another_fixture",
        "test_asked_for_at_run_time",
        "test_usefixtures_asked_for_at_run_time",
        "test_parametrized_fixture[one]",
        "test_parametrized_fixture[two]",
        "test_indirect[x]",
        "test_set_up_on_the_thread_of_the_body",
        "test_tmp_path",
        "test_tmp_path_through_another_fixture",
        "test_node",
        "TestOverriding::test_overridden",
        "TestOverriding::test_fixture_method_has_the_same_self",
    ],
)
def test_each_thread_has_its_own(run, name):
    """The bodies assert it themselves: what one thread does to a function-scoped fixture, no other one sees."""
    assert run.verdict(name) == "passed", run.text(name)


@pytest.mark.parametrize(
    "name",
    [
        "test_shared_by_name",
        "test_shared_is_new_in_each_round",
        "test_shared_all",
        "test_share_covers_other_fixtures_that_use_it",
        "TestOverriding::test_overridden_and_shared",
    ],
)
def test_shared_where_asked(run, name):
    """With ``share`` the threads of a round have one object, and the next round has another one."""
    assert run.verdict(name) == "passed", run.text(name)


@pytest.mark.parametrize(
    "name",
    [*(f"TestWider::test_shared[{scope}]" for scope in ("class", "module", "package", "session")),
     "TestWider::test_set_up_once", "test_wider_at_run_time"],
)  # fmt: skip
def test_wider_scopes_are_shared(run, name):
    """As pytest says: one value for the whole class, module, package, session."""
    assert run.verdict(name) == "passed", run.text(name)


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("test_yield_fixture", 6 + 1),  # 2 threads, 3 rounds; and once by pytest itself, before the rounds
        ("test_shared_yield_fixture", 3 + 1),
        ("test_yield_fixture_of_a_failing_body", 6 + 1),
        ("test_finalizer", 6 + 1),
        ("test_finalizer_added_in_the_body", 6),
    ],
)
def test_everything_is_torn_down(run, name, times):
    """What was set up, for each thread and round, is torn down: before the next round sets it up again."""
    log = (run.folder / f"{name}.log").read_text().split()
    assert log.count("up") == log.count("down") == times
    standing = 0
    for line in log:
        standing += 1 if line == "up" else -1
        assert 0 <= standing <= 2


def test_failing_body_with_a_yield_fixture(run):
    assert list(run.groups("test_yield_fixture_of_a_failing_body")) == ["KeyError"]


def test_setup_failure_in_pytest_itself(run):
    """A fixture that never works fails before any thread starts, as in plain pytest."""
    assert run.verdict("test_setup_in_pytest") == "error"
    assert run.outcomes("test_setup_in_pytest") == {"setup": "failed", "teardown": "passed"}
    assert run.finding("test_setup_in_pytest")["phase"] == "setup"
    assert run.junit_outcome("test_setup_in_pytest") == ["error"]


@pytest.mark.parametrize(
    ("name", "phase", "count"),
    [("test_setup", "set-up", 6), ("test_setup_of_one", "set-up", 3), ("test_teardown", "teardown", 6)],
)
def test_setup_or_teardown_fails_in_threads(run, name, phase, count):
    """It is an error and not the test's own failure; the phase is named, and what was set up is torn down."""
    assert run.verdict(name) == "error"
    group = run.groups(name)["OSError"]
    assert (group["phase"], group["count"]) == (phase, count)
    assert phase in run.text(name)


def test_other_fixtures_are_torn_down(run):
    """A broken set-up or teardown of one fixture costs no other fixture its teardown: 6 in threads, 1 by pytest, twice."""
    assert (run.folder / "after.log").read_text().split() == ["down"] * 14


def test_body_and_teardown_fail(run):
    """Both are kept, and the failure of the body is the verdict."""
    groups = run.groups("test_body_and_teardown")
    assert run.verdict("test_body_and_teardown") == "failure"
    assert {kind: group["phase"] for kind, group in groups.items()} == {"KeyError": "body", "OSError": "teardown"}


def test_fixture_skips_in_threads(run):
    assert run.verdict("test_skipping_fixture") == "skipped"


def test_teardown_of_the_original_fails(run):
    """Even the fixture instance that no thread used: its failing teardown is not lost."""
    assert run.verdict("test_teardown_in_pytest") == "error"
    assert run.outcomes("test_teardown_in_pytest")["teardown"] == "failed"
    assert run.verdict("test_last") == "passed"


def accused(run, words):
    """The tests that a finding about a teardown names, and its phase."""
    found = {
        (tuple(name.rpartition("::")[2] for name in finding["tests"]), finding["phase"])
        for test in run.record["run"]["tests"]
        for finding in test["findings"]
        if words in finding["headline"]
    }
    assert len(found) == 1, found
    tests, phase = found.pop()
    return sorted(tests), phase


@pytest.mark.parametrize(
    ("words", "tests"),
    [
        ("module total", ["test_first_user", "test_second_user", "test_user_by_another_fixture"]),
        ("session total", ["test_user_in_other_class"]),
        ("late total", ["test_late_user"]),
        ("the module's invariant", ["test_in_class", "test_one", "test_two"]),
        ("the class's invariant", ["test_in_class"]),
        ("the case's invariant", ["test_a", "test_b"]),
    ],
)
def test_invariant_in_a_wider_teardown(run, words, tests):
    """A check of the whole run accuses all tests that used the fixture, and no other."""
    assert accused(run, words) == (tests, "teardown")
    for name in tests:
        assert run.verdict(name) == "failure"


def test_invariant_of_a_class_is_each_class_s_own(run):
    """A class-scoped fixture that fails in two classes accuses the tests of each class separately."""
    for name in ("TestOne::test_user_in_class", "TestTwo::test_user_in_other_class"):
        findings = [finding for finding in run.test(name)["findings"] if "class total" in finding["headline"]]
        assert [[test.rpartition("::")[2] for test in finding["tests"]] for finding in findings] == [
            [name.rpartition("::")[2]]
        ]


def test_invariant_of_one_parameter(run):
    """Only the tests that had the failing parameter are accused."""
    assert accused(run, "'bad' == 'good'") == (["test_first[bad]", "test_second[bad]"], "teardown")
    assert run.verdict("test_first[good]") == run.verdict("test_second[good]") == "passed"


@pytest.mark.parametrize("name", ["test_not_a_user", "test_not_in_class", "test_plain", "test_outside"])
def test_not_accused(run, name):
    """Who did not use the fixture has passed, whenever it ran."""
    found = [test for test in run.record["run"]["tests"] if test["test"].rpartition("::")[2] == name]
    assert [test["verdict"] for test in found] == ["passed"]


def test_accused_of_a_teardown_in_the_terminal(run):
    """The summary names the fixture and everyone who used it."""
    run.lines.fnmatch_lines(
        ["*. failure  test_invariants.py::test_first_user", "*also*test_invariants.py::test_second_user",
         "*teardown of module fixture 'module_total'*"]
    )  # fmt: skip

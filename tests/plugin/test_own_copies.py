"""What each thread has for itself: parameters that can change, temporary folders, subtests, output; and its own set-up."""

import re

import pytest

CONFTEST = """
import threading
import pytest
from _pytest.tmpdir import TempPathFactory

begun, ended = [], []

def pytest_ftcheck_thread(item, thread):
    if "hook" in item.name:
        place = item.config.stash.setdefault(KEY, threading.local())
        place.number = thread
        begun.append((item.name, thread, threading.get_ident()))
        if "fails_to_begin" in item.name:
            raise OSError("no device")
        def end():
            ended.append((item.name, thread, threading.get_ident()))
            if "fails_to_end" in item.name:
                raise OSError("device lost")
        return end

KEY = pytest.StashKey()

@pytest.fixture
def local(request):
    return getattr(request.config.stash.setdefault(KEY, threading.local()), "number", "main thread")

@pytest.fixture
def hook_calls():
    return begun, ended

@pytest.fixture
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("data", numbered=False)

@pytest.fixture
def old_data(tmpdir_factory):
    return tmpdir_factory.mktemp("old", numbered=False)

@pytest.fixture(scope="module")
def module_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("module", numbered=False)

@pytest.fixture
def parameter(request):
    return request.param
"""

PARAMETERS = """
import dataclasses, enum, functools, pathlib, re, sys
from collections import namedtuple
import pytest
from meeting import meet

class Changes:
    def __init__(self, *values): self.values = list(values)
    def method(self): pass
class Sentinel: pass
SENTINEL = Sentinel()
GLOBAL = [1]
Pair = namedtuple("Pair", "a b")
class Colour(enum.Enum): RED = []
@dataclasses.dataclass(frozen=True)
class Frozen: value: object
@dataclasses.dataclass
class Loose: value: object

CASES = dict(
    list=[3, 1, 2], dict={"a": [1]}, object=Changes(1), in_a_tuple=(1, [2]), named=Pair([1], 2), loose=Loose(1),
    bytearray=bytearray(b"x"), frozen_with_a_list=Frozen([1]), partial=functools.partial(int, [1]), method=Changes(1).method,
)
KEPT = dict(
    number=5, text="x", none=None, tuple=(1, ("a", b"b")), type=int, function=len, lambda_=lambda: 0, module=sys,
    plain_object=object(), pattern=re.compile("x"), path=pathlib.Path("x"), colour=Colour.RED, frozen=Frozen((1,)),
    sentinel=SENTINEL, global_list=GLOBAL, bound_to_a_global=GLOBAL.append,
)
seen = {}

def note(kind, name, value):
    seen.setdefault((kind, name), set()).add(id(value))
    keep.append(value)
keep = []

@pytest.mark.parametrize("name, value", CASES.items(), ids=list(CASES))
def test_copied(name, value):
    note("copied", name, value)
    meet(name)
    assert value is not CASES[name] and type(value) is type(CASES[name])

@pytest.mark.parametrize("name, value", KEPT.items(), ids=list(KEPT))
def test_kept(name, value):
    meet(name)
    assert value is KEPT[name]

@pytest.mark.parametrize("value", [[1].append], ids=["method"])
def test_cannot_be_copied(value): value(2)

@pytest.mark.parametrize("value", [[]], ids=["list"])
def test_is_changed(value):
    assert value == []
    value.append(1)
    meet()

@pytest.mark.ftcheck(share=["value"])
@pytest.mark.parametrize("value", [[]], ids=["list"])
def test_is_shared_if_asked(value):
    value.append(1)
    meet()
    assert len(value) >= 2

@pytest.mark.parametrize("a", [GLOBAL], ids=["a"])
@pytest.mark.parametrize("b", [[GLOBAL, SENTINEL]], ids=["b"])
def test_a_global_inside_a_copy_is_the_global(a, b):
    assert a is GLOBAL and b[0] is GLOBAL and b[1] is SENTINEL
    meet()

class TestStacked:
    @pytest.mark.parametrize("x", [[1], [2]], ids="pq")
    @pytest.mark.parametrize("y", [[3]], ids="r")
    def test_stacked(self, x, y):
        x.append(0); y.append(0)
        assert len(x) == len(y) == 2
        meet(str(x[0]))

@pytest.mark.parametrize("parameter", [[1]], ids=["list"], indirect=True)
def test_indirect(parameter):
    parameter.append(2)
    assert parameter == [1, 2]
    meet()

@pytest.mark.parametrize("value", [[1]], ids=["list"], scope="module")
def test_of_a_wider_scope_is_shared(value):
    meet()
    assert value is WIDER.setdefault("value", value)
WIDER = {}

def test_every_copy_was_another(request):
    assert {name for _, name in seen} == set(CASES)
    for key, ids in seen.items():
        assert len(ids) == 6, (key, ids)   # two threads, three rounds
"""

FOLDERS = """
import os, pathlib
from meeting import meet

paths = set()

def test_factory(tmp_path_factory, tmp_path):
    folder = tmp_path_factory.mktemp("data", numbered=False)
    assert folder.parent == tmp_path.parent == tmp_path_factory.getbasetemp()
    assert folder not in paths and tmp_path not in paths
    paths.update([folder, tmp_path])
    meet()

def test_through_a_fixture(data, tmp_path):
    assert os.listdir(data) == []
    (data / "file").touch()
    meet()

def test_legacy(old_data, tmpdir):
    assert old_data.listdir() == []
    old_data.join("file").write("x")
    meet()

def test_wider_scope_is_shared(module_folder, tmp_path):
    paths.add(module_folder)
    meet()
    assert module_folder.is_dir()

def test_fails_in_round_2(tmp_path, request):
    rounds.append(1)
    (tmp_path / "left").touch()
    if meet() == 0 and len(rounds) == 4:
        raise KeyError(str(tmp_path))
rounds = []

def test_what_is_left(request, tmp_path_factory):
    base = request.config._tmp_path_factory.getbasetemp()
    left = [path.name for path in base.rglob("left")]
    assert len(left) == 1, left
    assert sum(path.exists() for path in paths) == 1   # the module's
    assert not list(base.rglob("file"))
"""

SUBTESTS = """
import unittest
import pytest
from meeting import meet

def test_some_fail(subtests):
    for i in range(4):
        with subtests.test("part", i=i):
            if i == 1: raise KeyError("one")
            assert i != 2
    meet()

def test_one_fails_and_the_test_too(subtests):
    with subtests.test("part"):
        raise KeyError("part")
    raise ValueError("whole")

def test_all_hold(subtests):
    for i in range(4):
        with subtests.test(i=i): pass
    meet()

def test_skips_in_a_subtest(subtests):
    with subtests.test("skipped"): pytest.skip("not here")
    with subtests.test("xfailed"): pytest.xfail("not there")
    meet()

def test_in_one_thread_only(subtests):
    with subtests.test("part"):
        assert meet() == 0

class TestCase(unittest.TestCase):
    def test_some_fail(self):
        for i in range(4):
            with self.subTest("part", i=i):
                self.assertNotEqual(i, 2)
        meet("a")
    def test_all_hold(self):
        for i in range(4):
            with self.subTest(i=i): pass
        meet("b")
    def test_skips_in_a_subtest(self):
        with self.subTest("skipped"): self.skipTest("not here")
        meet("c")
"""

OUTPUT = """
import logging, sys, threading
import ftcheck
from meeting import meet

log = logging.getLogger("mini")

def test_prints_and_fails():
    number = meet()
    print("on stdout of", number)
    print("on stderr of", number, file=sys.stderr)
    log.warning("logged by %d", number)
    thread = threading.Thread(target=print, args=("started by", number))
    thread.start()
    thread.join()
    meet("end")
    assert number == 0

def test_prints_and_holds():
    print("in a round")
    log.warning("in a round")
    meet()

def test_prints_much_and_fails():
    for _ in range(3000):
        print("x" * 50)
    raise KeyError

def test_streams():
    assert sys.stdout.writable() and sys.stdout.encoding and sys.stdout.fileno() > 0 and not sys.stdout.isatty()
    sys.stdout.write("written"); sys.stdout.writelines(["a", "b"]); sys.stdout.flush()
    sys.stdout.buffer.write(b"")
    try: sys.stdout.write(b"bytes")
    except TypeError as error: assert "must be str" in str(error)
    else: raise AssertionError
    meet()

def test_own_threads_print_and_fail():
    ftcheck.concurrently(lambda: print("one"), lambda: print("two"))
    raise KeyError
"""

HOOK = """
import threading
import pytest
import ftcheck
from meeting import meet

def test_hook_before_fixtures(local, hook_calls):
    assert local in (0, 1)
    assert (threading.get_ident(), local) in [(ident, number) for _, number, ident in hook_calls[0]]
    meet()

def test_hook_in_own_threads(request):
    place = request.config.stash[next(iter(k for k in request.config.stash._storage if isinstance(
        request.config.stash[k], threading.local)))]
    ftcheck.concurrently(lambda: place.number, lambda: place.number)

def test_hook_fails_to_begin(): meet()

def test_hook_fails_to_end(): meet()

def test_how_often(hook_calls):
    begun, ended = hook_calls
    name = "test_hook_before_fixtures"
    assert sorted(one for one in begun if one[0] == name) == sorted(one for one in ended if one[0] == name)
    assert len([one for one in begun if one[0] == name]) == 2
    assert not [one for one in ended if one[0] == "test_hook_fails_to_begin"]
"""


@pytest.fixture(scope="module")
def run(mini):
    """One run of all of them, in a worker."""
    files = {
        "conftest.py": CONFTEST,
        "test_parameters.py": PARAMETERS,
        "test_folders.py": FOLDERS,
        "test_subtests.py": SUBTESTS,
        "test_output.py": OUTPUT,
        "test_hook.py": HOOK,
    }
    return mini(files, "--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=3", "--ftcheck-timeout=120",
                "--ftcheck-classify=0", "-rP", "-o", "junit_logging=all")  # fmt: skip


COPIED = ["list", "dict", "object", "in_a_tuple", "named", "loose", "bytearray", "frozen_with_a_list", "partial", "method"]
KEPT = [
    "number", "text", "none", "tuple", "type", "function", "lambda_", "module", "plain_object", "pattern", "path", "colour",
    "frozen", "sentinel", "global_list", "bound_to_a_global",
]  # fmt: skip
PASS = [
    *[f"test_copied[{name}]" for name in COPIED],
    *[f"test_kept[{name}]" for name in KEPT],
    "test_is_changed[list]",
    "test_is_shared_if_asked[list]",
    "test_a_global_inside_a_copy_is_the_global[b-a]",
    "TestStacked::test_stacked[r-p]",
    "TestStacked::test_stacked[r-q]",
    "test_indirect[list]",
    "test_of_a_wider_scope_is_shared[list]",
    "test_factory",
    "test_through_a_fixture",
    "test_legacy",
    "test_wider_scope_is_shared",
    "test_subtests.py::test_all_hold",
    "test_subtests.py::test_skips_in_a_subtest",
    "TestCase::test_all_hold",
    "TestCase::test_skips_in_a_subtest",
    "test_prints_and_holds",
    "test_streams",
    "test_hook_before_fixtures",
]


@pytest.mark.parametrize("name", PASS)
def test_passes_and_overlapped(run, name):
    assert run.verdict(name) == "passed", run.text(name)
    assert run.test(name)["coverage"]["overlapped"] == 3


@pytest.mark.parametrize(
    "name",
    [
        "test_every_copy_was_another",
        "test_what_is_left",
        "test_hook.py::test_how_often",
        "test_hook_in_own_threads",
    ],
)
def test_checks_of_the_whole(run, name):
    """Too short to overlap for certain, but nothing in them fails."""
    assert run.outcomes(name)["call"] == "passed", run.text(name)


def test_a_failing_subtest_is_a_failure_of_its_thread(run):
    assert run.verdict("test_subtests.py::test_some_fail") == "failure"
    groups = run.groups("test_subtests.py::test_some_fail")
    assert groups.keys() == {"KeyError", "AssertionError"}
    assert [group["count"] for group in groups.values()] == [6, 6]
    text = run.text("test_subtests.py::test_some_fail")
    assert "in subtest [part] (i=1)" in text
    assert "in subtest [part] (i=2)" in text


def test_what_ends_the_test_is_kept_as_well(run):
    assert run.groups("test_one_fails_and_the_test_too").keys() == {"KeyError", "ValueError"}


def test_a_subtest_that_fails_in_one_thread(run):
    assert run.groups("test_in_one_thread_only")["AssertionError"]["count"] == 3


def test_subtests_of_unittest(run):
    assert run.verdict("TestCase::test_some_fail") == "failure"
    assert "in subtest [part] (i=2)" in run.text("TestCase::test_some_fail")


def test_a_method_written_in_c_is_not_shared_behind_the_users_back(run):
    assert run.verdict("test_cannot_be_copied[method]") == "not checked"
    assert "cannot be copied for each thread" in run.test("test_cannot_be_copied[method]")["reason"]


def test_one_report_for_each_test(run):
    names = [case.get("name") for case in run.junit.iter("testcase") if case.get("classname").startswith("test_subtests")]
    assert len(names) == 8
    assert run.out.count("SUBFAIL") == 0


def test_output_is_kept_by_thread(run):
    """Side by side for the first failing round, and with what a thread's own threads printed."""
    sections = [
        line.strip("- ") for line in run.out.split("_ test_prints_and_fails _")[1].splitlines() if "Captured" in line
    ]
    sections = [re.sub(r"Thread-\d+ \(print\)", "its own", section) for section in sections[:8]]
    assert sections == [
        f"Captured {kind} (thread {thread}{who}, round 1) call"
        for thread in (0, 1)
        for kind, who in [("stdout", ""), ("stderr", ""), ("log", ""), ("stdout", ", its own")]
    ]
    system_out = run.junit_case("test_prints_and_fails").find("system-out").text
    for number in (0, 1):
        assert f"on stdout of {number}\n" in system_out
        assert f"started by {number}\n" in system_out
        assert f"logged by {number}\n" in run.out


def test_output_of_a_pass_is_that_of_its_first_round(run):
    text = re.split(r"^___.*", run.out.split("_ test_prints_and_holds _")[1].partition("\n")[2], flags=re.M)[0]
    assert text.count("in a round") == 4
    assert "(thread 1, round 1)" in text
    assert "round 2" not in text


def test_much_output_is_cut(run):
    text = run.junit_case("test_prints_much_and_fails").find("system-out").text
    assert text.count("[... only the first 65536 characters of a thread's output are kept]") == 2
    assert len(text) < 140_000


def test_output_of_own_threads(run):
    run.lines.fnmatch_lines(
        [
            "*Captured stdout (thread 0, concurrently-0, round 1) call*",
            "one",
            "*Captured stdout (thread 0, concurrently-1, round 1) call*",
            "two",
        ]
    )


def test_a_hook_that_fails_is_an_error(run):
    assert run.verdict("test_hook_fails_to_begin") == "error"
    assert "no device" in run.text("test_hook_fails_to_begin")
    assert run.verdict("test_hook_fails_to_end") == "error"
    assert "device lost" in run.text("test_hook_fails_to_end")

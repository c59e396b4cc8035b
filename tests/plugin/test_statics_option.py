"""``--ftcheck-statics`` end to end: plain runs, runs in threads, several workers, a crash, JSON, and wrong values."""

import importlib.resources
import json
import sys

import jsonschema
import pytest

from ftcheck.report.json_report import from_json

from ..native.building import compiled, source

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux is it known where things are")

COUNTS = source(
    "so_counts",
    "static volatile long counter; static PyObject *volatile table; static volatile long late, scratch;",
    {
        "count": "counter++",
        "lazy": "if (table == NULL) table = PyList_New(0)",
        "rare": "late = 1",
        "set": "scratch = PyLong_AsLong(arg)",
    },
)
LOCKED = source(
    "so_locked",
    "static PyMutex mutex; static volatile long counter;",
    {"count": "PyMutex_Lock(&mutex); counter++; PyMutex_Unlock(&mutex)"},
)
QUIET = source(
    "so_quiet", "typedef struct { long n; } State;", {"count": "((State *)PyModule_GetState(self))->n++"}
).replace(".m_slots = slots", ".m_size = sizeof(State), .m_slots = slots")
BODY = """
import so_counts, so_locked, so_quiet

def test_first():
    so_counts.count(0)
    so_counts.lazy(0)
    so_quiet.count(0)

def test_second():
    so_counts.count(0)
    so_counts.lazy(0)
    so_locked.count(0)
    so_quiet.count(0)

def test_third():
    so_quiet.count(0)

def test_last():
    so_counts.rare(0)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the modules."""
    folder = tmp_path_factory.mktemp("built")
    for name, text in {"so_counts": COUNTS, "so_locked": LOCKED, "so_quiet": QUIET}.items():
        compiled(folder, name, text)
    return folder


@pytest.fixture(scope="module")
def project(mini, built):
    """``project(files, *arguments)``: with a conftest file that has the modules found."""

    def run(files, *arguments, **options):
        conftest = {"conftest.py": f"import sys\nsys.path.insert(0, {str(built)!r})\n"}
        return mini({**conftest, **files}, *arguments, **options)

    return run


def statics(run):
    """The JSON report's part, checked against the schema."""
    text = (run.folder / "report.json").read_text(encoding="utf-8")
    schema = importlib.resources.files("ftcheck.report").joinpath("report-1.schema.json").read_text(encoding="utf-8")
    jsonschema.validate(json.loads(text), json.loads(schema), jsonschema.Draft202012Validator)
    return from_json(text).statics


def rows(state):
    return {
        (one.place.file.rpartition("/")[2].partition(".")[0], one.place.name): (
            one.how,
            [test.rpartition("::")[2] for test in one.tests],
        )
        for one in state.statics
    }


EXPECTED = {
    ("so_counts", "counter"): ("steadily", ["test_first", "test_second"]),
    ("so_counts", "table"): ("once", ["test_first"]),
    ("so_counts", "late"): ("unknown", ["test_last"]),
    ("so_locked", "counter"): ("once", ["test_second"]),
}
JSON = "--ftcheck-json=report.json"


@pytest.fixture(scope="module")
def plain(project):
    """Without ``--ftcheck``: nothing is rerun in threads."""
    return project({"test_so.py": BODY}, "--ftcheck-statics=so_*", JSON)


def test_a_plain_run_tells_who_wrote_what(plain):
    state = statics(plain)
    assert plain.status == 0
    assert rows(state) == EXPECTED
    assert state.tests == 4
    assert (state.lost, state.unmatched) == ((), ())


def test_the_twin_without_statics_has_no_row(plain):
    (image,) = [one for one in statics(plain).images if one.modules == ("so_quiet",)]
    assert image.sections
    assert not image.problem
    assert "so_quiet" not in {one.place.file.rpartition("/")[2].partition(".")[0] for one in statics(plain).statics}


def test_locks_stand_beside_the_writes(plain):
    locks = {one.modules[0]: one.locking.locks for one in statics(plain).images}
    assert locks == {"so_counts": (), "so_locked": ("PyMutex",), "so_quiet": ()}


def test_the_summary_of_a_plain_run(plain):
    plain.lines.fnmatch_lines(
        [
            "*= ftcheck =*",
            "static state of so_[*]: 4 variables written in 4 tests",
            "  so_counts  (.data * bytes, .bss * bytes)",
            "    no lock of any kind that can be seen: a write by two threads at once would be a data race, unless *",
            "    steadily  counter  .bss+0x* (8 bytes)  0x0 -> 0x1",
            "              by 2 tests: test_so.py::test_first, test_so.py::test_second",
            "    last      late  .bss+0x* (8 bytes)  0x0 -> 0x1",
            "              by test_so.py::test_last; nothing ran after it that could have written it again",
            "    once      table  .bss+0x* (8 bytes)  0x0 -> 0x*",
            "              by test_so.py::test_first; not by the 3 tests after it",
            "  so_locked  (*",
            "    locks: PyMutex",
            "    once      counter  .bss+0x* (8 bytes)  0x0 -> 0x1",
            "  so_quiet  (*",
            "    no write by a test was seen",
            "*4 passed*",
        ]
    )
    assert "concurrent:" not in plain.out


def test_nothing_of_it_where_nobody_asks(project):
    run = project({"test_so.py": BODY}, JSON)
    assert "static state" not in run.out
    assert statics(run) is None


def test_marked_tests_of_a_plain_run_are_watched_like_the_others(project):
    body = BODY.replace("def test_first", "import pytest\n@pytest.mark.ftcheck(rounds=5)\ndef test_first")
    run = project({"test_so.py": body}, "--ftcheck-statics=so_*", JSON)
    found = rows(statics(run))
    assert found[("so_counts", "counter")] == EXPECTED[("so_counts", "counter")]
    assert found[("so_counts", "table")] == EXPECTED[("so_counts", "table")]


THREADS = """
import so_counts
def test_counts(): so_counts.count(0)
def test_is_lazy(): so_counts.lazy(0)
def test_sets_and_sets_back():
    so_counts.set(1)
    so_counts.set(0)
"""
RERUN = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=12")


@pytest.mark.parametrize("isolate", ["yes", "no"])
def test_rounds_tell_once_from_steadily(project, isolate):
    """Where one test is all there is."""
    words = (*RERUN, f"--ftcheck-isolate={isolate}", "--ftcheck-statics=so_counts", JSON)
    run = project({"test_so.py": THREADS}, *words)
    found = {(one.place.name): (one.how, one.rounds, one.tests) for one in statics(run).statics}
    assert found == {
        "counter": ("steadily", True, ("test_so.py::test_counts",)),
        "table": ("once", True, ("test_so.py::test_is_lazy",)),
    }


def test_explored_tests_too(project):
    run = project({"test_so.py": THREADS}, "--ftcheck", "--ftcheck-explore", "--ftcheck-statics=so_counts", JSON)
    found = {(one.place.name): (one.how, one.tests) for one in statics(run).statics}
    assert found["counter"] == ("steadily", ("test_so.py::test_counts",))
    assert found["table"][0] == "once"


@pytest.mark.parametrize("words", [("-n", "2"), ("-n", "2", *RERUN)])
def test_workers_are_added_up(project, words):
    """With loadscope one worker gets all tests of a file, so each file has its own process, or both have the same."""
    files = {f"test_so{n}.py": BODY for n in (1, 2)}
    run = project(files, "--ftcheck-statics=so_*", "--dist=loadfile", JSON, *words)
    state = statics(run)
    assert state.tests == 8
    by_name = {(one.place.file.rpartition("/")[2].partition(".")[0], one.place.name): one for one in state.statics}
    counter = by_name[("so_counts", "counter")]
    assert counter.how == "steadily"
    assert set(counter.tests) == {f"test_so{n}.py::{name}" for n in (1, 2) for name in ("test_first", "test_second")}
    assert by_name[("so_counts", "table")].how == "once"
    assert len(state.images) == 3


# --- in the middle of a test, and at its end ----------------------------------------------------------------------


def test_a_module_that_a_test_imports(project):
    body = """
    def test_before(): pass
    def test_imports():
        import so_counts
        so_counts.count(0)
    def test_after():
        import so_counts
        so_counts.count(0)
    """
    run = project({"test_so.py": body}, "--ftcheck-statics=so_*", JSON)
    state = statics(run)
    assert [one.imported_by for one in state.images] == ["test_so.py::test_imports"]
    assert rows(state) == {("so_counts", "counter"): ("steadily", ["test_imports", "test_after"])}
    run.lines.fnmatch_lines(["    imported in test_so.py::test_imports; what it wrote until that was done is not counted"])


def test_fixtures_count_for_the_test_that_sets_them_up(project):
    body = """
    import pytest, so_counts
    @pytest.fixture
    def counted():
        so_counts.count(0)
        yield
        so_counts.lazy(0)
    def test_uses(counted): pass
    def test_after(): pass
    """
    state = statics(project({"test_so.py": body}, "--ftcheck-statics=so_*", JSON))
    assert rows(state) == {
        ("so_counts", "counter"): ("once", ["test_uses"]),
        ("so_counts", "table"): ("once", ["test_uses"]),
    }


def test_of_a_test_whose_process_dies_nothing_is_known_and_that_is_said(project):
    body = "import os, so_counts\ndef test_dies():\n    so_counts.count(0)\n    os.abort()\n" + THREADS
    run = project({"test_so.py": body}, *RERUN, "--ftcheck-statics=so_counts", JSON)
    state = statics(run)
    assert run.verdict("test_dies") == "crash"
    assert state.lost == ("test_so.py::test_dies",)
    assert state.tests == 3
    assert "test_so.py::test_dies" not in {test for one in state.statics for test in one.tests}
    run.lines.fnmatch_lines(["  not known of test_so.py::test_dies: the process ended before the test did"])


def test_a_run_that_is_cut_short_says_what_it_has(project):
    body = "import so_counts\ndef test_a(): so_counts.count(0)\ndef test_b(): assert 0\ndef test_c(): so_counts.count(0)\n"
    run = project({"test_so.py": body}, "-x", "--ftcheck-statics=so_counts", JSON)
    assert run.status == 1
    assert rows(statics(run)) == {("so_counts", "counter"): ("once", ["test_a"])}


# --- the value ------------------------------------------------------------------------------------------------------


def test_by_ini_file(project):
    files = {"test_so.py": BODY, "pytest.ini": "[pytest]\nftcheck_statics = so_counts\n    so_locked\n"}
    state = statics(project(files, JSON))
    assert state.chosen == ("so_counts", "so_locked")
    assert rows(state) == EXPECTED
    assert statics(project(files, JSON, "--ftcheck-statics=")) is None


def test_all_has_what_is_not_the_standard_librarys(project):
    body = "import _json, _csv\n" + BODY
    state = statics(project({"test_so.py": body}, "--ftcheck-statics=all", JSON))
    modules = {module for one in state.images for module in one.modules}
    assert {"so_counts", "so_locked", "so_quiet"} <= modules
    assert not modules & {"_json", "_csv", "ftcheck._core"}


def test_a_pattern_that_matches_nothing_is_said(project):
    run = project({"test_so.py": BODY}, "--ftcheck-statics=sp_*,so_quiet")
    assert run.status == 0
    run.lines.fnmatch_lines(["  sp_[*]: no such extension module was imported"])


def test_an_extension_that_only_the_tests_make_known_is_no_error(mini, built):
    """Its folder comes onto the path while tests are collected."""
    body = f"import sys\nsys.path.insert(0, {str(built)!r})\n" + BODY
    run = mini({"test_so.py": body}, "--ftcheck-statics=so_counts,so_locked", JSON)
    assert run.status == 0
    assert rows(statics(run)) == EXPECTED


WRONG = {
    "--ftcheck-statics=json": "json is a package of Python code: and there is no extension module in it",
    "--ftcheck-statics=pickle": "pickle is Python code (*pickle.py): static memory is what extension modules have",
    "--ftcheck-statics=sys": "sys is built into the interpreter: it has no static memory of its own",
    "--ftcheck-statics=so-counts": "'so-counts' cannot be the name of a module: give names such as *",
    "--ftcheck-statics=so_count": "there is no module so_count. Is it installed, and built for this interpreter?",
    "--ftcheck-statics=so_counts,nowhere.fast": "there is no module nowhere.fast. Is it installed, *",
}


@pytest.fixture(scope="module")
def refused(mini_many, built):
    files = {"conftest.py": f"import sys\nsys.path.insert(0, {str(built)!r})\n", "test_so.py": BODY}
    return dict(zip(WRONG, mini_many(files, [[word] for word in WRONG]), strict=True))


@pytest.mark.parametrize("word", WRONG)
def test_wrong_values_are_refused(refused, word):
    run = refused[word]
    assert run.status == 4
    pytest.LineMatcher((run.out + run.err).splitlines()).fnmatch_lines([f"*ftcheck-statics: {WRONG[word]}"])
    assert "passed" not in run.out


@pytest.mark.parametrize("words", [("-n", "2"), ("--ftcheck",)])
def test_a_worker_refuses_a_module_that_is_not_there(project, words):
    run = project({"test_so.py": BODY}, "--ftcheck-statics=so_count", *words)
    assert run.status == 4
    assert "there is no module so_count" in run.out + run.err
    assert "passed" not in run.out


def test_collecting_only_watches_nothing(project):
    run = project({"test_so.py": BODY}, "--collect-only", "--ftcheck-statics=so_counts")
    assert run.status == 0
    assert "so_counts  (" not in run.out

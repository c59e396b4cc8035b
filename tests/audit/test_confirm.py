"""Confirm mode: threads are run into a finding, and what is said of it is so.

The extensions here crash by what they see, not by luck with freed memory: ``walk`` ends the process if the dictionary
changes its size while it looks at it. With the GIL that cannot be: nothing in it lets another thread run. Without, each
call has a window of some 100 microseconds in which two threads empty and fill that dictionary all the time. Say only one
call of 50 sees it; of the 1000 calls and more of a run all miss it with a probability below 0.98 ** 1000 < 2e-9, and of two
runs below 1e-17.
"""

import importlib.resources
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

import ftcheck
from ftcheck import cli, interpreter
from ftcheck.audit.confirm import confirming, judging, listing, programs, reaching, reported, running, trying, written
from ftcheck.audit.confirm.confirming import Confirmed, Wish
from ftcheck.audit.confirm.trying import Asked
from ftcheck.audit.confirm.words import Kind, Place, Reached, Result, Run, Verdict, Workload

from ..native.building import compiled, source

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="children are looked after by way of /proc"),
    pytest.mark.skipif(not interpreter.free_threaded_build(), reason="it needs an interpreter that can run without the GIL"),
]
BODY = """
#include <time.h>
static void busy(long microseconds) {
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do { clock_gettime(CLOCK_MONOTONIC, &now); }
    while ((now.tv_sec - begin.tv_sec) * 1000000 + (now.tv_nsec - begin.tv_nsec) / 1000 < microseconds);
}
static void die(void) { abort(); }
static int look(PyObject *dict) {
    Py_ssize_t at = 0, size = PyDict_Size(dict);
    PyObject *key, *value;
    while (PyDict_Next(dict, &at, &key, &value)) { busy(2); if (PyDict_Size(dict) != size) die(); }
    return 0;
}
static int look_locked(PyObject *dict) {
    Py_ssize_t at = 0, size = PyDict_Size(dict);
    PyObject *key, *value;
    while (PyDict_Next(dict, &at, &key, &value)) { busy(2); if (PyDict_Size(dict) != size) die(); }
    return 0;
}
static int (*hidden)(PyObject *);
static char text[64];
static PyObject *cache;
static int inside, calls;
"""
ONLY_DICT = 'if (!PyDict_Check(arg)) { PyErr_SetString(PyExc_TypeError, "a dict, please"); return NULL; }'
ONLY_INT = "long n = PyLong_AsLong(arg); if (n == -1 && PyErr_Occurred()) return NULL;"
FUNCTIONS = {
    "walk": f"{ONLY_DICT} hidden = look; hidden(arg)",
    "walk_locked": f"{ONLY_DICT} Py_BEGIN_CRITICAL_SECTION(arg); look_locked(arg); Py_END_CRITICAL_SECTION()",
    "worn": f"{ONLY_INT} if (++calls > 300) die()",
    "broken": "die()",
    "printed": f'{ONLY_INT} snprintf(text, sizeof text, "%ld", n); busy(20); return PyUnicode_FromString(text)',
    "lazy": f"{ONLY_INT} if (cache == NULL) {{ busy(50000); cache = PyList_New(0); }} return Py_NewRef(cache)",
    "stuck": f"{ONLY_INT} if (__atomic_add_fetch(&inside, 1, 5) > 1) for (;;) busy(1000); busy(20); "
    "__atomic_sub_fetch(&inside, 1, 5)",
    "picky": 'PyErr_SetString(PyExc_TypeError, "nothing is good enough"); return NULL',
    "slow": "for (;;) busy(1000)",
}


@pytest.fixture(scope="module")
def extension(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extension")
    compiled(folder, "c_confirm", source("c_confirm", BODY, FUNCTIONS))
    return folder


@pytest.fixture
def confirmed(extension):
    def run(*, timeout=20.0, seconds=0.3, arguments=None, **wish):
        runner = running.Runner(sys.executable, timeout=timeout, path=[str(extension)])
        asked = Asked(4, seconds, arguments)
        return confirming.confirm(Wish(**{"times": 2, "asked": asked, **wish}), runner)

    return run


def named(confirmed, callable_name, kind):
    """The one result of a callable and a kind of workload."""
    found = confirmed(callables=(f"c_confirm.{callable_name}",), kinds=frozenset((kind,)), times=3)
    (one,) = [one for one in found.results if one.workload is not None]
    return one


def test_from_a_finding_to_a_crash_only_without_the_gil(extension, confirmed):
    """The address of ``look`` is put into a variable only; it is reached all the same."""
    found = confirmed(
        sources=(extension / "c_confirm.c",), rules=frozenset(("FT103",)), functions=frozenset(("look",)), times=3
    )
    (one,) = found.results
    assert (one.verdict, one.callable) == (Verdict.CRASH, "c_confirm.walk")
    assert one.workload.kind is Kind.MUTATED
    assert "SIGABRT: " in one.why
    assert re.search(r" 0 of \d+ runs crashed with it", one.why)
    assert one.places[0].way == ("look", "f_walk")
    assert {"look", "f_walk"} & set(one.stack)
    assert not found.unreached
    assert found.source.findings == 1


def test_what_is_locked_is_not_reproduced(confirmed):
    one = named(confirmed, "walk_locked", Kind.MUTATED)
    assert one.verdict is Verdict.NOT_REPRODUCED
    assert "none of 6 runs crashed" in one.why
    assert "4 threads, 3 runs with the GIL off and 3 on" in one.why
    assert all(run.calls > 0 and run.gil is run.forced_gil for run in one.runs)


def test_what_crashes_always_is_not_blamed_on_the_gil(confirmed):
    one = named(confirmed, "worn", Kind.OWN)
    assert one.verdict is Verdict.WITH_GIL
    assert "with it" in one.why


def test_what_crashes_in_one_thread_needs_no_threads(confirmed):
    (one,) = confirmed(callables=("c_confirm.broken",)).results
    assert (one.verdict, one.workload, one.runs) == (Verdict.ALONE, None, ())
    assert "c_confirm.broken(n + 1000): SIGABRT" in one.why


def test_wrong_results(confirmed):
    one = named(confirmed, "printed", Kind.OWN)
    assert one.verdict is Verdict.WRONG
    assert ", alone '100" in one.why
    assert not any(run.wrong for run in one.runs if run.forced_gil)


def test_a_lazily_made_object_is_made_twice(confirmed):
    """A thread has 50 ms to come to ``lazy`` after another one, and 4 of 12 processes (or more, of up to 48) must see it."""
    one = named(confirmed, "lazy", Kind.FIRST)
    assert one.verdict is Verdict.WRONG
    assert "one more list" in one.why


def test_what_does_not_end(confirmed):
    found = confirmed(callables=("c_confirm.stuck",), kinds=frozenset((Kind.OWN,)), timeout=2.0, times=5, seconds=0.2)
    assert [one.verdict for one in found.results] == [Verdict.HANG]


@pytest.mark.parametrize(("name", "said"), [
    ("picky", "none of"),
    ("nowhere", "no attribute 'nowhere'"),
])  # fmt: skip
def test_what_cannot_be_run_is_not_checked(confirmed, name, said):
    (one,) = confirmed(callables=(f"c_confirm.{name}",)).results
    assert (one.verdict, one.runs) == (Verdict.NOT_CHECKED, ())
    assert said in one.why


def test_what_does_not_come_back_alone(confirmed, monkeypatch):
    monkeypatch.setattr(trying, "_TRIAL_SECONDS", 1.0)
    (one,) = confirmed(callables=("c_confirm.slow",)).results
    assert one.verdict is Verdict.NOT_CHECKED
    assert "does not end when it is called alone" in one.why


def test_arguments_can_be_given(confirmed):
    found = confirmed(
        callables=("c_confirm.walk",), arguments="dict.copy(shared)", kinds=frozenset((Kind.MUTATED,)), times=1
    )
    (one,) = [one for one in found.results if one.workload is not None]
    assert one.workload.calls == ("c_confirm.walk(dict.copy(shared))",)
    assert one.verdict is Verdict.NOT_REPRODUCED


NAMELESS = """
typedef struct { PyObject_HEAD char *text; } Kept;
static PyObject *renew(Kept *self, PyObject *n) {
    char *text = PyMem_RawMalloc(16);
    if (text == NULL) return PyErr_NoMemory();
    char *before = self->text;
    struct timespec a_while = {0, 1000};
    nanosleep(&a_while, NULL);
    if (self->text != before) abort();
    self->text = text;
    PyMem_RawFree(before);
    Py_RETURN_NONE;
}
static void unmake(Kept *self) { PyMem_RawFree(self->text); Py_TYPE(self)->tp_free((PyObject *)self); }
static PyMethodDef kept_methods[] = { {"renew", (PyCFunction)renew, METH_NOARGS, NULL}, {0} };
static PyTypeObject KeptType = {
    PyVarObject_HEAD_INIT(NULL, 0) .tp_name = "Kept", .tp_basicsize = sizeof(Kept),
    .tp_dealloc = (destructor)unmake, .tp_methods = kept_methods };
"""
"""A type that its module has no name for: ``c_nameless.make()`` gives an object of it. ``renew`` ends the process if another
thread has come in between its look at the text and its change, one microsecond and more later. Four threads do nothing
else. (Say one call of 50 sees another one: in 1000 calls none does with a probability below 2e-9.)"""


@pytest.fixture(scope="module")
def nameless(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nameless")
    make = "if (PyType_Ready(&KeptType) < 0) return NULL; return PyType_GenericAlloc(&KeptType, 0)"
    compiled(folder, "c_nameless", source("c_nameless", "#include <time.h>" + NAMELESS, {"make": make}))
    return folder


def test_methods_of_a_type_without_a_name(nameless, capsys):
    """And FT307, which libclang is asked about."""
    words = [str(nameless / "c_nameless.c"), "--path", str(nameless), "--only", "FT307", "--seconds=0.3", "--times=3"]
    assert cli.main(["confirm", *words, "--object", "c_nameless.make(1)", "--workload", "object"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "c_nameless.Kept.renew confirmed: crashes only without the GIL" in said
    assert re.search(r"(in the stack of the crash:|it may be, which the runs do not say:) FT307 \S+ in renew", said)


def test_without_the_object_nothing_is_called(nameless, capsys):
    words = [str(nameless / "c_nameless.c"), "--path", str(nameless), "--only", "FT307"]
    assert cli.main(["confirm", *words]) == 3
    assert "nothing that c_nameless shows is the method renew of its tables" in " ".join(capsys.readouterr().out.split())


def test_an_object_that_cannot_be_made(nameless, capsys):
    words = [str(nameless / "c_nameless.c"), "--path", str(nameless), "--only", "FT307", "--object", "c_nameless.nothing(1)"]
    assert cli.main(["confirm", *words]) == 2
    assert "--object c_nameless.nothing(1): AttributeError" in capsys.readouterr().err


def test_without_libclang_it_is_said(nameless, capsys, monkeypatch):
    monkeypatch.setattr(reaching.clang_facts, "available", lambda: False)
    assert cli.main(["confirm", str(nameless / "c_nameless.c"), "--only", "FT307"]) == 3
    assert "needs libclang: pip install" in capsys.readouterr().err


def test_patterns_and_limits(confirmed):
    found = confirmed(callables=("c_confirm.p*",), most=1, times=1, seconds=0.05)
    assert found.callables == 1
    assert any("2 callables: the first 1 were tried" in one for one in found.limits)


def test_static_variables(extension):
    found = reaching.read(
        [extension / "c_confirm.c"], rules=frozenset(), functions=frozenset(), variables=["cache", "no_such_variable"]
    )
    assert [(one.method, one.place.rule) for one in found.reached] == [("lazy", "static")]
    ((place, why),) = found.unreached
    assert (str(place), why) == ("static no_such_variable", "no function of the source that was read names it")


@pytest.fixture(scope="module")
def report(extension, tmp_path_factory):
    """Of a test that writes ``cache`` and ``text``, in an extension without one of its symbols."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "test_it.py").write_text(
        "import c_confirm\n\ndef test_it():\n    c_confirm.lazy(1)\n    c_confirm.printed(2)\n"
    )
    words = ["--ftcheck", "--ftcheck-statics=c_confirm", "--ftcheck-json=report.json", "-q", "-p", "no:cacheprovider"]
    path = os.pathsep.join(
        [str(extension), str(Path(ftcheck.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True
    )
    assert (folder / "report.json").exists(), done.stdout.decode() + done.stderr.decode()
    return folder / "report.json"


def test_static_variables_that_tests_have_written_are_confirmed(extension, report, capsys):
    words = [str(extension / "c_confirm.c"), "--path", str(extension), "--report", str(report), "--seconds=0.3", "--times=3"]
    assert cli.main(["confirm", *words]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(r"c_confirm.lazy confirmed: wrong result, only without the GIL .* static cache, used in f_lazy", said)
    assert re.search(
        r"c_confirm.printed confirmed: wrong result, only without the GIL .* static text, used in f_printed", said
    )
    assert "c_confirm.walk" not in said


def test_variables_of_a_report_that_cannot_be_looked_up_are_not_checked(report):
    content = json.loads(report.read_text())
    by_name = {one["place"]["name"]: one for one in content["statics"]["statics"]}
    assert {"cache", "text"} <= by_name.keys()
    by_name["cache"]["place"]["name"] = ""
    by_name["text"]["place"]["name"] = "f_printed.text.1.part.0"
    other = report.with_name("other.json")
    other.write_text(json.dumps(content))
    found = reported.read([other])
    assert "text" in found.variables
    assert "cache" not in found.variables
    assert found.modules == ("c_confirm",)
    assert any("no symbol names it" in one for one in found.left_out)


def test_reports_that_say_nothing_of_static_variables(report, tmp_path, extension, capsys):
    content = json.loads(report.read_text())
    none, empty, cut = (tmp_path / name for name in ("none.json", "empty.json", "cut.json"))
    none.write_text(json.dumps({**content, "statics": None}))
    empty.write_text(json.dumps({**content, "statics": {**content["statics"], "statics": []}}))
    cut.write_text(report.read_text()[:100])
    for path, status, said in (
        (none, 2, "make it with pytest --ftcheck-statics=MODULE"),
        (empty, 3, "nothing to confirm"),
        (cut, 2, "cut"),
        (tmp_path / "no.json", 2, "cannot be read"),
    ):
        assert cli.main(["confirm", str(extension / "c_confirm.c"), "--report", str(path)]) == status
        assert said in capsys.readouterr().err


def test_what_runs_at_import_only_is_not_checked(tmp_path):
    (tmp_path / "c_import.c").write_text(source("c_import", "static int made;", fill="made = 1;"), encoding="utf-8")
    found = reaching.read([tmp_path], rules=frozenset(), functions=frozenset(), variables=["made"])
    assert [(place.function, "while the module is imported" in why) for place, why in found.unreached] == [("fill", True)]


def test_other_rules_are_not_checked(tmp_path):
    text = source("c_other", "", {"make": "char *text = PyObject_Malloc(9); (void)text"})
    (tmp_path / "c_other.c").write_text(text, encoding="utf-8")
    found = reaching.read([tmp_path], rules=frozenset(), functions=frozenset(), variables=())
    assert not found.reached
    assert any(place.rule == "FT201" and "do not show" in why for place, why in found.unreached)


TYPE = """
typedef struct { PyObject_HEAD long number; } Shown;
static char shown[64];
static PyObject *as_text(long number) {
    snprintf(shown, sizeof shown, "%ld", number);
    busy(20);
    return PyUnicode_FromString(shown);
}
static PyObject *repr(Shown *self) { return as_text(self->number); }
static PyObject *get(Shown *self, PyObject *key) {
    long n = PyLong_AsLong(key);
    return n == -1 && PyErr_Occurred() ? NULL : as_text(n);
}
static PyObject *get_number(Shown *self, void *closure) {
    struct timespec a_while = {0, 1000};
    long before = ++self->number;
    nanosleep(&a_while, NULL);
    if (self->number != before) abort();
    return PyLong_FromLong(before);
}
static PyGetSetDef attributes[] = { {"number", (getter)get_number, NULL, "its number", NULL}, {0} };
static PyType_Slot parts[] = { {Py_tp_repr, repr}, {Py_mp_subscript, get}, {Py_tp_getset, attributes}, {0, NULL} };
static PyType_Spec spec = { "c_slots.Shown", sizeof(Shown), 0, Py_TPFLAGS_DEFAULT, parts };
"""
"""``repr()`` and ``thing[n]`` by way of one buffer for all, for 20 microseconds each; and an attribute that counts."""


@pytest.fixture(scope="module")
def slotted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slotted")
    fill = 'if (PyModule_AddObjectRef(module, "Shown", PyType_FromSpec(&spec)) < 0) return -1;'
    compiled(folder, "c_slots", source("c_slots", BODY + TYPE, fill=fill))
    return folder


def test_slots_are_reached_by_their_methods(slotted):
    found = reaching.read([slotted / "c_slots.c"], rules=frozenset(), functions=frozenset(), variables=["shown"])
    assert [(one.function, one.method, one.way) for one in found.reached] == [
        ("repr", "__repr__", ("as_text", "repr")),
        ("get", "__getitem__", ("as_text", "get")),
    ]


@pytest.mark.parametrize(
    ("which", "workload", "said"),
    [
        (("--variable", "shown"), "own", "c_slots.Shown.__getitem__ confirmed: wrong result, only without the GIL"),
        (("--only", "FT307"), "object", "c_slots.Shown.number confirmed: crashes only without the GIL"),
    ],
    ids=["slot", "attribute"],
)
def test_slots_and_attributes_are_confirmed(slotted, capsys, which, workload, said):
    """Each of four threads reads it all the time; see NAMELESS for how often two must meet."""
    words = [str(slotted / "c_slots.c"), "--path", str(slotted), *which, "--workload", workload, "--seconds=0.3"]
    assert cli.main(["confirm", *words, "--times=3"]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert said in shown
    assert {"own": "thing.__getitem__(n + 1000)", "object": "thing.number"}[workload] in shown


def test_slots_have_no_method(tmp_path):
    text = """
    #include <Python.h>
    static PyObject *next(PyObject *self) {
        Py_ssize_t at = 0; PyObject *key, *value;
        PyObject *dict = ((struct walker *)self)->dict;
        if (PyDict_Next(dict, &at, &key, &value)) return Py_NewRef(key);
        return NULL;
    }
    static PyType_Slot slots[] = { {Py_tp_finalize, next}, {0, NULL} };
    PyMODINIT_FUNC PyInit_c_slots(void) { return NULL; }
    """
    (tmp_path / "c_slots.c").write_text(text, encoding="utf-8")
    found = reaching.read([tmp_path], rules=frozenset(("FT103",)), functions=frozenset(), variables=())
    assert [why for _, why in found.unreached] == [
        "it is reached only by slots of types (tp_finalize): name a callable with --callable"
    ]


def test_cython_functions_are_their_own_callables(tmp_path):
    text = "# cython: freethreading_compatible=True\ncdef int hits\ndef count():\n    global hits\n    hits += 1\n"
    (tmp_path / "c_cython.pyx").write_text(text, encoding="utf-8")
    found = reaching.read([tmp_path], rules=frozenset(("FT702",)), functions=frozenset(), variables=())
    assert [one.method for one in found.reached] == ["count"]
    assert found.modules == ("c_cython",)


def test_the_written_test_fails_and_pytest_survives(extension, confirmed, tmp_path):
    results = [named(confirmed, "walk", Kind.MUTATED), named(confirmed, "walk_locked", Kind.MUTATED)]
    path = tmp_path / "test_written.py"
    path.write_text(written.text(results, times=2, timeout=20), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", str(path)],
        env={**os.environ, "PYTHONPATH": str(extension)},
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert "ended with signal 6" in done.stdout
    assert "Fatal Python error: Aborted" in done.stdout


def run(gil, ended="well", *, said="", **more):
    return Run(
        gil, ended, gil if said == "" and ended == "well" else None, 10 if ended == "well" else 0, seconds=0.5, **more
    )


WORK = Workload(Kind.MUTATED, "pkg.mod.f", "pkg.mod", ("pkg.mod.f(shared)",), "{'key': 'value'}", "dict")


@pytest.mark.parametrize(("off", "on", "verdict"), [
    ("SIGSEGV", "well", Verdict.CRASH),
    ("SIGABRT", "well", Verdict.CRASH),
    ("SIGSEGV", "SIGSEGV", Verdict.WITH_GIL),
    ("well", "SIGSEGV", Verdict.WITH_GIL),
    ("hang", "well", Verdict.HANG),
    ("hang", "hang", Verdict.NOT_REPRODUCED),
    ("well", "hang", Verdict.NOT_REPRODUCED),
    ("well", "well", Verdict.NOT_REPRODUCED),
    ("status 1", "status 1", Verdict.NOT_CHECKED),
])  # fmt: skip
def test_judgement(off, on, verdict):
    one = judging.judge(WORK, lambda gil: run(gil, on if gil else off), times=5)
    assert one.verdict is verdict
    assert len(one.runs) == 10


def test_one_crash_of_many_is_left_open():
    runs = iter([run(False, "SIGSEGV"), *(run(bool(n % 2)) for n in range(1, 200))])
    one = judging.judge(WORK, lambda gil: next(runs), times=5)
    assert one.verdict is Verdict.OPEN
    assert len(one.runs) == 40  # more were made, and did not help
    assert "luck with a probability of 50%" in one.why


def test_a_gil_that_is_not_off_counts_for_nothing():
    one = judging.judge(WORK, lambda gil: Run(gil, "well", True, 10), times=3)
    assert one.verdict is Verdict.NOT_CHECKED
    assert "could not be turned off" in one.why


@pytest.mark.parametrize("wrong", [False, True])
def test_wrong_results_count_only_where_the_gil_has_none(wrong):
    bad = ("'b', alone 'a'",)
    one = judging.judge(WORK, lambda gil: run(gil, wrong=bad if wrong or not gil else ()), times=5)
    assert one.verdict is (Verdict.NOT_REPRODUCED if wrong else Verdict.WRONG)


REPORT = """
Current thread's C stack trace (most recent call first):
  Binary file "/usr/bin/python3.14t", at _Py_DumpStack+0x3a [0x6]
  Binary file "/lib/libc.so.6", at +0x3c050 [0x7]
  Binary file "/lib/pkg/mod.so", at f_walk+0x20 [0x8]
  Binary file "/nowhere/other.so", at +0x1270e [0x9]
  Binary file "/lib/pkg/mod.so" [0x8]
"""


def test_the_stack_of_a_crash_report():
    assert running.stack(REPORT) == ("f_walk", "other.so+0x1270e")
    assert running.stack("nothing of the kind") == ()


@pytest.fixture
def everything():
    place = Place("FT103", "src/mod.c", 12, "walk", "while (PyDict_Next(dict, &at, &key, &value)) {")
    crash = [run(False, "SIGSEGV", stack=("walk", "py_walk")), run(True)] * 5
    crashed = judging.judge(WORK, lambda gil: crash.pop(0), times=5)
    fine = judging.judge(
        Workload(Kind.OWN, "pkg.mod.g", "pkg.mod", ("pkg.mod.g(n)",)), lambda gil: run(gil, compared=True), times=5
    )
    results = (
        Result(crashed.verdict, crashed.callable, crashed.why, (Reached(place, "py_walk", "f", ("walk", "py_walk")),),
               crashed.workload, crashed.runs),
        fine,
        Result(Verdict.NOT_CHECKED, "pkg.mod.h", "none of 12 calls was accepted. Give --arguments"),
    )  # fmt: skip
    read = reaching.Source((), (), ("mod",), (("C", 3), ("Cython", 1)), 40, 2)
    left = ((Place("FT201", "src/mod.c", 90, "make"), "threads alone do not show what FT201 is about"),)
    return Confirmed(results, read, left, 3, "python", "3.14.2", ("src/mod.c: 9 methods reach it; the nearest 6 are tried",))


def test_what_is_printed(everything, golden):
    golden("confirm", "\n".join(listing.text(everything, colour=False)))


def test_the_written_test_can_be_read(everything, golden):
    golden("confirm_test", written.text(everything.results, times=5, timeout=30.0))


@pytest.mark.parametrize("kind", list(Kind))
def test_programs_are_python_and_deterministic(kind):
    one = Workload(kind, "m.T.f", "m", ("thing.f(shared)",), "[1]", "list", "m.T()")
    assert programs.program(one) == programs.program(one)
    compile(programs.program(one), "program", "exec")


def cli_confirm(extension, *words):
    return cli.main(["audit", "--confirm", "--path", str(extension), *words])


def test_the_command(extension, tmp_path, capsys):
    target = tmp_path / "test_it.py"
    status = cli_confirm(
        extension, str(extension / "c_confirm.c"), "--only", "ft103", "--function", "look", "--times", "3",
        "--seconds", "0.3", "--write-test", str(target), "--json",
    )  # fmt: skip
    said = capsys.readouterr()
    data = json.loads(said.out)
    schema = json.loads(
        importlib.resources.files("ftcheck.audit").joinpath("confirm-1.schema.json").read_text(encoding="utf-8")
    )
    jsonschema.validate(data, schema, jsonschema.Draft202012Validator)
    assert (status, data["results"][0]["verdict"]) == (1, Verdict.CRASH.value)
    assert "def test_c_confirm_walk_mutated_dict(tmp_path)" in target.read_text()
    assert "1 of the workloads are in" in said.err


@pytest.mark.parametrize(("words", "status", "said"), [
    ([], 2, "name a path"),
    (["/nowhere/at.c"], 2, "is not there"),
    (["c_confirm"], 2, "c_confirm.walk_locked"),
    (["no_such_module"], 3, "cannot be imported"),
    (["--callable", "c_confirm.z*"], 2, "matches none"),
    (["--callable", "c_confirm.walk", "--only", "FT103"], 2, "name its path"),
    (["--callable", "c_confirm.picky", "--times", "1"], 3, "nothing was run"),
    (["--callable", "c_confirm.walk", "--write-test", "/nowhere/at/test.py"], 2, "make it first"),
    (["{}", "--only", "FT999"], 2, "there is no rule FT999"),
    (["--callable", "c_confirm.walk", "--python", "/nowhere/python"], 3, "give --python another one"),
])  # fmt: skip
def test_errors_say_what_to_do(extension, capsys, words, status, said):
    assert cli_confirm(extension, *(one.replace("{}", str(extension)) for one in words)) == status
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--threads", "1"], ["--times", "many"], ["--workload", "dance"], ["--seconds", "0"]])
def test_wrong_usage_is_status_2(words):
    with pytest.raises(SystemExit) as ended:
        cli.main(["confirm", *words])
    assert ended.value.code == 2


def test_interrupted_it_leaves_nothing_behind(extension, tmp_path):
    """Its child calls for an hour: after SIGINT there is neither the child, nor its folder."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {
        **os.environ, "TMPDIR": str(temporary),
        "PYTHONPATH": os.pathsep.join([str(Path(ftcheck.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    code = "import sys; from ftcheck.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["confirm", "--path", str(extension), "--callable", "c_confirm.walk_locked", "--seconds", "3000"]
    process = subprocess.Popen([sys.executable, "-c", code, *words], env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(temporary.glob("ftcheck-confirm-*/workload.py")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "interrupted" in said
    assert not list(temporary.iterdir())

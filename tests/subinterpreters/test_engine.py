"""The engine on its own: what comes of a test in several interpreters of a child process."""

import os
import pickle
import subprocess
import sys
import textwrap
import time

import pytest

from ftcheck.subinterpreters import Task, run

from ..gil_modules import EVERY_INTERPRETER, MULTI_PHASE, NOT_USED, SINGLE_PHASE, build

pytest.importorskip("concurrent.interpreters")

COUNTER = """
static int hits;
static const int fixed = 3;
static PyObject *hit(PyObject *m, PyObject *a) { return PyLong_FromLong(++hits); }
static PyObject *look(PyObject *m, PyObject *a) { return PyLong_FromLong(fixed); }
static PyObject *die(PyObject *m, PyObject *a) { *(volatile int *)8 = 1; return NULL; }
static PyMethodDef methods[] = {
    {"hit", hit, METH_NOARGS}, {"look", look, METH_NOARGS}, {"die", die, METH_NOARGS}, {0} };
"""
PER_MODULE = """
typedef struct { int hits; } state;
static PyObject *hit(PyObject *m, PyObject *a) { return PyLong_FromLong(++((state *)PyModule_GetState(m))->hits); }
static PyMethodDef methods[] = { {"hit", hit, METH_NOARGS}, {0} };
"""
AT_IMPORT = "static int imports; static PyMethodDef methods[] = { {0} };"


def source(name, body, fill="", size="0"):
    text = MULTI_PHASE.format(name=name, slots=NOT_USED + EVERY_INTERPRETER, fill=fill)
    text = text.replace("#include <Python.h>\n", f"#include <Python.h>\n{body}\n")
    return text.replace(f'.m_name = "{name}",', f'.m_name = "{name}", .m_methods = methods, .m_size = {size},')


WITHOUT_THE_GIL = "\n#ifdef Py_GIL_DISABLED\nPyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED);\n#endif\n"
ONCE = """static int there;
    if (there++) { Py_DECREF(module); PyErr_SetString(PyExc_RuntimeError, "there already"); return NULL; }"""
SOURCES = {
    "leaky": source("leaky", COUNTER),
    "tidy": source("tidy", PER_MODULE, size="sizeof(state)"),
    "counts_imports": source("counts_imports", AT_IMPORT, fill="imports++;"),
    "old": SINGLE_PHASE.format(name="old", fill=WITHOUT_THE_GIL),
    "old_and_broken": SINGLE_PHASE.format(name="old_and_broken", fill=WITHOUT_THE_GIL + ONCE),
    "shares_the_gil": MULTI_PHASE.format(
        name="shares_the_gil", slots=NOT_USED + "{Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_SUPPORTED},",
        fill="",
    ),
    "wants_the_gil": MULTI_PHASE.format(name="wants_the_gil", slots=EVERY_INTERPRETER, fill=""),
}  # fmt: skip


@pytest.fixture(scope="module")
def extensions(tmp_path_factory):
    return build(tmp_path_factory.mktemp("extensions"), SOURCES)


@pytest.fixture
def outcome(tmp_path, extensions):
    """Runs ``test`` of a module with this text in three interpreters."""

    def call(text, *, function="test", rounds=5, timeout=60, interpreters=3, **parameters):
        file = tmp_path / "test_it.py"
        file.write_text(textwrap.dedent(text))
        task = Task(
            interpreters=interpreters,
            file=str(file),
            module="test_it",
            function=function,
            parameters={name: pickle.dumps(value) for name, value in parameters.items() if value is not tmp_path},
            folders=tuple(name for name, value in parameters.items() if value is tmp_path),
            path=(*sys.path, str(tmp_path), str(extensions)),
            rounds=rounds,
            seconds=None,
            timeout=timeout,
        )
        return run(task)

    return call


class TestNothingIsFound:
    def test_what_was_run(self, outcome):
        seen = outcome("def test(): sum(range(20_000))")
        assert (seen.interpreters, seen.rounds, seen.failed, seen.limit) == (3, 5, (), "rounds")
        assert seen.calls >= 3 + 5 * 3
        assert (seen.crash, seen.hang, seen.refused, seen.trouble) == ("", "", (), "")

    def test_calls_overlap(self, outcome):
        """Each round's interpreters meet, and then run for 50 ms: on any machine at least one round of 20 overlaps."""
        seen = outcome("import time\ndef test(): time.sleep(0.05)", rounds=20)
        assert seen.overlapped > 0

    def test_each_has_a_process_wide_memory_only_through_c(self, outcome):
        """A global of Python is one in each interpreter."""
        seen = outcome("calls = []\ndef test():\n  calls.append(1)\n  assert len(calls) < 500", rounds=2)
        assert seen.failed == ()

    def test_module_state_is_no_leak(self, outcome):
        seen = outcome("import tidy\nseen = []\ndef test():\n  seen.append(tidy.hit())\n  assert seen[-1] == len(seen)")
        assert (seen.failed, seen.statics, seen.watched) == ((), (), 1 if seen.watched >= 0 else -1)

    def test_a_method_parameters_and_a_folder(self, outcome, tmp_path):
        seen = outcome(
            """
            class TestA:
                def test(self, a, folder):
                    assert not hasattr(self, "x")
                    self.x = 1
                    a.append(2)
                    assert a == [1, 2]
                    assert not list(folder.iterdir())
                    (folder / "x").touch()
            """,
            function="TestA.test",
            a=[1],
            folder=tmp_path,
        )
        assert seen.failed == ()
        assert seen.rounds == 5

    def test_a_skip(self, outcome):
        assert outcome("import pytest\ndef test(): pytest.skip('not today')").skipped == "not today"

    def test_a_limit_of_time(self, tmp_path, extensions):
        (tmp_path / "test_it.py").write_text("import time\ndef test(): time.sleep(0.05)")
        seen = run(Task(2, str(tmp_path / "test_it.py"), "test_it", "test", {}, (), tuple(sys.path), None, 0.2, 60))
        assert seen.limit == "seconds"
        assert 1 <= seen.rounds <= 5


class TestLeaks:
    def test_state_that_the_first_leaves_to_the_others(self, outcome):
        seen = outcome("import leaky\ndef test(): assert leaky.hit() == 1")
        assert seen.alone == (2, 3)
        assert seen.leaks
        assert seen.rounds == 0  # what fails alone is not run together
        assert seen.failed[0].source == "def test(): assert leaky.hit() == 1"

    def test_the_variable_is_named_whether_the_test_notices_or_not(self, outcome):
        seen = outcome("import leaky\ndef test():\n  leaky.hit()\n  leaky.look()")
        assert seen.failed == ()
        if seen.watched < 0:
            pytest.skip("static memory cannot be looked at here")
        assert seen.statics == ("hits of leaky (written by the test)",)
        assert seen.watched == 1

    def test_what_every_import_writes_again(self, outcome):
        seen = outcome("import counts_imports\ndef test(): pass")
        if seen.watched < 0:
            pytest.skip("static memory cannot be looked at here")
        assert seen.statics == ("imports of counts_imports (written by the import for another interpreter)",)

    def test_what_is_only_read_is_not_named(self, outcome):
        assert outcome("import leaky\ndef test(): assert leaky.look() == 3").statics == ()


class TestFailures:
    def test_everywhere(self, outcome):
        seen = outcome("def test():\n  x = {}\n  x['a']")
        assert seen.alone == (1, 2, 3)
        assert not seen.leaks
        one = seen.failed[0]
        assert (one.kind, one.message, one.line, one.function) == ("KeyError", "'a'", 3, "test")
        assert one.text.startswith("Traceback (most recent call last):\n  File")
        assert "inside.py" not in one.text

    def test_only_together(self, outcome):
        """Fails once the counter that all share has passed 3, which it has when each has run alone."""
        seen = outcome("import leaky\ndef test(): assert leaky.hit() <= 3")
        assert seen.alone == ()
        assert {one.round for one in seen.failed} == {1, 2, 3, 4, 5}
        assert seen.failed_rounds == 5

    def test_enough_is_enough(self, outcome):
        seen = outcome("import leaky\ndef test(): assert leaky.hit() <= 3", rounds=200)
        assert (seen.limit, seen.failed_rounds) == ("failures", 20)

    @pytest.mark.parametrize("text", ["def test(): raise SystemExit(3)", "def test(): raise KeyboardInterrupt"])
    def test_what_is_no_exception(self, outcome, text):
        assert outcome(text).alone == (1, 2, 3)

    def test_the_place_is_in_the_test_not_in_the_library(self, outcome):
        seen = outcome("import json\ndef test():\n    json.loads('{')")
        assert (seen.failed[0].line, seen.failed[0].function) == (3, "test")

    def test_only_the_main_interpreter_may(self, outcome):
        seen = outcome("import signal\ndef test(): signal.signal(signal.SIGTERM, signal.SIG_DFL)")
        assert seen.failed[0].message == "signal only works in main thread of the main interpreter"


class TestModulesThatRefuse:
    @pytest.mark.parametrize("name", ["old", "shares_the_gil"])
    @pytest.mark.parametrize("text", ["import {}\ndef test(): pass", "def test():\n  import {}"])
    def test_are_named(self, outcome, name, text):
        assert outcome(text.format(name)).refused == (name,)

    def test_one_that_raises_when_it_is_made_twice(self, outcome):
        """As numpy does: the interpreter tries such a module in the main interpreter first, where it is made each time."""
        text = "def test():\n  try:\n    import old_and_broken\n  except ImportError:\n    import old_and_broken"
        assert outcome(text).refused == ("old_and_broken",)

    def test_whatever_a_package_makes_of_the_error(self, outcome):
        text = "try:\n  import old\nexcept ImportError:\n  raise ImportError('reinstall everything')\ndef test(): pass"
        assert outcome(text).refused == ("old",)

    def test_one_that_is_not_needed_is_named_too(self, outcome):
        """The test passes without it, but what it does then is something else than in one interpreter."""
        assert outcome("try:\n  import old\nexcept ImportError:\n  old = None\ndef test(): pass").refused == ("old",)

    def test_a_module_that_fails_for_another_reason(self, outcome):
        seen = outcome("import not_installed\ndef test(): pass")
        assert seen.refused == ()
        assert seen.not_imported.rstrip().endswith("ModuleNotFoundError: No module named 'not_installed'")

    def test_there_is_no_such_test(self, outcome):
        assert "has no attribute 'nothing'" in outcome("def test(): pass", function="nothing").not_imported


@pytest.mark.skipif("t" not in sys.abiflags, reason="a build with the GIL has it on always")
class TestTheGil:
    def test_each_has_its_own(self, outcome):
        assert outcome("def test(): pass").gil == ()

    def test_a_module_turns_it_on_where_it_is_imported(self, outcome):
        assert outcome("def test():\n  import wants_the_gil").gil == (1, 2, 3)


class TestDeaths:
    def test_a_crash_has_a_place(self, outcome):
        seen = outcome("import leaky\ndef test():\n  if leaky.hit() > 3: leaky.die()")
        assert (seen.crash, seen.during, seen.rounds) == ("SIGSEGV", "round 1", 1)
        assert "Segmentation fault" in seen.stacks
        assert "in test" in seen.stacks

    def test_a_crash_of_the_first_one_alone(self, outcome):
        seen = outcome("import leaky\ndef test(): leaky.die()")
        assert (seen.crash, seen.during) == ("SIGSEGV", "interpreter 1, which runs alone")

    def test_an_exit(self, outcome):
        seen = outcome("import os\ndef test(): os._exit(3)")
        assert (seen.crash, seen.during) == ("status 3", "interpreter 1, which runs alone")

    def test_a_hang(self, outcome):
        seen = outcome("import leaky, time\ndef test():\n  if leaky.hit() > 3: time.sleep(600)", timeout=4)
        assert (seen.hang, seen.crash, seen.limit) == ("round 1", "", "hang")
        assert "in _round" in seen.stacks

    def test_an_import_that_hangs(self, outcome):
        seen = outcome("import time\ntime.sleep(600)\ndef test(): pass", timeout=4)
        assert seen.hang == "importing the test in interpreter 1"

    def test_what_the_child_has_started_is_ended_with_it(self, outcome, tmp_path):
        text = f"""
            import subprocess, os
            def test():
                open({str(tmp_path / "pid")!r}, "w").write(str(subprocess.Popen(["sleep", "600"]).pid))
            """
        outcome(text, rounds=1, interpreters=2)
        pid, until = int((tmp_path / "pid").read_text()), time.monotonic() + 60
        while _alive(pid) and time.monotonic() < until:
            time.sleep(0.01)
        assert not _alive(pid)


def _alive(pid):
    """Not a process that has ended and that nobody has asked for its status."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def test_it_ends_when_its_parent_is_killed(tmp_path):
    """However that ends: no process stays, and no folder."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "test_it.py").write_text(
        f"import os, time\ndef test():\n  open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n  time.sleep(600)\n"
    )
    program = f"""
        import sys
        from ftcheck.subinterpreters import Task, run
        run(Task(2, {str(tmp_path / "test_it.py")!r}, "test_it", "test", {{}}, (), tuple(sys.path), 3, None, 600))
        """
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], env=environment)
    until = time.monotonic() + 60
    while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    pid = int((tmp_path / "pid").read_text())
    while (_alive(pid) or list((tmp_path / "tmp").iterdir())) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _alive(pid)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_heartbeats_are_the_rounds(tmp_path):
    (tmp_path / "test_it.py").write_text("def test(): pass")
    beats = []
    run(Task(2, str(tmp_path / "test_it.py"), "test_it", "test", {}, (), tuple(sys.path), 3, None, 60), beats.append)
    assert beats == sorted(beats)
    assert set(beats) == {1, 2, 3}


def test_output_is_kept(outcome):
    seen = outcome("import sys\ndef test():\n  print('to stdout')\n  print('to stderr', file=sys.stderr)", rounds=1)
    assert "to stdout" in seen.output
    assert "to stderr" in seen.output

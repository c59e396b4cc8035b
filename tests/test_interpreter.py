"""interpreter.py: what it says of this interpreter, and that it names who turned the GIL on."""

import importlib
import importlib.util
import os
import platform
import shlex
import subprocess
import sys
import sysconfig
from importlib.machinery import ExtensionFileLoader
from types import SimpleNamespace

import pytest

from ftcheck import interpreter
from ftcheck.interpreter import GilEvent, GilWatch

free_threaded = pytest.mark.skipif(not interpreter.free_threaded_build(), reason="a build with the GIL has it on always")
gil_is_off = pytest.mark.skipif(interpreter.gil_enabled(), reason="the GIL is on already: nothing can turn it on")


class TestFacts:
    def test_cpus_are_those_this_process_may_use(self, monkeypatch):
        assert interpreter.cpus() == os.process_cpu_count()
        monkeypatch.setattr(os, "process_cpu_count", lambda: None)
        assert interpreter.cpus() == 1

    def test_the_build(self, child):
        assert interpreter.free_threaded_build() == ("t" in sys.abiflags)

    @free_threaded
    @pytest.mark.parametrize(
        ("setting", "forced", "enabled", "words"),
        [
            ("1", True, True, "GIL on (forced by PYTHON_GIL=1)"),
            ("0", False, False, "GIL off (forced by PYTHON_GIL=0)"),
            ("", None, False, "GIL off"),
        ],
    )
    def test_the_gil_of_a_child(self, child, setting, forced, enabled, words):
        done = child(
            """
            from ftcheck import interpreter
            print(interpreter.gil_forced(), interpreter.gil_enabled())
            print(interpreter.describe())
            """,
            PYTHON_GIL=setting,
        )
        facts, line = done.stdout.splitlines()
        assert facts == f"{forced} {enabled}"
        assert f" free-threaded, {words}, " in line

    @pytest.mark.parametrize(("cpus", "words"), [(1, "1 CPU"), (2, "2 CPUs")])
    def test_the_line_for_a_header(self, monkeypatch, cpus, words):
        monkeypatch.setattr(interpreter, "cpus", lambda: cpus)
        line = interpreter.describe()
        assert line.startswith(f"CPython {platform.python_version()} ")
        assert line.endswith(f", {words}")

    def test_the_line_of_a_build_with_the_gil(self, monkeypatch):
        monkeypatch.setattr(interpreter, "free_threaded_build", lambda: False)
        assert " with the GIL (not a free-threaded build), " in interpreter.describe()


class TestGilEvent:
    @pytest.mark.parametrize(
        ("event", "text"),
        [
            (GilEvent(()), "the GIL was turned on; no extension module that asks for it was found"),
            (GilEvent(("a",)), "importing 'a' turned the GIL on (no Py_mod_gil = Py_MOD_GIL_NOT_USED)"),
            (
                GilEvent(("a", "b.c"), "x.py:3"),
                "importing 'a', 'b.c' turned the GIL on (no Py_mod_gil = Py_MOD_GIL_NOT_USED), imported at x.py:3",
            ),
        ],
    )
    def test_says_who_did_it(self, event, text):
        assert event.text == text


SOURCE = """\
#include <Python.h>
static PyModuleDef_Slot slots[] = {%s {0, NULL}};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "%s", .m_slots = slots};
PyMODINIT_FUNC PyInit_%s(void) { return PyModuleDef_Init(&definition); }
"""


@pytest.fixture(scope="module")
def extensions(tmp_path_factory):
    """A folder with two extension modules: ``wants_the_gil`` and ``needs_no_gil``."""
    folder = tmp_path_factory.mktemp("extensions")
    compiler = shlex.split(os.environ.get("CC") or "cc")
    for name, slot in (("wants_the_gil", ""), ("needs_no_gil", "{Py_mod_gil, Py_MOD_GIL_NOT_USED},")):
        (folder / f"{name}.c").write_text(SOURCE % (slot, name, name))
        target = folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
        command = [
            *compiler,
            "-shared",
            "-fPIC",
            f"-I{sysconfig.get_path('include')}",
            str(folder / f"{name}.c"),
            "-o",
            target,
        ]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as missing:
            pytest.skip(f"no C compiler that works with this Python: {missing}")
    return folder


@free_threaded
class TestGilWatch:
    """In child interpreters: once the GIL is on, it stays on."""

    PROGRAM = """
        import importlib, sys
        sys.path.insert(0, {folder!r})
        from ftcheck.interpreter import GilWatch
        watch = GilWatch()
        line = None
        def show(event): print(event and (event.modules, event.importer == (line and f"{{__file__}}:{{line}}" or "")))
        """

    def run(self, child, extensions, program, **environment):
        options = {"PYTHON_GIL": "", "PYTHONWARNINGS": "ignore", **environment}
        lines = self.PROGRAM.format(folder=str(extensions)) + program
        done = child(lines, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    @pytest.mark.parametrize("warnings", ["ignore", "error", "default"])
    def test_names_the_module_and_the_line_whatever_becomes_of_the_warning(self, child, extensions, warnings):
        lines = self.run(
            child,
            extensions,
            """
        watch.install()
        import needs_no_gil
        show(watch.take())
        try:
            line = sys._getframe().f_lineno; import wants_the_gil
        except RuntimeWarning:
            pass
        show(watch.take())
        show(watch.take())
        """,
            PYTHONWARNINGS=warnings,
        )
        assert lines == ["None", "(('wants_the_gil',), True)", "None"]

    def test_importlib_is_not_the_importer(self, child, extensions):
        lines = self.run(
            child,
            extensions,
            """
        watch.install()
        line = sys._getframe().f_lineno; importlib.import_module("wants_the_gil")
        show(watch.take())
        """,
        )
        assert lines == ["(('wants_the_gil',), True)"]

    def test_what_happened_before_it_was_installed_is_found_afterwards(self, child, extensions):
        """In a child interpreter of its own, which imports everything again."""
        lines = self.run(
            child,
            extensions,
            """
        import needs_no_gil, wants_the_gil
        show(watch.take())
        """,
        )
        assert lines == ["(('wants_the_gil',), True)"]

    def test_uninstalled_it_sees_nothing_new_but_the_state(self, child, extensions):
        lines = self.run(
            child,
            extensions,
            """
        from importlib.machinery import ExtensionFileLoader as loader
        before = loader.create_module, loader.exec_module
        watch.install(); watch.install()
        print((loader.create_module, loader.exec_module) == before)
        watch.uninstall(); watch.uninstall()
        print((loader.create_module, loader.exec_module) == before)
        """,
        )
        assert lines == ["False", "True"]

    def test_forced_off_nothing_turns_it_on(self, child, extensions):
        lines = self.run(
            child,
            extensions,
            """
        watch.install()
        import wants_the_gil
        show(watch.take())
        """,
            PYTHON_GIL="0",
        )
        assert lines == ["None"]

    def test_where_the_gil_is_on_already_nothing_is_wrapped(self, child, extensions):
        lines = self.run(
            child,
            extensions,
            """
        from importlib.machinery import ExtensionFileLoader as loader
        before = loader.create_module
        watch.install()
        import wants_the_gil
        print(loader.create_module is before)
        show(watch.take())
        """,
            PYTHON_GIL="1",
        )
        assert lines == ["True", "None"]


@gil_is_off
def test_an_import_that_fails_still_tells_who_turned_the_gil_on(monkeypatch):
    """The module's own init raises after the interpreter has let the GIL in."""
    state = iter([False, True, True, True])

    def original(loader, subject):
        raise ImportError("half way")

    watch = GilWatch()
    monkeypatch.setattr(ExtensionFileLoader, "create_module", original)
    monkeypatch.setattr(ExtensionFileLoader, "exec_module", ExtensionFileLoader.exec_module)
    watch.install()
    try:
        monkeypatch.setattr(interpreter, "gil_enabled", lambda: next(state))
        with pytest.raises(ImportError, match="half way"):
            ExtensionFileLoader.create_module(SimpleNamespace(name="broken"), SimpleNamespace(name="package.broken"))
        event = watch.take()
    finally:
        watch.uninstall()
    assert event.modules == ("package.broken",)
    assert event.importer.startswith(f"{__file__}:")


class TestWhoNeedsTheGil:
    def test_no_answer_in_time_is_no_name(self):
        assert interpreter.who_needs_the_gil(timeout=0.001) == ()

    def test_an_interpreter_that_cannot_be_started(self, monkeypatch):
        monkeypatch.setattr(sys, "executable", "/nonexistent/python")
        assert interpreter.who_needs_the_gil() == ()

    @free_threaded
    def test_names_every_one_not_only_the_first(self, monkeypatch, extensions):
        spec = importlib.util.spec_from_file_location("wants_the_gil", str(next(extensions.glob("wants_the_gil.*.so"))))
        for name in ("wants_the_gil", "needs_no_gil"):
            monkeypatch.setitem(sys.modules, name, SimpleNamespace(__spec__=spec))
        monkeypatch.syspath_prepend(str(extensions))
        monkeypatch.setattr(sys, "modules", {name: sys.modules[name] for name in ("wants_the_gil", "needs_no_gil")})
        assert interpreter.who_needs_the_gil() == ("wants_the_gil",)

"""gil_watch.py: that the GIL's coming on is noticed, and every module named that asks for it."""

import importlib
import sys
import textwrap
from importlib.machinery import ExtensionFileLoader
from types import SimpleNamespace

import pytest

from ftcheck import gil_watch, interpreter
from ftcheck.gil_watch import GilEvent, GilWatch

from .gil_modules import SINGLE_PHASE, build

TAKES_ITS_TIME = SINGLE_PHASE.format(
    name="takes_its_time",
    fill="""
#ifdef Py_GIL_DISABLED
    PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED);
#endif
    PyObject *look = PyDict_GetItemString(PyEval_GetBuiltins(), "during_the_init");
    PyObject *seen = PyObject_CallNoArgs(look);
    if (!seen) return NULL;
    Py_DECREF(seen);
""",
)

free_threaded = pytest.mark.skipif(not interpreter.free_threaded_build(), reason="a build with the GIL has it on always")
gil_is_off = pytest.mark.skipif(interpreter.gil_enabled(), reason="the GIL is on already: nothing can turn it on")


@pytest.fixture(scope="module")
def extensions(tmp_path_factory):
    """A folder with extension modules: see ``gil_modules.py``."""
    return build(tmp_path_factory.mktemp("extensions"))


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
            (
                GilEvent(("a",), first=False),
                "importing 'a' would have turned the GIL on, too (no Py_mod_gil = Py_MOD_GIL_NOT_USED)",
            ),
        ],
    )
    def test_says_who_did_it(self, event, text):
        assert event.text == text


@free_threaded
class TestGilWatch:
    """In child interpreters: once the GIL is on, it stays on."""

    PROGRAM = """
        import importlib, sys
        sys.path.insert(0, {folder!r})
        from ftcheck.gil_watch import GilWatch
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
        monkeypatch.setattr(gil_watch, "gil_enabled", lambda: next(state))
        with pytest.raises(ImportError, match="half way"):
            ExtensionFileLoader.create_module(SimpleNamespace(name="broken"), SimpleNamespace(name="package.broken"))
        event = watch.take()
    finally:
        watch.uninstall()
    assert event.modules == ("package.broken",)
    assert event.importer.startswith(f"{__file__}:")


@free_threaded
class TestEveryModuleIsNamed:
    """The interpreter warns once; a second module that asks for the GIL changes nothing that could be seen from outside."""

    run = TestGilWatch.run
    PROGRAM = TestGilWatch.PROGRAM

    def test_the_second_one_too(self, child, extensions):
        lines = self.run(child, extensions, """
        watch.install()
        import wants_the_gil, needs_no_gil, wants_it_too, single_phase
        print(watch.take().modules)
        """)  # fmt: skip
        assert lines == ["('wants_the_gil', 'wants_it_too', 'single_phase')"]

    def test_an_extension_that_imports_one_is_not_named_with_it(self, child, extensions):
        lines = self.run(child, extensions, """
        watch.install()
        import imports_one
        event = watch.take()
        print(event.modules, [one.partition(" /")[0] for one in event.chain])
        """)  # fmt: skip
        assert lines == ["""('wants_the_gil',) ["by the extension module 'imports_one'", 'at']"""]

    def test_one_that_declares_by_a_call_is_not_named(self, child, extensions):
        lines = self.run(child, extensions, """
        watch.install()
        import single_phase_without
        show(watch.take())
        print(sys._is_gil_enabled())
        """)  # fmt: skip
        assert lines == ["None", "False"]

    def test_where_it_is_on_already_they_are_named_if_asked(self, child, extensions):
        lines = self.run(child, extensions, """
        import wants_the_gil
        seen = []
        watch = GilWatch(lambda event: seen.append((event.modules, event.first)))
        watch.install(whatever=True)
        import needs_no_gil, wants_it_too
        print(seen, watch.loaded)
        """)  # fmt: skip
        assert lines == ["[(('wants_it_too',), False)] 2"]

    def test_those_in_the_process(self, child, extensions):
        lines = self.run(child, extensions, """
        from ftcheck.gil_watch import asking
        print(asking())
        import wants_the_gil, needs_no_gil, wants_it_too
        print(asking())
        """)  # fmt: skip
        assert lines == ["()", "('wants_the_gil', 'wants_it_too')"]

    def test_what_the_callback_returns_is_raised_in_place_of_the_import(self, child, extensions):
        lines = self.run(child, extensions, """
        watch = GilWatch(lambda event: KeyError(event.modules[0]))
        watch.install()
        try: import wants_the_gil
        except KeyError as error: print(error, "wants_the_gil" in sys.modules)
        import needs_no_gil
        """)  # fmt: skip
        assert lines == ["'wants_the_gil' False"]

    def test_threads_that_import_at_the_same_time(self, child, extensions):
        """Each of them is blamed for what it has imported, not for what another one did meanwhile."""
        lines = self.run(child, extensions, """
        import threading
        watch.install()
        names = ["wants_the_gil", "needs_no_gil", "wants_it_too", "single_phase", "single_phase_without", "imports_one"]
        gate = threading.Barrier(len(names))
        def load(name):
            gate.wait()
            __import__(name)
        threads = [threading.Thread(target=load, args=(name,)) for name in names]
        for one in threads: one.start()
        for one in threads: one.join()
        print(sorted(watch.take().modules))
        """)  # fmt: skip
        assert lines == ["['single_phase', 'wants_it_too', 'wants_the_gil']"]

    @pytest.mark.parametrize("phase", ["create_module", "exec_module"])
    @pytest.mark.parametrize("fails", [False, True], ids=["succeeds", "fails"])
    def test_one_that_is_loaded_while_another_thread_turns_it_on(self, child, extensions, phase, fails):
        """The GIL comes on in the middle of this load, and the other thread has not yet said whose doing that was."""
        lines = self.run(child, extensions, f"""
        import threading
        from importlib.machinery import ExtensionFileLoader
        inside, on, named = threading.Event(), threading.Event(), threading.Event()
        load = ExtensionFileLoader.{phase}
        def slowly(loader, subject):
            if loader.name == "needs_no_gil":
                inside.set(), on.wait()
                if {fails}: raise ImportError("not today")
            return load(loader, subject)
        ExtensionFileLoader.{phase} = slowly
        before = ExtensionFileLoader.create_module
        def turns_it_on(loader, subject):
            module = before(loader, subject)
            if loader.name == "wants_the_gil":
                on.set(), named.wait()
            return module
        ExtensionFileLoader.create_module = turns_it_on
        watch.install()
        def other():
            inside.wait()
            import wants_the_gil
        thread = threading.Thread(target=other)
        thread.start()
        try: import needs_no_gil
        except ImportError as error: print(error)
        named.set()
        thread.join()
        print(watch.take().modules)
        """)  # fmt: skip
        assert lines == ["not today"] * fails + ["('wants_the_gil',)"]

    def test_while_a_module_is_created_the_gil_is_on_for_a_moment_only(self, child, tmp_path):
        """So says the interpreter, on all threads; that is not what a test is told of."""
        folder = build(tmp_path, {"takes_its_time": TAKES_ITS_TIME})
        lines = self.run(child, folder, """
        import threading
        from ftcheck.gil_watch import gil_enabled
        watch.install()
        loads = threading.Thread(target=__import__, args=("takes_its_time",))
        def look():
            print(sys._is_gil_enabled(), gil_enabled(), watch.take())
        import builtins
        builtins.during_the_init = look
        loads.start()
        loads.join()
        print(sys._is_gil_enabled(), gil_enabled(), watch.take())
        """)  # fmt: skip
        assert lines == ["True False None", "False False None"]


@free_threaded
@pytest.mark.parametrize("how", ["import broken", "importlib.import_module('broken')"])
def test_a_traceback_is_what_it_is_without_us(child, extensions, how):
    """An extension whose initialisation raises: no frame of the watch is in it."""
    program = f"""
        import importlib, sys, traceback
        sys.path.insert(0, {str(extensions)!r})
        if WATCHED:
            from ftcheck.gil_watch import GilWatch
            GilWatch().install()
        try:
            {how}
        except ValueError:
            traceback.print_exc(file=sys.stdout)
        """
    without, watched = (child(f"WATCHED = {value}\n" + textwrap.dedent(program)).stdout for value in (False, True))
    assert "ValueError: not today" in without
    kept = [line for line in watched.splitlines() if "_call_with_frames_removed" not in line]
    assert kept == [line for line in without.splitlines() if "_call_with_frames_removed" not in line]
    if how == "import broken":
        assert watched.count("File") == without.count("File") == 1


class TestWhereItCannotBeTold:
    def test_without_the_core_the_state_decides(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "ftcheck._core", None)
        monkeypatch.delattr("ftcheck._core", raising=False)
        assert gil_watch.requires_gil(sys) is None

    @free_threaded
    @pytest.mark.parametrize("thing", [object(), 3, None])
    def test_what_is_no_module_asks_for_it(self, thing):
        """As the interpreter has it: Py_mod_create may make anything."""
        assert gil_watch.requires_gil(thing) is True

    @free_threaded
    def test_a_module_of_the_interpreter_does_not(self):
        assert gil_watch.requires_gil(importlib.import_module("math")) is False

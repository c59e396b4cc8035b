"""guard.py, guard_program.py, guard_command.py: what is said, and that a program runs as it does without."""

import os
import signal
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

import ftcheck
from ftcheck import cli, guard, guard_command, interpreter

from .gil_modules import build

SOURCES = str(Path(ftcheck.__file__).parents[1])
free_threaded = pytest.mark.skipif(not interpreter.free_threaded_build(), reason="a build with the GIL has it on always")


@pytest.fixture(scope="module")
def extensions(tmp_path_factory):
    return build(tmp_path_factory.mktemp("extensions"))


@pytest.fixture
def run(tmp_path, extensions):
    """Runs an interpreter with these words in a folder of its own; the extension modules can be imported."""

    def call(*words, stdin="", **environment):
        clean = {name: value for name, value in os.environ.items() if name not in ("PYTHON_GIL", guard.VARIABLE)}
        path = os.pathsep.join([SOURCES, str(extensions)])
        return subprocess.run(
            [sys.executable, "-W", "ignore", *words], cwd=tmp_path, input=stdin, capture_output=True, text=True, timeout=120,
            env={**clean, "PYTHONPATH": path, **environment}, check=False,
        )  # fmt: skip

    return call


@pytest.fixture
def program(tmp_path):
    """Writes a script, and gives its name."""

    def write(text, name="app.py"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return name

    return write


@free_threaded
class TestWhatIsSaid:
    def test_every_module_and_who_imported_it(self, run, program, tmp_path, golden):
        program("import wants_it_too\n", "pkg/__init__.py")
        script = program("""
            import needs_no_gil
            import imports_one
            def later():
                import pkg
            later()
            print("done")
            """)
        done = run("-m", "ftcheck.guard", script)
        assert (done.returncode, done.stdout) == (0, "done\n")
        golden("guard_warn", done.stderr.replace(str(tmp_path), "APP").rstrip())

    def test_raise(self, run, program, tmp_path, golden):
        script = program("""
            try:
                import wants_the_gil
            except ImportError:
                print("an optional import does not swallow it")
            """)
        done = run("-m", "ftcheck.guard", "--action=raise", script)
        assert (done.returncode, done.stdout) == (1, "")
        golden("guard_raise", done.stderr.replace(str(tmp_path), "APP").rstrip())

    def test_raise_that_is_swallowed_is_said_at_the_end(self, run, program):
        script = program("""
            import sys
            try:
                import wants_the_gil
            except Exception as error:
                print(type(error).__name__, "wants_the_gil" in sys.modules)
            """)
        done = run("-m", "ftcheck.guard", "--action=raise", script)
        assert (done.returncode, done.stdout) == (0, "GilEnabledError False\n")
        assert done.stderr.splitlines()[-1].startswith(
            "ftcheck guard: the GIL was on at the end; asked for by: wants_the_gil"
        )

    def test_exit(self, run, program, tmp_path, golden):
        script = program("""
            import atexit, threading
            atexit.register(print, "not reached")
            print("before")
            def work():
                try:
                    import wants_the_gil
                finally:
                    print("not reached")
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            print("not reached")
            """)
        done = run("-m", "ftcheck.guard", "--action", "exit", script)
        assert (done.returncode, done.stdout) == (guard.EXIT_STATUS, "before\n")
        golden("guard_exit", done.stderr.replace(str(tmp_path), "APP").rstrip())

    @pytest.mark.parametrize("action", guard.ACTIONS)
    def test_nothing_where_nothing_asks_for_it(self, run, program, action):
        script = program("import needs_no_gil, single_phase_without, json, sqlite3; print('fine')")
        done = run("-m", "ftcheck.guard", f"--action={action}", script)
        assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")

    @pytest.mark.parametrize(("setting", "words"), [("0", "keeps the GIL off"), ("1", "has the GIL on all the time")])
    @pytest.mark.parametrize("action", guard.ACTIONS)
    def test_that_it_can_see_nothing(self, run, program, setting, words, action):
        script = program("import wants_the_gil; print('went on')")
        done = run("-m", "ftcheck.guard", f"--action={action}", script, PYTHON_GIL=setting)
        assert (done.returncode, done.stdout) == (0, "went on\n")
        assert done.stderr.startswith(f"ftcheck guard: nothing is watched: PYTHON_GIL={setting} ")
        assert words in done.stderr

    def test_of_a_build_with_the_gil(self, monkeypatch, capsys):
        monkeypatch.setattr(sys, "abiflags", "")
        assert guard.install("exit").watching is False
        assert "(Python 3.14 is not 3.14t)" in capsys.readouterr().err


@free_threaded
class TestInstall:
    def test_what_happened_before_is_said_at_once(self, run, program):
        script = program("""
            import wants_the_gil, wants_it_too
            from ftcheck import guard
            try:
                guard.install("raise")
            except guard.GilEnabledError as error:
                print(error.event.modules)
            """)
        assert run(script).stdout == "('wants_the_gil', 'wants_it_too')\n"

    def test_events_are_handed_over(self, run, program):
        script = program("""
            from ftcheck import guard
            seen = []
            watching = guard.install(on_event=seen.append)
            import wants_the_gil, wants_it_too
            print([(one.modules, one.first) for one in seen], seen == watching.events, watching.watching)
            """)
        assert run(script).stdout == "[(('wants_the_gil',), True), (('wants_it_too',), False)] True True\n"

    def test_stopped_it_says_nothing(self, run, program):
        script = program("""
            from ftcheck import guard
            guard.install().stop()
            import wants_the_gil
            """)
        assert run(script).stderr == ""

    @pytest.mark.parametrize("action", ["", "Warn", "stop", None])
    def test_no_such_action(self, action):
        with pytest.raises(ValueError, match="action must be one of warn, raise, exit, not"):
            guard.install(action)

    def test_costs_no_heavy_import(self, run):
        done = run(
            "-c", "import sys; before = set(sys.modules); import ftcheck.guard; print(*sorted(set(sys.modules) - before))"
        )
        heavy = {"threading", "subprocess", "dataclasses", "inspect", "argparse", "pytest", "ftcheck._core", "logging"}
        assert heavy & set(done.stdout.split()) == set()


@free_threaded
class TestTheProgramRunsAsItDoes:
    """The same words to the interpreter, with and without the guard: what is printed, raised and returned is the same."""

    def both(self, run, *words, options=(), **settings):
        without, watched = run(*options, *words, **settings), run(*options, "-m", "ftcheck.guard", *words, **settings)
        assert (watched.returncode, watched.stdout, watched.stderr) == (without.returncode, without.stdout, without.stderr)
        return without

    def test_a_script(self, run, program):
        script = program("""
            import os, sys
            main = sys.modules["__main__"]
            print(sys.argv, sys.path[0], __name__, __file__, __spec__, __package__, __doc__, type(__loader__).__name__)
            print(sorted(vars(main)), main.__dict__ is globals(), sys.stdin.read(), os.getcwd())
            """)
        assert "['app.py', '-x', '--action=no']" in self.both(run, script, "-x", "--action=no", stdin="input").stdout

    @pytest.mark.parametrize("options", [(), ("-P",), ("-X", "dev")])
    def test_a_script_elsewhere_and_options_of_the_interpreter(self, run, program, options):
        script = program("import sys; print(sys.path[0], sys.flags)", "deep/er/app.py")
        self.both(run, script, options=options)

    def test_a_link_to_a_script(self, run, program, tmp_path):
        program("import sys, helper; print(sys.path[0], __file__)", "real/app.py")
        program("", "real/helper.py")
        (tmp_path / "link.py").symlink_to("real/app.py")
        self.both(run, "link.py")

    def test_a_package_and_a_module(self, run, program):
        program("import sys; print(__name__, __package__, sys.argv, __spec__.name, sys.path[0])", "pkg/__main__.py")
        program("import sys; print(__name__, __package__, sys.argv, __spec__.name, sys.path[0])", "mod.py")
        self.both(run, "-m", "pkg", "a", "-m")
        self.both(run, "-m", "mod")
        assert self.both(run, "-m", "nothing.there").returncode == 1

    def test_a_folder_and_a_zip(self, run, program, tmp_path):
        program("import sys, inner; print(sys.argv, sys.path[0], __spec__ is None, inner.x)", "folder/__main__.py")
        program("x = 1", "folder/inner.py")
        with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
            for name in ("__main__.py", "inner.py"):
                archive.write(tmp_path / "folder" / name, name)
        assert self.both(run, "folder", "a").returncode == 0
        assert self.both(run, "app.zip").returncode == 0

    def test_code_and_standard_input(self, run):
        self.both(run, "-c", "import sys; print(sys.argv, repr(sys.path[0]), __name__)", "a")
        assert self.both(run, "-", "a", stdin="import sys; print(sys.argv, repr(sys.path[0]))").stdout.startswith(
            "['-', 'a']"
        )

    @pytest.mark.parametrize(
        "text",
        [
            "def f(): 1 / 0\nf()",
            "raise SystemExit(7)",
            "raise SystemExit('words')",
            "import sys; sys.exit()",
            "import os; os._exit(9)",
            "raise BaseException('all the way')",
            "x = (",
            "import sys; sys.excepthook = lambda k, v, t: print(k, t.tb_frame.f_code.co_name, t.tb_next); raise KeyError",
            "try:\n  1/0\nexcept Exception as e:\n  raise ValueError('x') from e",
            "import threading; threading.Thread(target=lambda: 1/0, name='t').start()",
            "import atexit; atexit.register(print, 'at exit'); raise ExceptionGroup('g', [ValueError(1)])",
            "import warnings; warnings.simplefilter('always'); warnings.warn('careful')",
            "import traceback; traceback.print_stack()",
        ],
    )
    def test_how_it_ends(self, run, program, text):
        script = program(text)
        if "print_stack" in text:  # the one thing that looks: our own frames are below the program's
            assert run("-m", "ftcheck.guard", script).stderr.endswith(run(script).stderr)
        else:
            self.both(run, script)

    def test_there_is_no_such_file(self, run):
        assert self.both(run, "missing.py").returncode == 2

    def test_interrupted(self, run, program):
        """It ends by the signal itself, as a shell expects."""
        script = program("raise KeyboardInterrupt")
        assert self.both(run, script).returncode == -signal.SIGINT

    def test_a_child_of_multiprocessing_finds_main_again(self, run, program):
        script = program("""
            import multiprocessing
            def work(x): return x + 1
            if __name__ == "__main__":
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    print(pool.map(work, [1, 2]))
            """)
        assert self.both(run, script).stdout == "[2, 3]\n"

    @pytest.mark.parametrize(
        "words", [(), ("--action",), ("--action=loud", "x.py"), ("--actoin=warn", "x.py"), ("-m",), ("-c",), ("--",)]
    )
    def test_wrong_usage_is_status_2(self, run, words):
        done = run("-m", "ftcheck.guard", *words)
        assert done.returncode == 2
        assert done.stderr.startswith("usage: python -m ftcheck.guard")

    def test_help(self, run):
        done = run("-m", "ftcheck.guard", "--help")
        assert (done.returncode, done.stderr) == (0, "")


class TestTheEnvironmentVariable:
    def test_says_what_it_does_not_know(self, capsys):
        assert guard.from_environment({guard.VARIABLE: "loud"}) is None
        assert "FTCHECK_GUARD must be one of warn, raise, exit, not 'loud'" in capsys.readouterr().err

    def test_is_silent_where_it_is_not_set(self, capsys):
        assert guard.from_environment({}) is None
        assert capsys.readouterr().err == ""

    @free_threaded
    def test_the_line_in_the_pth_file(self, run, program, tmp_path):
        """What site does with the file: its line is executed in each interpreter, before the program."""
        folder = tmp_path / "site"
        folder.mkdir()
        assert guard_command._switch(folder, True) == 0
        line = next(iter(folder.glob("*.pth"))).read_text(encoding="utf-8")
        assert line.startswith("import ")
        assert line.count("\n") == 1
        script = program(f"import sys\nexec({line!r})\nprint('ftcheck' in sys.modules)\nimport wants_the_gil")
        assert run(script).stdout == "False\n"
        done = run(script, FTCHECK_GUARD="exit")
        assert (done.returncode, done.stdout) == (guard.EXIT_STATUS, "True\n")

    @free_threaded
    def test_in_a_virtual_environment_and_its_children(self, tmp_path, extensions):
        """Enabled, it works under -I, where PYTHONPATH does not, and in a child process."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
        site = next((tmp_path / "env").glob("lib/python*/site-packages"))
        (site / "a_path.pth").write_text(f"{SOURCES}\n{extensions}\n")
        python = tmp_path / "env" / "bin" / "python"
        code = "import sys; from ftcheck.cli import main; sys.exit(main(['guard', sys.argv[1]]))"
        environment = {**os.environ, "FTCHECK_GUARD": "warn"}

        def run(*words, **more):
            return subprocess.run([python, *words], capture_output=True, text=True, check=False, env=environment, **more)

        assert run("-c", code, "--enable").returncode == 0
        child = (
            "import subprocess, sys; subprocess.run([sys.executable, '-W', 'ignore', '-I', '-c', 'import wants_the_gil'])"
        )
        assert "importing 'wants_the_gil' turned the GIL on" in run("-c", child).stderr
        assert run("-c", code, "--disable").returncode == 0
        assert run("-c", child).stderr == ""

    def test_where_it_cannot_be_written(self, tmp_path, capsys):
        assert guard_command._switch(tmp_path / "missing", True) == 3
        assert "No such file or directory" in capsys.readouterr().err

    def test_disabling_what_is_not_enabled(self, tmp_path, capsys):
        assert guard_command._switch(tmp_path, False) == 0
        assert capsys.readouterr().out.startswith("there is none: ")


class TestTheCommand:
    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["guard"], "there is no command"),
            (["guard", "--"], "there is no command"),
            (["guard", "--", "/bin/ls"], "neither a Python interpreter nor a Python script"),
            (["guard", "--", "no-such-thing"], "there is no command no-such-thing"),
            (["guard", "--", "missing.py"], "there is no missing.py"),
            (["guard", "--enable", "--", "app.py"], "--enable and --disable run nothing"),
        ],
    )
    def test_wrong_usage_is_status_2(self, words, says, capsys):
        assert cli.main(words) == 2
        assert says in capsys.readouterr().err

    @pytest.mark.parametrize("words", [["guard", "--action=loud", "--", "x.py"], ["guard", "--enable", "--disable"]])
    def test_wrong_options_are_status_2(self, words, capsys):
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        assert ended.value.code == 2
        capsys.readouterr()

    @free_threaded
    def test_becomes_the_program(self, run, program):
        script = program("import sys, os, wants_the_gil; print(sys.argv, os.getpid(), sys.stdin.read()); sys.exit(5)")
        code = "import os, sys; print(os.getpid()); sys.stdout.flush(); from ftcheck.cli import main; sys.exit(main())"
        done = run("-c", code, "guard", "--", "python", "-W", "ignore", script, "--", "-x", stdin="in",
                   PATH=os.path.dirname(sys.executable))  # fmt: skip
        pid, line = done.stdout.splitlines()
        assert done.returncode == 5
        assert line == f"['app.py', '--', '-x'] {pid} in"
        assert "'wants_the_gil' turned the GIL on" in done.stderr

    @free_threaded
    def test_a_signal_is_the_programs_own(self, extensions, tmp_path):
        program = """
            import signal, sys, time
            signal.signal(signal.SIGTERM, lambda *a: sys.exit(42))
            print("up", flush=True)
            for _ in range(6000):
                time.sleep(0.01)
            """
        (tmp_path / "app.py").write_text(textwrap.dedent(program))
        code = "import sys; from ftcheck.cli import main; sys.exit(main(['guard', '--', 'app.py']))"
        started = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
                                   env={**os.environ, "PYTHONPATH": SOURCES})  # fmt: skip
        try:
            assert started.stdout.readline() == "up\n"
            started.send_signal(signal.SIGTERM)
            assert started.wait(60) == 42
        finally:
            started.kill()
            started.stdout.close()

    def test_another_interpreter_without_ftcheck(self, tmp_path, capfd):
        other = tmp_path / "python3"
        other.write_text("#!/bin/sh\nexit 1\n")
        other.chmod(0o755)
        (tmp_path / "app.py").touch()
        assert cli.main(["guard", "--", str(other), str(tmp_path / "app.py")]) == 3
        assert "ftcheck is not installed for" in capfd.readouterr().err


@free_threaded
def test_it_costs_next_to_nothing_for_each_module(run, extensions):
    """One check for each extension module that is loaded. Measured on the wrapper itself, 20,000 calls: below 50 µs each.

    (About 1 µs on an idle machine; the limit is what a loaded one never reaches.)
    """
    code = """
        import time
        from importlib.machinery import ExtensionFileLoader as loader
        loader.create_module = lambda self, spec: None
        from ftcheck.gil_watch import GilWatch
        GilWatch().install()
        one = loader('x', 'x')
        began = time.perf_counter()
        for _ in range(20_000): loader.create_module(one, one)
        print((time.perf_counter() - began) / 20_000 * 1e6)
        """
    assert float(run("-c", textwrap.dedent(code)).stdout) < 50

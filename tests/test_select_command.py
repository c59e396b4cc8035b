"""select_command.py: which interpreter a program runs on, why, and that it is then the program's own process."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import ftcheck
from ftcheck import cli, interpreter
from ftcheck.select_command import Candidate, Failed, said

from .gil_modules import MULTI_PHASE, NOT_USED, build

SOURCES = str(Path(ftcheck.__file__).parents[1])
free_threaded = pytest.mark.skipif(not interpreter.free_threaded_build(), reason="a build with the GIL has it on always")
PROGRAM = """
    import os, sys
    {imports}
    print("ran", sys.argv[1:], sys._is_gil_enabled() if hasattr(sys, "_is_gil_enabled") else None, sys.stdin.read())
    sys.exit(7)
    """


@pytest.fixture(scope="module")
def extensions(tmp_path_factory):
    folder = build(tmp_path_factory.mktemp("extensions"))
    start = "#include <Python.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
    fails = {"crashes": "*(volatile int *)8 = 1; return NULL;", "exits": "exit(5);", "hangs": "for (;;) sleep(60);"}
    sources = {name: f"{start} PyMODINIT_FUNC PyInit_{name}(void) {{ {body} }}" for name, body in fails.items()}
    sources["prints"] = start + MULTI_PHASE.format(
        name="prints", slots=NOT_USED, fill='puts("printed by C"); fflush(stdout);'
    )
    return build(folder, sources)


@pytest.fixture
def select(tmp_path, extensions):
    """Runs the command in a folder that has ``app.py``, with these imports; gives the process and what ``--json`` has."""

    def run(imports, *words, command=("python", "app.py", "a", "--", "-b"), stdin="in", **environment):
        (tmp_path / "app.py").write_text(textwrap.dedent(PROGRAM).replace("{imports}", textwrap.dedent(imports)))
        code = "import sys; from ftcheck.cli import main; sys.exit(main())"
        if "--fallback" not in words:
            words = (*words, "--fallback", "3.98")
        clean = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, "select", "--prefer", sys.executable, "--json", "why.json", *words,
             "--", *command],
            cwd=tmp_path, input=stdin, capture_output=True, text=True, timeout=120, check=False,
            env={**clean, "PYTHONWARNINGS": "ignore", "PYTHONPATH": f"{SOURCES}{os.pathsep}{extensions}", **environment},
        )  # fmt: skip
        file = tmp_path / "why.json"
        return done, json.loads(file.read_text()) if file.exists() else None

    return run


class TestTheFirstThatWorks:
    def test_the_preferred_one(self, select):
        done, why = select("import json, needs_no_gil")
        assert (done.returncode, done.stdout) == (7, f"ran ['a', '--', '-b'] {interpreter.gil_enabled()} in\n")
        assert done.stderr == f"ftcheck select: {sys.executable} ({sys.executable}; 4 imports tried)\n"
        assert why["chosen"] == sys.executable
        assert [one["works"] for one in why["candidates"]] == [True]
        assert [Path(file).name for file in why["candidates"][0]["read"]] == ["app.py"]

    def test_imports_that_may_fail(self, select):
        done, why = select("""\
            try:
                import not_installed
            except ImportError:
                pass
            def later():
                from not_there import x
            """)  # fmt: skip
        assert done.returncode == 7
        assert "4 imports tried, 2 of them optional and failed)" in done.stderr
        assert [(one["module"], one["required"]) for one in why["candidates"][0]["failed"]] == [
            ("not_installed", False),
            ("not_there", False),
        ]

    def test_the_next_one_where_something_is_not_installed(self, select, tmp_path):
        bare = tmp_path / "bare"
        bare.write_text(f'#!/bin/sh\nunset PYTHONPATH\nexec {sys.executable} "$@"\n')
        bare.chmod(0o755)
        done, why = select("import needs_no_gil", "--prefer", "./bare", "--fallback", sys.executable)
        assert (done.returncode, why["chosen"]) == (7, sys.executable)
        assert done.stderr.startswith("ftcheck select: ./bare rejected: cannot import needs_no_gil (ModuleNotFoundError: ")
        assert f"app.py:3) -> {sys.executable} (" in done.stderr

    @pytest.mark.parametrize(
        ("imports", "reason"),
        [
            ("import not_installed", "cannot import not_installed (ModuleNotFoundError: No module named 'not_installed'; "),
            ("import broken", "cannot import broken (ValueError: not today; "),
            ("import crashes", "importing crashes crashed (SIGSEGV)"),
            ("def f(): import crashes", "importing crashes crashed (SIGSEGV)"),
            ("import exits", "importing exits ended the process (status 5)"),
            ("import hangs", "importing hangs was not over after 3 s"),
            pytest.param("import wants_the_gil", "wants_the_gil turns the GIL on", marks=free_threaded),
            pytest.param(
                "def f(): import wants_the_gil, single_phase",
                "wants_the_gil, single_phase turn the GIL on",
                marks=free_threaded,
            ),
            pytest.param("import imports_one", "wants_the_gil turns the GIL on", marks=free_threaded),
        ],
    )
    def test_none(self, select, imports, reason):
        done, why = select(imports, "--timeout", "3" if "hangs" in imports else "60")
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith(f"ftcheck select: {sys.executable} rejected: {reason}")
        assert "; 3.98 rejected: no Python 3.98 was found" in done.stderr
        assert done.stderr.endswith(" -> none is left, the program was not started\n")
        assert why["chosen"] is None
        assert why["candidates"][0]["reason"].startswith(reason)

    @free_threaded
    @pytest.mark.parametrize(
        ("options", "environment"),
        [((), {"PYTHON_GIL": "0"}), (("-X", "gil=0"), {}), (("-X", "gil=0"), {"PYTHON_GIL": "1"})],
    )
    def test_forced_off_nothing_turns_it_on(self, select, options, environment):
        done, _ = select("import wants_the_gil", command=("python", *options, "app.py"), **environment)
        assert (done.returncode, done.stdout) == (7, "ran [] False in\n")

    @free_threaded
    @pytest.mark.parametrize(("options", "environment"), [((), {"PYTHON_GIL": "1"}), (("-X", "gil=1"), {})])
    def test_forced_on_a_free_threaded_one_is_not_what_was_preferred(self, select, options, environment):
        done, _ = select("", command=("python", *options, "app.py"), **environment)
        assert done.returncode == 3
        assert "rejected: the GIL is forced on" in done.stderr

    def test_the_programs_own_code_is_not_run_by_the_probe(self, select, tmp_path):
        (tmp_path / "own.py").write_text("print('own runs')")
        done, _ = select("import own")
        assert done.stdout.count("own runs") == 1

    def test_what_the_probe_prints_is_not_seen(self, select, extensions):
        done, _ = select("import prints")
        assert done.stdout.count("printed by C") == 1

    def test_a_script_of_the_interpreter_it_runs_on(self, select, tmp_path):
        """Two environments have a command of the same name: the one of the chosen interpreter is run."""
        for name, answer in (("one", 1), ("two", 2)):
            folder = tmp_path / name
            folder.mkdir()
            (folder / "python").symlink_to(sys.executable)
            (folder / "tool").write_text(f"#!{folder}/python\nprint({answer})\n")
            (folder / "tool").chmod(0o755)
        path = os.pathsep.join([str(tmp_path / "one"), "/usr/bin", "/bin"])
        done, _ = select("", "--prefer", "two/python", command=("tool",), PATH=path, VIRTUAL_ENV="")
        assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr

    def test_an_answer_is_the_same_each_time(self, select):
        first, second = select("import json")[0], select("import json")[0]
        assert (first.stderr, first.returncode) == (second.stderr, second.returncode)


class TestWrongUsage:
    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["select"], "there is no command"),
            (["select", "--", "missing.py"], "there is no missing.py"),
            (["select", "--", "/bin/ls"], "neither a Python interpreter nor a Python script"),
        ],
    )
    def test_is_status_2(self, words, says, capsys):
        assert cli.main(words) == 2
        assert says in capsys.readouterr().err

    @pytest.mark.parametrize("words", [["--timeout", "0"], ["--timeout", "soon"], ["--timeout=-1"], ["--prefr", "3.14"]])
    def test_options_too(self, words, capsys):
        with pytest.raises(SystemExit) as ended:
            cli.main(["select", *words, "--", "x.py"])
        assert ended.value.code == 2
        assert words[0].partition("=")[0] in capsys.readouterr().err

    def test_a_report_that_cannot_be_written(self, tmp_path, monkeypatch, capfd):
        (tmp_path / "app.py").touch()
        monkeypatch.chdir(tmp_path)
        words = ["select", "--prefer", sys.executable, "--json", str(tmp_path / "no" / "why.json"), "--", "app.py"]
        assert cli.main(words) == 3
        assert "cannot be written: No such file or directory" in capfd.readouterr().err


def test_ctrl_c_leaves_nothing_behind(tmp_path, extensions):
    """While an import hangs: the child is ended, the temporary folder removed."""
    import signal
    import time

    (tmp_path / "app.py").write_text("import hangs")
    (tmp_path / "tmp").mkdir()
    code = "import sys; from ftcheck.cli import main; sys.exit(main())"
    started = subprocess.Popen(
        [sys.executable, "-c", code, "select", "--prefer", sys.executable, "--", "app.py"], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([SOURCES, str(extensions)]), "TMPDIR": str(tmp_path / "tmp")},
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + 60
        while not list((tmp_path / "tmp").glob("*/results")) and time.monotonic() < until:
            time.sleep(0.05)
        started.send_signal(signal.SIGINT)
        assert started.wait(60) == 130
        assert "stopped; the program was not started" in started.stderr.read()
        assert list((tmp_path / "tmp").iterdir()) == []
    finally:
        started.kill()
        started.stderr.close()


class TestTheLine:
    GOOD = Candidate("3.14", "/usr/bin/python3.14", "3.14.2", False, "PATH", imports=23, tried=23)

    @pytest.mark.parametrize(
        ("candidates", "line"),
        [
            ([GOOD], "3.14 (/usr/bin/python3.14; 23 imports tried)"),
            (
                [Candidate("3.14t", reason="lxml.etree turns the GIL on"), GOOD],
                "3.14t rejected: lxml.etree turns the GIL on -> 3.14 (/usr/bin/python3.14; 23 imports tried)",
            ),
            (
                [Candidate("3.14t", reason="a"), Candidate("3.14", reason="b")],
                "3.14t rejected: a; 3.14 rejected: b -> none is left, the program was not started",
            ),
            (
                [Candidate("x", "/x", tried=1, failed=(Failed("a", "b", False, "c"),), unreadable=("y", "z"))],
                "x (/x; 1 import tried, 1 of them optional and failed, 2 files could not be read)",
            ),
        ],
    )
    def test_says_which_and_why(self, candidates, line):
        chosen = candidates[-1] if not candidates[-1].reason else None
        assert said(candidates, chosen) == f"ftcheck select: {line}"

"""doctor.py: what is said of this interpreter and machine, and what to do next."""

import dataclasses
import json
import sys

import pytest

from ftcheck import cli, doctor, interpreter
from ftcheck.doctor import Facts, Feature, Tool

READY = Facts(
    interpreter="CPython 3.14.2 free-threaded, GIL off, 8 CPUs",
    executable="/env/bin/python",
    environment="virtual environment",
    free_threaded=True,
    debug=False,
    abi="cpython-314t-x86_64-linux-gnu",
    built_with="GCC 13.2.0",
    system="Linux 6.1 x86_64 glibc 2.36",
    gil=False,
    gil_why="nothing has turned it on",
    gil_modules=(),
    flags={"thread_inherit_context": True, "context_aware_warnings": True},
    tools=(Tool("C compiler", "/usr/bin/gcc", "gcc 13.2.0"), Tool("addr2line", "")),
    features=(
        Feature("tests in parallel threads", True),
        Feature("data races in extensions (ftcheck-cc)", False, "no glibc"),
    ),
    packages={"pytest": "9.0.0", "hypothesis": ""},
    next=("Data races within extensions cannot be seen here; all else works.", "Go on with: pytest --ftcheck"),
)


class TestTheText:
    def test_of_one_that_is_ready(self, golden):
        golden("doctor_ready", doctor.text(READY))

    def test_of_a_build_with_the_gil(self, golden):
        facts = dataclasses.replace(
            READY,
            interpreter="CPython 3.14.2 with the GIL (not a free-threaded build), 8 CPUs",
            free_threaded=False,
            debug=True,
            gil=True,
            gil_why="this build cannot run without it",
            flags={"thread_inherit_context": False, "context_aware_warnings": None},
            next=tuple(doctor._next(False, (), ())),
        )
        golden("doctor_gil", doctor.text(facts).replace(f"{sys.version_info.major}.{sys.version_info.minor}", "3.14"))


class TestHere:
    def test_the_facts_are_those_of_this_process(self):
        facts = doctor.look()
        assert facts.executable == sys.executable
        assert facts.free_threaded is interpreter.free_threaded_build()
        assert facts.gil is interpreter.gil_enabled()
        assert facts.flags["thread_inherit_context"] is bool(sys.flags.thread_inherit_context)
        assert facts.packages["pytest"] == pytest.__version__
        assert all(isinstance(one.here, bool) for one in facts.features)

    @pytest.mark.parametrize(("free_threaded", "status"), [(True, 0), (False, 3)])
    @pytest.mark.parametrize("as_json", [True, False])
    def test_status_and_words(self, monkeypatch, capsys, free_threaded, status, as_json):
        monkeypatch.setattr(interpreter, "free_threaded_build", lambda: free_threaded)
        assert cli.main(["doctor", *(["--json"] if as_json else [])]) == status
        out = capsys.readouterr().out
        assert ("is not 3.14t" in out) is not free_threaded
        if as_json:
            data = json.loads(out)
            assert (data["schema"], data["version"], data["free_threaded"]) == ("ftcheck-doctor", 1, free_threaded)

    def test_what_is_not_installed(self, monkeypatch):
        def version(name):
            raise doctor.importlib.metadata.PackageNotFoundError(name)

        monkeypatch.setattr(doctor.importlib.metadata, "version", version)
        assert set(doctor.look().packages.values()) == {""}


class TestWhy:
    @pytest.mark.parametrize(
        ("forced", "gil", "asking", "words"),
        [
            (None, False, (), "nothing has turned it on"),
            (None, True, ("a.b",), "turned on by a.b"),
            (None, True, (), "turned on by a module that is not known"),
            (True, True, (), "forced by PYTHON_GIL=1"),
            (False, False, (), "forced by PYTHON_GIL=0"),
        ],
    )
    def test_the_gil(self, monkeypatch, forced, gil, asking, words):
        monkeypatch.setattr(interpreter, "gil_forced", lambda: forced)
        monkeypatch.setattr(sys, "_xoptions", {})
        assert doctor._why(True, gil, asking) == words

    def test_by_an_option(self, monkeypatch):
        monkeypatch.setattr(interpreter, "gil_forced", lambda: True)
        monkeypatch.setattr(sys, "_xoptions", {"gil": "1"})
        assert doctor._why(True, True, ()) == "forced by -X gil=1"

    @pytest.mark.parametrize(
        ("forced", "asking", "first"),
        [
            (True, (), "The GIL is forced on"),
            (False, (), "The GIL is forced off, so nobody notices modules that ask for it"),
            (None, ("a", "b"), "Get releases of a, b that declare Py_mod_gil"),
            (None, (), "Go on with: pytest --ftcheck"),
        ],
    )
    def test_what_to_do_next(self, monkeypatch, forced, asking, first):
        monkeypatch.setattr(interpreter, "gil_forced", lambda: forced)
        assert next(doctor._next(True, (), asking)).startswith(first)


class TestTools:
    def test_there_is_no_compiler(self, monkeypatch, tmp_path):
        """Found out by trying: an empty PATH has none."""
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv("FTCHECK_CC", raising=False)
        assert [one.path for one in doctor._tools()] == ["", "", "", ""]
        building = doctor._building(True)
        assert building.here is False
        assert building.note

    def test_a_compiler_that_does_not_work(self, monkeypatch, tmp_path):
        (tmp_path / "gcc").write_text("#!/bin/sh\necho 'fatal error: no hands' >&2\nexit 1\n")
        (tmp_path / "gcc").chmod(0o755)
        monkeypatch.setenv("FTCHECK_CC", str(tmp_path / "gcc"))
        assert doctor._building(True) == Feature("data races in extensions (ftcheck-cc)", False, "fatal error: no hands")

    def test_a_platform_that_has_nothing_of_it(self):
        assert doctor._building(False).here is False

    @pytest.mark.parametrize(
        ("command", "line"),
        [(["/bin/echo", "one"], "one"), (["/bin/false"], "ended with status 1"), (["/no"], "cannot be run")],
    )
    def test_a_version(self, command, line):
        assert doctor._first_line(command).startswith(line)

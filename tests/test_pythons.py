"""pythons.py: the interpreter that was asked for is found, or the error says what was looked at."""

import json
import os
import re
import sys

import pytest

from ftcheck import pythons
from ftcheck.pythons import NoPythonError, Python, find, probe

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
OWN = VERSION + ("t" if "t" in sys.abiflags else "")


def fake(path, version, free_threaded=False, implementation="cpython", says=None):
    """A program that answers as an interpreter does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    answer = {"version": version, "implementation": implementation, "free_threaded": free_threaded, "executable": str(path)}
    text = f"ftcheck-probe {json.dumps(answer)}" if says is None else says
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine that has nothing but what a test makes."""
    monkeypatch.chdir(tmp_path)
    for name in ("VIRTUAL_ENV", "PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME", "XDG_CACHE_HOME", "FTCHECK_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(pythons.sys, "executable", fake(tmp_path / "running", "3.8.1"))
    return tmp_path


class TestByVersion:
    def test_this_one(self, monkeypatch):
        monkeypatch.delenv("VIRTUAL_ENV", raising=False)
        found = find(OWN)
        assert (found.path, found.name, found.source) == (sys.executable, OWN, "this one")

    @pytest.mark.parametrize(
        ("place", "source"),
        [
            ("active/bin/python", "the active virtual environment"),
            (".venv/bin/python", "a virtual environment here"),
            (".tox/py314t/bin/python", "a virtual environment here"),
            ("bin/python3.99t", "PATH"),
            ("bin/python3", "PATH"),
            ("home/.pyenv/versions/3.99.1t/bin/python", "pyenv"),
            ("home/.local/share/uv/python/cpython-3.99.0+freethreaded-linux-x86_64-gnu/bin/python", "uv"),
            ("home/.cache/ftcheck/python3.99t/bin/python3.99t", "ftcheck's own"),
        ],
    )
    def test_wherever_it_is(self, machine, monkeypatch, place, source):
        path = fake(machine / place, "3.99.1", free_threaded=True)
        if place.startswith("."):
            (machine / place).parents[1].joinpath("pyvenv.cfg").touch()
        if place.startswith("active"):
            monkeypatch.setenv("VIRTUAL_ENV", str(machine / "active"))
        assert find("3.99t") == Python(path, "3.99.1", True, source)

    def test_the_first_of_several(self, machine):
        fake(machine / "home/.pyenv/versions/3.99.1t/bin/python", "3.99.1", True)
        fake(machine / "home/.pyenv/versions/3.99.10t/bin/python", "3.99.10", True)
        assert find("3.99t").version == "3.99.10"
        here = fake(machine / "bin/python3.99t", "3.99.0", True)
        assert find("3.99t").path == here

    @pytest.mark.parametrize("wanted", ["3.99", "3.99.1", "python3.99", "cpython-3.99", "3.99+gil"])
    def test_with_the_gil_means_with_the_gil(self, machine, wanted):
        fake(machine / "bin/python3", "3.99.1", free_threaded=True)
        right = fake(machine / "bin/python3.99", "3.99.1")
        assert find(wanted).path == right

    @pytest.mark.parametrize(
        ("facts", "says"),
        [
            ({"version": "3.99.1"}, "it is 3.99.1"),
            ({"version": "3.98.1", "free_threaded": True}, "it is 3.98.1 free-threaded"),
            ({"version": "3.99.1", "free_threaded": True, "implementation": "pypy"}, "it is pypy, not CPython"),
            ({"version": "", "says": "hello"}, "it does not run as Python (status 0)"),
        ],
    )
    def test_none_that_will_do(self, machine, facts, says):
        fake(machine / "bin/python3.99t", **facts)
        with pytest.raises(NoPythonError) as caught:
            find("3.99t")
        assert re.match(r"no Python 3\.99t was found \(\d+ interpreters looked at: ", str(caught.value))
        assert says in str(caught.value)
        assert "uv python install 3.99t" in str(caught.value)

    def test_another_patch_release(self, machine):
        fake(machine / "bin/python3.99", "3.99.1")
        with pytest.raises(NoPythonError):
            find("3.99.2")


class TestByName:
    def test_a_path_a_command_and_an_environment(self, machine):
        path = fake(machine / "env/bin/python", "3.99.1", True)
        assert find(path).path == find("env").path == find("./env/bin/python").path == path
        command = fake(machine / "bin/mypython", "3.99.1")
        assert find("mypython") == Python(command, "3.99.1", False, "named")

    @pytest.mark.parametrize("wanted", ["nothing", "./nothing", "/no/python3.14t", "env", "2.7"])
    def test_there_is_none(self, machine, wanted):
        (machine / "env").mkdir()
        with pytest.raises(NoPythonError, match="there is no interpreter"):
            find(wanted)

    def test_something_else(self, machine):
        with pytest.raises(NoPythonError, match="is no interpreter that can be used: it does not run as Python"):
            find("/bin/true")


def test_one_that_does_not_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(pythons, "_SECONDS", 0.2)
    (tmp_path / "slow").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "slow").chmod(0o755)
    assert probe(str(tmp_path / "slow"), "") == "it did not answer in 0.2 s"


def test_one_that_cannot_be_run(tmp_path):
    (tmp_path / "text").write_text("no program")
    os.chmod(tmp_path / "text", 0o755)
    assert "cannot be run" in probe(str(tmp_path / "text"), "")

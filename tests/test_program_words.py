"""program_words.py: which words are the interpreter's, and which are the program."""

import os
import sys

import pytest

from ftcheck.program_words import ProgramError, read


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    (tmp_path / "app.py").touch()
    (tmp_path / "folder").mkdir()
    for name, first in (("tool", b"#!/usr/bin/env python3\n"), ("long", b"#!/bin/sh\n'''exec' /x/python \"$0\" \"$@\"\n"),
                        ("other", b"#!/bin/sh\necho python\n\n"), ("binary", b"\x7fELF python")):  # fmt: skip
        (tmp_path / name).write_bytes(first)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "other").write_bytes(b"#!/bin/sh\necho hello\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.path.dirname(sys.executable)]))


@pytest.mark.parametrize(
    ("words", "options", "program"),
    [
        ("python app.py", "", "app.py"),
        ("python app.py -m x", "", "app.py -m x"),
        ("python -m pkg -c", "", "-m pkg -c"),
        ("python -mpkg a", "", "-m pkg a"),
        ("python -um pkg a", "-u", "-m pkg a"),
        ("python -X dev -W error -u app.py -X y", "-X dev -W error -u", "app.py -X y"),
        ("python -Xdev -Wc app.py", "-Xdev -Wc", "app.py"),
        ("python --check-hash-based-pycs always app.py", "--check-hash-based-pycs always", "app.py"),
        ("python -c pass x", "", "-c pass x"),
        ("python - x", "", "- x"),
        ("-m pkg x", "", "-m pkg x"),
        ("-X dev -m pkg", "-X dev", "-m pkg"),
        ("app.py -m x", "", "app.py -m x"),
        ("folder x", "", "folder x"),
    ],
)
def test_the_words_apart(words, options, program):
    found = read(words.split())
    assert (" ".join(found.options), " ".join(found.words)) == (options, program)
    assert found.python == (os.path.join(os.path.dirname(sys.executable), "python") if words.startswith("python") else "")


@pytest.mark.parametrize("name", ["tool", "long"])
def test_a_python_script_on_the_path(name, tmp_path):
    found = read([name, "app:app"])
    assert (found.words, found.command) == ((str(tmp_path / name), "app:app"), name)
    assert read([f"./{name}"]).command == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "there is no command; it follows behind --"),
        (["python"], "python is to run nothing"),
        (["python", "-u"], "python is to run nothing"),
        (["python", "-m"], "python is to run nothing"),
        (["-X", "dev"], "runs nothing"),
        (["missing.py"], "there is no missing.py"),
        (["no-such-command"], "there is no command no-such-command"),
        (["python9.99"], "there is no python9.99"),
        (["other"], "neither a Python interpreter nor a Python script"),
        (["binary"], "neither a Python interpreter nor a Python script"),
    ],
)
def test_no_python_program(words, says):
    with pytest.raises(ProgramError) as caught:
        read(words)
    assert says in str(caught.value)

"""cli.py: what the command prints, and its exit status."""

import platform

import pytest

import ftcheck
from ftcheck import cli, interpreter


def test_without_a_command_it_says_how_to_begin(capsys):
    assert cli.main([]) == 0
    out = capsys.readouterr().out
    assert "pytest --ftcheck" in out
    assert "doctor" in out


def test_the_version(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"ftcheck {ftcheck.__version__}\n")


@pytest.mark.parametrize("arguments", [["dance"], ["--dance"], ["doctor", "--dance"]])
def test_wrong_usage_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "dance" in capsys.readouterr().err


@pytest.mark.parametrize(("free_threaded", "status"), [(True, 0), (False, 3)])
def test_doctor_says_what_this_interpreter_is(monkeypatch, capsys, free_threaded, status):
    monkeypatch.setattr(interpreter, "free_threaded_build", lambda: free_threaded)
    assert cli.main(["doctor"]) == status
    out = capsys.readouterr().out
    assert platform.python_version() in out
    assert ("This is a build with the GIL" in out) is not free_threaded


def test_doctor_says_what_is_not_installed(monkeypatch, capsys):
    def version(name):
        raise cli.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(cli.importlib.metadata, "version", version)
    cli.main(["doctor"])
    assert capsys.readouterr().out.count("not installed") == 5

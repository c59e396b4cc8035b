"""cli.py: what the command prints, and its exit status."""

import subprocess
import sys

import pytest

import ftcheck
from ftcheck import cli


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


def test_help_is_quick_and_imports_nothing_heavy(child):
    """``ftcheck --help`` names every command, and loads none of them."""
    done = child("""
        import sys
        from ftcheck import cli
        before = set(sys.modules)
        try: cli.main(["--help"])
        except SystemExit as ended: print(ended.code)
        heavy = {"pytest", "elftools", "rich", "hypothesis", "ftcheck._core", "ftcheck.audit.record", "ftcheck.doctor"}
        print("loaded", sorted(heavy & set(sys.modules)))
        """)
    for command in ("doctor", "guard", "select", "record", "diff", "build", "confirm", "tsan-log"):
        assert f"\n    {command} " in done.stdout
    assert done.stdout.endswith("0\nloaded []\n")


def test_it_is_a_module_to_be_run_too():
    done = subprocess.run([sys.executable, "-m", "ftcheck", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"ftcheck {ftcheck.__version__}\n"


@pytest.mark.parametrize(("words", "said"), [
    (["guard", "app.py"], "put -- before the program: ftcheck guard -- app.py"),
    (["guard", "--action=exit", "python", "my app.py", "--fast"],
     "put -- before the program: ftcheck guard --action=exit -- python 'my app.py' --fast"),
    (["select", "--prefer", "3.14t", "app.py"], "put -- before the program: ftcheck select --prefer 3.14t -- app.py"),
    (["guard", "--nonsense"], "unrecognized arguments: --nonsense"),
    (["doctor", "more"], "unrecognized arguments: more"),
])  # fmt: skip
def test_wrong_usage_says_what_is_right(words, said, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err

"""The command itself: exit status, messages, output for machines, Ctrl-C."""

import ast
import importlib.resources
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ftcheck
from ftcheck import cli, interpreter

from ..native.building import compiled
from .making import installed, multi, single, wheel

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="ELF, and /proc"),
    pytest.mark.skipif(not interpreter.free_threaded_build(), reason="what is built here is ready for 3.14t there only"),
]


@pytest.fixture
def environment(tmp_path):
    folder = tmp_path / "site-packages"
    installed(folder, "fine", ("c_fine", multi("c_fine")))
    return folder


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["audit", "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    for word in ("requirements.txt", "declared, untested", "exit status", "--subinterpreters", "pylock.toml"):
        assert word in said


def test_nothing_needs_attention(environment, capsys):
    assert cli.main(["audit", str(environment)]) == 0
    said = capsys.readouterr()
    assert "declared, untested" in said.out
    assert "looked at: 1 distribution, 1 extension module" in said.out
    assert said.err == ""


def test_something_does(environment, capsys):
    installed(environment, "loud", ("c_loud", multi("c_loud", slots="")))
    assert cli.main(["audit", str(environment)]) == 1
    assert "undeclared: turns the GIL on" in capsys.readouterr().out


def test_nothing_could_be_decided(tmp_path, capsys):
    installed(tmp_path / "site-packages", "one", ("c_one", single("c_one")))
    assert cli.main(["audit", str(tmp_path / "site-packages"), "--no-run"]) == 3
    assert "nothing could be decided" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "status", "said"), [
    (["audit", "/nowhere/to/be/found"], 2, "is not there"),
    (["audit", __file__], 2, "is none of these"),
    (["audit", "--python", "/nowhere/python"], 3, "give --python another one"),
    (["audit", "--no-run", "--subinterpreters"], 2, "leave one of them out"),
    (["audit", "{}", "--tested", "unknown={}/missing.json"], 2, "missing.json"),
    (["audit", "{}", "--json", "/nowhere/to/be/found.json"], 3, "cannot be written"),
    (["audit", "a", "b"], 2, "one thing at a time"),
    (["audit", "{}", "--record", "env.json"], 2, "--python"),
    (["audit", "diff", "a.json"], 2, "two files"),
    (["audit", "diff", "/nowhere/a.json", "/nowhere/b.json"], 3, "a.json"),
])  # fmt: skip
def test_errors_say_what_to_do(environment, capsys, arguments, status, said):
    assert cli.main([one.replace("{}", str(environment)) for one in arguments]) == status
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--timeout", "0"], ["--timeout", "soon"], ["--jobs", "0"], ["--dance"]])
def test_wrong_usage_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["audit", *arguments])
    assert ended.value.code == 2
    assert capsys.readouterr().err


def test_environments_are_written_and_compared(tmp_path, capsys):
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    assert cli.main(["audit", "--no-run", "--record", str(one)]) == 0
    assert cli.main(["record", str(other)]) == 0
    capsys.readouterr()
    assert cli.main(["audit", "diff", str(one), str(other)]) == 0
    changed = json.loads(one.read_text())
    changed["distributions"].pop()
    other.write_text(json.dumps(changed))
    assert cli.main(["audit", "diff", str(one), str(other)]) == 1
    assert capsys.readouterr().out


def test_json_is_all_there_is_on_standard_output(environment, capsys):
    assert cli.main(["audit", str(environment), "--json", "-"]) == 0
    data = json.loads(capsys.readouterr().out)
    (module,) = data["distributions"][0]["modules"]
    assert (module["name"], module["verdict"]) == ("c_fine", "declared, untested")
    assert module["binary"]["slots"] == {"c_fine": {"gil": 1, "interpreters": None}}


def test_json_goes_into_a_file_beside_the_table(environment, tmp_path, capsys):
    path = tmp_path / "audit.json"
    assert cli.main(["audit", str(environment), "--json", str(path)]) == 0
    assert json.loads(path.read_text())["schema"] == "ftcheck-audit"
    assert "declared, untested" in capsys.readouterr().out
    assert sorted(one.name for one in tmp_path.iterdir()) == ["audit.json", "site-packages"]


def test_the_environment_of_this_interpreter(capsys):
    assert cli.main(["audit", "--no-run", "--json", "-"]) in (0, 1)
    names = {one["name"].lower() for one in json.loads(capsys.readouterr().out)["distributions"]}
    assert {"pytest", "pyelftools"} <= names


def test_a_list_offline(tmp_path, capsys):
    (tmp_path / "requirements.txt").write_text("one\ntwo==1\n")
    assert cli.main(["audit", str(tmp_path / "requirements.txt"), "--offline"]) == 3
    said = capsys.readouterr()
    assert "2  not checked" in said.out
    assert "asked no index" in said.out


def test_a_lock_file_offline(tmp_path, capsys):
    files = '[{file = "x-1.0-cp314-cp314-linux_x86_64.whl"}, {file = "x-1.0.tar.gz"}]'
    text = f'[[package]]\nname = "x"\nversion = "1.0"\nfiles = {files}\n'
    (tmp_path / "poetry.lock").write_text(text)
    assert cli.main(["audit", str(tmp_path / "poetry.lock"), "--offline"]) == 1
    assert "not installable" in capsys.readouterr().out


def test_a_source_tree(tmp_path, capsys):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "thing"\nversion = "3"\n')
    assert cli.main(["audit", str(tmp_path)]) == 0
    assert "1  pure Python" in capsys.readouterr().out
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "thing.c").write_text("")
    assert cli.main(["audit", str(tmp_path)]) == 3
    assert "sources only" in " ".join(capsys.readouterr().out.split())
    compiled(tmp_path / "src", "thing", multi("thing"))
    assert cli.main(["audit", str(tmp_path)]) == 0
    assert "thing 3" in capsys.readouterr().out


def test_paths_are_those_of_the_folder_that_one_is_in(tmp_path, monkeypatch, capsys):
    """Children work somewhere else; neither the interpreter nor PYTHONPATH may get lost by that."""
    installed(tmp_path / "here", "near", ("c_near", multi("c_near")))
    (tmp_path / "python").symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "here")
    assert cli.main(["audit", "here", "--python", "./python"]) == 0
    assert cli.main(["audit", "here"]) == 0
    capsys.readouterr()
    cli.main(["audit", "--json", "-", "--no-run"])
    assert "near" in {one["name"] for one in json.loads(capsys.readouterr().out)["distributions"]}


def test_an_environment_in_a_source_tree_is_no_part_of_it(tmp_path, capsys):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "thing"\n')
    for folder in (".hidden", "env", "build"):
        (tmp_path / folder).mkdir()
        compiled(tmp_path / folder, "t_inner", multi("t_inner", slots=""))
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    assert cli.main(["audit", str(tmp_path), "--no-rules"]) == 0
    assert "0 extension modules" in capsys.readouterr().out


def test_a_module_in_a_folder_that_is_no_package(tmp_path, capsys):
    """It has no name by which it could be imported, and is read all the same."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "thing"\n')
    (tmp_path / "not-a-name").mkdir()
    compiled(tmp_path / "not-a-name", "t_inner", multi("t_inner", slots=""))
    assert cli.main(["audit", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "not-a-name/t_inner" in said
    assert "no Py_mod_gil" in said


def test_a_folder_with_nothing_in_it(tmp_path, capsys):
    assert cli.main(["audit", str(tmp_path)]) == 2
    assert "holds neither a project" in capsys.readouterr().err


def test_the_program_of_the_children_runs_in_old_versions_too():
    program = importlib.resources.files("ftcheck.audit").joinpath("child.py").read_text(encoding="utf-8")
    ast.parse(program, feature_version=(3, 9))
    assert not re.search(r"^\s*except [^(:]+,", program, re.MULTILINE)


@pytest.mark.skipif(not shutil.which("python3"), reason="there is no other Python")
def test_another_interpreter(capsys):
    """Whatever python3 is: what it is is said, or why it cannot be asked."""
    status = cli.main(["audit", "--python", shutil.which("python3", path="/usr/bin") or "python3", "--json", "-"])
    said = capsys.readouterr()
    assert status in (0, 1, 3)
    assert json.loads(said.out)["interpreter"]["target"].endswith("t")


def test_a_wheel_for_builds_with_the_gil(tmp_path, capsys):
    path = wheel(tmp_path, "other", {"x.cpython-314-x86_64-linux-gnu.so": b""}, tag="cp314-cp314-linux_x86_64")
    assert cli.main(["audit", str(path)]) == 1
    assert "not installable (this wheel is for cp314" in " ".join(capsys.readouterr().out.split())


def test_help_of_the_whole_command_does_not_load_the_audit(child):
    program = """
        import sys
        from ftcheck import cli
        cli.main([])
        heavy = ("elftools", "rich", "packaging", "ftcheck.audit.targets")
        print([name for name in sys.modules if name.startswith(heavy)])
    """
    assert child(program).stdout.splitlines()[-1] == "[]"


def test_ctrl_c_leaves_nothing_behind(tmp_path):
    if not interpreter.free_threaded_build():
        pytest.skip("nothing is imported with the GIL")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    sign = tmp_path / "began"
    fill = f'fclose(fopen("{sign}", "w")); for (;;) pause();'
    installed(tmp_path / "site-packages", "slow", ("c_slow", multi("c_slow", fill=fill, body="#include <unistd.h>\n")))
    source = str(Path(ftcheck.__file__).parents[1])
    program = "import sys; from ftcheck.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "audit", str(tmp_path / "site-packages")],
        env={**os.environ, "PYTHONPATH": source, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while not sign.exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 3
    assert "interrupted" in said
    assert list(temporary.iterdir()) == []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            assert str(temporary).encode() not in (entry / "environ").read_bytes()
        except OSError:
            continue

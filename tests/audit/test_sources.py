"""Source rules within ``ftcheck audit``: sdists, source trees, and sources that somebody names."""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

import ftcheck
from ftcheck import cli
from ftcheck.audit import sources

from .making import audited, installed, multi, row

FLAW = """\
#include <Python.h>
static PyObject *cache;
static PyObject *get(PyObject *self, PyObject *arg) {
    if (cache == NULL) {
        cache = PyDict_New();
    }
    return Py_NewRef(cache);
}
static PyMethodDef methods[] = {{"get", get, METH_O, ""}, {NULL}};
static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "m", .m_methods = methods, .m_slots = slots};
PyMODINIT_FUNC PyInit_m(void) { return PyModuleDef_Init(&definition); }
"""


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "some-1.0"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "some"\nversion = "1.0"\n')
    (folder / "m.c").write_text(FLAW)
    return folder


def sdist(tree):
    path = tree.parent / "some-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tree, tree.name)
    return path


def as_json(capsys, *arguments):
    status = cli.main(["audit", *map(str, arguments), "--json", "-"])
    return status, json.loads(capsys.readouterr().out)


def test_a_flaw_in_a_source_tree(tree, capsys):
    assert cli.main(["audit", str(tree)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "of which 1 fails the run" in said
    assert f"`ftcheckrules{tree}`liststhemwiththeircode" in said.replace(" ", "")  # a long path is broken
    assert "source rules: 1 file, 2 functions" in said
    assert "m.c:4" not in said
    assert cli.main(["audit", str(tree), "--verbose"]) == 1
    assert re.search(r"FT302 m\.c:4 in get: .* \(fails the run\)", " ".join(capsys.readouterr().out.split()))


def test_an_sdist_is_unpacked_read_and_gone(tree, tmp_path, monkeypatch, capsys):
    path = sdist(tree)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    status, data = as_json(capsys, path)
    (one,) = data["distributions"]
    (place,) = [place for place in one["sources"]["places"] if place["gates"]]
    assert status == 1
    assert (place["rule"], place["file"], place["line"], place["function"]) == ("FT302", "m.c", 4, "get")
    assert (one["sources"]["files"], data["looked_at"]["source_files"], data["looked_at"]["source_functions"]) == (1, 1, 2)
    assert "unpack it" in next(remark["text"] for remark in one["remarks"] if remark["kind"] == "rules")
    assert str(temporary) not in json.dumps(data["distributions"][0]["remarks"])
    assert list(temporary.iterdir()) == []


def test_the_same_as_the_command_for_rules_finds(tree, capsys):
    assert cli.main(["rules", "--json", str(tree)]) == 1
    other = json.loads(capsys.readouterr().out)
    seen = sources.look(tree, 60)
    active = [one for one in other["findings"] if not one["suppressed"]]
    assert {(one.rule, one.line) for one in seen.places} == {
        (one["rule"], one["line"]) for one in active if one["tier"] != "C"
    }
    assert seen.notes == sum(one["tier"] == "C" for one in active)
    assert (seen.functions, seen.calls, seen.lines) == tuple(other["looked"][key] for key in ("functions", "calls", "lines"))


@pytest.mark.parametrize("change", [
    ("if (cache == NULL) {", "/* ftcheck: ignore[FT302] made before threads start */ if (cache == NULL) {"),
    ("static PyObject *cache;", "static _Thread_local PyObject *cache;"),
])  # fmt: skip
def test_no_flaw_is_no_finding_and_no_pass(tree, capsys, change):
    (tree / "m.c").write_text(FLAW.replace(*change))
    status, data = as_json(capsys, tree)
    assert status == 3
    (one,) = data["distributions"]
    assert [place for place in one["sources"]["places"] if place["gates"]] == []
    assert one["sources"]["suppressed"] == ("ignore" in change[1])
    assert one["readiness"] == "not checked"


def test_they_can_be_left_out_and_that_is_said(tree, capsys):
    assert cli.main(["audit", str(tree), "--no-rules"]) == 3
    said = capsys.readouterr().out
    assert "note: --no-rules: source code was not read" in said
    assert "source rules" not in said
    assert as_json(capsys, tree, "--no-rules")[1]["distributions"][0]["sources"] is None


def test_a_tree_without_sources_is_not_checked(tree, capsys):
    (tree / "m.c").unlink()
    assert cli.main(["audit", str(tree)]) == 0
    assert "source rules: not checked: no source file that the rules know" in capsys.readouterr().out


def test_a_scan_that_takes_too_long_costs_its_row(tree):
    began = time.monotonic()
    seen = sources.look(tree, 0.01)
    assert time.monotonic() - began < 20
    assert "--rules-timeout" in seen.problem
    assert (seen.files, seen.places) == (0, ())


def test_a_scan_that_ends_in_the_middle_is_no_result(tree, monkeypatch):
    monkeypatch.setattr(sources, "_PROGRAM", "import sys; sys.exit('out of memory')")
    assert sources.look(tree, 60).problem == "the rules did not get to the end: out of memory"
    monkeypatch.setattr(sources, "_PROGRAM", "import os; os.kill(os.getpid(), 9)")
    assert sources.look(tree, 60).problem == "the rules did not get to the end: their process ended with SIGKILL"
    monkeypatch.setattr(sources, "_PROGRAM", "print('[]')")
    assert "did not get to the end" in sources.look(tree, 60).problem


def test_nothing_of_the_tree_is_run(tree, monkeypatch):
    """Also where one is in it, and it has modules with names of the standard library."""
    for name in ("json", "argparse", "ftcheck", "sitecustomize"):
        (tree / f"{name}.py").write_text(f"open({str(tree / 'ran')!r}, 'w').close()\n")
    monkeypatch.chdir(tree)
    seen = sources.look(Path("."), 60)
    assert seen.files == 5
    assert not (tree / "ran").exists()


def test_findings_in_tests_are_told_apart(tree):
    (tree / "tests").mkdir()
    os.rename(tree / "m.c", tree / "tests" / "m.c")
    assert "1 fails the run (1 in tests)" in sources.findings(sources.look(tree, 60))


def test_sources_of_what_is_installed(tree, tmp_path, capsys):
    folder = tmp_path / "site-packages"
    installed(folder, "some", ("c_some", multi("c_some")))
    assert cli.main(["audit", str(folder)]) == 0
    assert "rules" not in capsys.readouterr().out
    for given in (f"some={tree}", str(tree)):  # the name is in its pyproject.toml, too
        status, data = as_json(capsys, folder, "--sources", given)
        (one,) = data["distributions"]
        assert (status, one["readiness"], one["needs_attention"]) == (1, "declared, untested", True)
        assert any(place["rule"] == "FT302" for place in one["sources"]["places"])


def ends(process):
    """Whether a process is over soon; one that was killed may be left for somebody else to reap."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if (Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_ctrl_c_ends_the_scan_and_leaves_nothing_behind(tree, tmp_path):
    path, sign, temporary = sdist(tree), tmp_path / "began", tmp_path / "temporary"
    temporary.mkdir()
    slow = f"import os, time; open({str(sign)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    program = f"import sys; from ftcheck import cli; from ftcheck.audit import sources; sources._PROGRAM = {slow!r}; "
    process = subprocess.Popen(
        [sys.executable, "-c", f"{program} sys.exit(cli.main(['audit', {str(path)!r}]))"],
        env={**os.environ, "PYTHONPATH": str(Path(ftcheck.__file__).parents[1]), "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while not (sign.exists() and sign.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 3
    assert "interrupted" in said
    assert list(temporary.iterdir()) == []
    assert ends(int(sign.read_text()))


@pytest.mark.parametrize(("arguments", "said"), [
    (["--sources", "/nowhere/to/be/found"], "there is no such folder"),
    (["--sources", "other={}"], "there is no distribution other"),
    (["--sources", "some={}", "--no-rules"], "leave one of the two out"),
])  # fmt: skip
def test_errors_say_what_to_do(tree, capsys, arguments, said):
    assert cli.main(["audit", str(tree), *(one.replace("{}", str(tree)) for one in arguments)]) == 2
    assert said in capsys.readouterr().err


def test_the_gil_forced_off_is_said(tmp_path, monkeypatch):
    installed(tmp_path / "site-packages", "loud", ("c_loud", multi("c_loud", slots="")))
    assert not any("FT003" in text for text in audited(tmp_path / "site-packages").limits)
    monkeypatch.setattr("ftcheck.interpreter.gil_forced", lambda: False)
    found = audited(tmp_path / "site-packages")
    assert any("FT003" in text for text in found.limits)
    assert {one.rule for one in row(found, "loud").all_remarks} >= {"FT001"}

"""``ftcheck rules``: what it prints, and its exit status."""

import importlib.resources
import json
import re

import jsonschema
import pytest

from ftcheck import cli
from ftcheck.audit.rules import RULES, clang_facts, gates

BUFFER = """\
#include <Python.h>

static PyObject *cache;
static long hits;

static PyObject *
get(PyObject *module, PyObject *arg)
{
    if (cache == NULL) {
        cache = PyDict_New();
    }
    hits++;  /* ftcheck: ignore[FT301] a number to look at */
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(arg, &at, &key, &value)) {
    }
    return Py_NewRef(cache);
}
"""
HARMLESS = "static int\nadd(int a, int b)\n{\n    return a + b;\n}\n"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the command in a folder with ``src/module.c``; gives status, output and errors."""
    monkeypatch.chdir(tmp_path)

    def command(*words, text=BUFFER):
        (tmp_path / "src").mkdir(exist_ok=True)
        (tmp_path / "src" / "module.c").write_text(text)
        status = cli.main(["rules", *words])
        out, err = capsys.readouterr()
        return status, out, err

    return command


@pytest.fixture
def gating(monkeypatch):
    """As if these had been measured: FT302 often right, FT103 not often enough, FT301 seldom looked for."""
    monkeypatch.setattr(gates, "MEASURED", {"FT302": (9, 1, 0, 5, 0), "FT103": (8, 1, 1, 1, 0), "FT301": (4, 0, 0, 1, 1)})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("findings", ["src"]),
        ("notes", ["src", "--notes", "--suppressed", "--skipped"]),
        ("strict", ["src", "--strict"]),
        ("only", ["src", "--only", "ft304,FT301"]),
    ],
)
def test_what_is_printed(run, golden, gating, name, words):
    status, out, err = run(*words)
    assert err == ""
    golden(name, f"$ ftcheck rules {' '.join(words)}\n{out}exit status {status}")


def test_nothing_found_is_not_nothing_looked_at(run, golden, tmp_path):
    status, out, _ = run("src", text=HARMLESS)
    assert status == 0
    golden("nothing_found", out.rstrip())
    (tmp_path / "empty").mkdir()
    status, out, err = run("empty")
    assert status == 3
    golden("nothing_looked_at", f"{out}{err}".rstrip())


@pytest.mark.parametrize("rule", ["FT103", "FT307", "FT601", "FT702"])
def test_the_page_of_a_rule(run, golden, monkeypatch, rule):
    from ftcheck.audit.rules import listing

    monkeypatch.setattr(listing, "MEASURED", {})
    status, out, _ = run("--explain", rule.lower())
    assert status == 0
    golden(f"explain_{rule}", out.rstrip())


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 2, "name a file or a folder"),
        (["none"], 2, "none is not there"),
        (["--explain", "FT999"], 2, "there is no rule FT999"),
        (["src", "--only", "FT103,FT998"], 2, "there is no rule FT998"),
        (["src", "--baseline", "none.json"], 3, "cannot read the baseline none.json"),
        (["src", "--write-baseline", "no/folder.json"], 3, "cannot write no/folder.json"),
    ],
)
def test_wrong_usage(run, words, status, said):
    assert run(*words)[0] == status
    assert said in run(*words)[2]


def test_an_unknown_option_is_usage(run, capsys):
    with pytest.raises(SystemExit) as ended:
        run("src", "--dance")
    assert ended.value.code == 2


def test_without_libclang_it_says_what_to_do(run, monkeypatch):
    monkeypatch.setattr(clang_facts, "available", lambda: False)
    status, _, err = run("src", "--clang")
    assert status == 3
    assert "pip install 'pytest-ftcheck[clang]'" in err


@pytest.mark.parametrize(
    ("words", "status"), [(["src"], 1), (["src", "--only", "FT103"], 0), (["src", "--only", "FT103", "--strict"], 1)]
)
def test_only_rules_that_gate_fail_a_run(run, gating, words, status):
    assert run(*words)[0] == status


def test_a_baseline_written_and_used(run, gating):
    status, _, err = run("src", "--write-baseline", "known.json")
    assert (status, "3 findings are in known.json now" in err) == (0, True)
    status, out, _ = run("src", "--baseline", "known.json")
    assert status == 0
    assert "nothing was found" in out
    assert "4 suppressed" in out


def test_json_has_everything(run, gating):
    status, out, _ = run("src", "--json")
    plain = json.loads(out)
    schema = json.loads(
        importlib.resources.files("ftcheck.audit").joinpath("rules-1.schema.json").read_text(encoding="utf-8")
    )
    jsonschema.validate(plain, schema, jsonschema.Draft202012Validator)
    assert (plain["schema"], plain["version"], plain["failing"], status) == ("ftcheck-rules", 1, 1, 1)
    assert {one["rule"] for one in plain["findings"]} == {"FT103", "FT301", "FT302", "FT304"}
    assert [one["suppressed"] for one in plain["findings"] if one["rule"] == "FT301"] == ["a number to look at"]
    assert plain["looked"]["files"] == {"C": 1}
    assert plain["looked"]["lines"] == BUFFER.count("\n")


def test_the_list_has_every_rule(run):
    _, out, _ = run("--list")
    assert re.findall(r"^FT\d{3}", out, re.MULTILINE) == list(RULES)
    _, out, _ = run("--list", "--json")
    assert [one["id"] for one in json.loads(out)["rules"]] == list(RULES)


def test_colour_only_on_a_terminal(run, monkeypatch):
    assert "\x1b" not in run("src")[1]
    monkeypatch.setattr("ftcheck.audit.rules.command._colour", lambda: True)
    assert "\x1b[" in run("src")[1]


def test_the_word_safe_is_never_a_verdict(run):
    for text in (BUFFER, HARMLESS):
        assert not re.search(r"\bsafe\b", run("src", text=text)[1])


def test_it_reads_in_a_pipe_that_closes(run, child, tmp_path):
    run("src")
    done = child(f"""
        import subprocess, sys
        program = "import sys; from ftcheck.cli import main; sys.exit(main(sys.argv[1:]))"
        words = [sys.executable, "-c", program, "rules", "--list"]
        one = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd={str(tmp_path)!r})
        one.stdout.close()
        print(one.stderr.read(), one.wait())
        """)
    assert done.stdout.strip() == "b'' 0"


def test_notes_are_not_nothing(run):
    _, out, _ = run("src", text="static PyTypeObject T = { .tp_name = 0 };\n")
    assert "no finding of tier A or B, 1 note" in out
    assert "nothing was found" not in out

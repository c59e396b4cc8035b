"""A scan: which files, suppressions, the baseline, fingerprints, and what was looked at."""

import os

import pytest

from ftcheck.audit import rules
from ftcheck.audit.rules import fingerprints, scan

FLAW = "static long hits;\nvoid f(void) {\n    hits++;\n}\n"


def suppressed(done, rule="FT301"):
    return [one.suppressed for one in done.findings if one.rule == rule]


@pytest.mark.parametrize(
    "text",
    [
        "static long hits;\nvoid f(void) {\n    hits++;  /* ftcheck: ignore[FT301] one thread only */\n}\n",
        "static long hits;\nvoid f(void) {\n    // ftcheck: ignore[FT301] one thread only\n    hits++;\n}\n",
        "static long hits;\nvoid f(void) {\n    /* ftcheck: ignore[FT103, FT301]\n       one thread only */\n\n    "
        "hits++;\n}\n",
        "static long hits;\nvoid f(void) {\n    /* So it is.\n     * ftcheck: ignore[FT301] one thread only\n     "
        "*/\n    hits++;\n}\n",
    ],
)
def test_a_reason_suppresses(scanned, text):
    done = scanned(text)
    if "ignore[FT103, FT301]\n" in text:  # the reason has to stand in the same line
        assert suppressed(done) == [""]
        assert [one.rule for one in done.findings if one.rule == "FT901"] == ["FT901"]
    else:
        assert suppressed(done) == ["one thread only"]
        assert done.active == ()


@pytest.mark.parametrize(
    ("mark", "rule"),
    [
        ("/* ftcheck: ignore[FT301] */", "FT901"),
        ("/* ftcheck: ignore[FT301] - */", "FT901"),
        ("/* ftcheck: ignore[FT999] because */", "FT902"),
        ("/* ftcheck: ignore[FT302] because */", None),
        ('x("ftcheck: ignore[FT301] because");', None),
        ("/* ignore[FT301] because */", None),
    ],
)
def test_what_does_not_suppress(scanned, mark, rule):
    done = scanned(f"static long hits;\nvoid f(void) {{\n    hits++;  {mark}\n}}\n")
    assert suppressed(done) == [""]
    assert [one.rule for one in done.findings if one.rule.startswith("FT9")] == ([rule] if rule else [])


def test_a_comment_holds_for_its_line_only(scanned):
    text = "static long a, b;\nvoid f(void) {\n    a++;  // ftcheck: ignore[FT301] so it is\n    b++;\n}\n"
    assert suppressed(scanned(text)) == ["so it is", ""]


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("a.py", "n = 0\ndef f():\n    global n\n    n += 1  # ftcheck: ignore[FT603] start-up\n", "FT603"),
        ("a.pyx", "cdef class A:\n    cdef int n\n    def f(self):\n        # ftcheck: ignore[FT702] start-up\n     "
            "   self.n = 1\n", "FT702"),
    ],
)  # fmt: skip
def test_other_languages_suppress_too(scanned, name, text, rule):
    assert suppressed(scanned(text, name), rule) == ["start-up"]


def test_a_baseline_survives_moved_lines(scanned, tmp_path):
    path = tmp_path / "known.json"
    path.write_text(fingerprints.text(scanned(FLAW).findings))
    moved = f"/* more */\n\n#include <Python.h>\n{FLAW}"
    done = scanned(moved, baseline=path)
    assert suppressed(done) == [fingerprints.KNOWN]
    assert done.active == ()


@pytest.mark.parametrize(
    "changed",
    [FLAW.replace("hits++", "hits += 2"), FLAW.replace("f(void)", "g(void)"), FLAW.replace("hits", "count")],
    ids=["line", "function", "variable"],
)
def test_a_baseline_does_not_hide_what_is_new(scanned, tmp_path, changed):
    path = tmp_path / "known.json"
    path.write_text(fingerprints.text(scanned(FLAW).findings))
    assert suppressed(scanned(changed, baseline=path)) == [""]


def test_equal_lines_have_different_fingerprints(scanned, tmp_path):
    text = "static long a[2];\nvoid f(void) { a[0]++; }\nvoid g(void) { a[0]++; }\n"
    twice = "def f():\n    global n\n    n += 1\n    n += 1\n"
    for done in (scanned(text), scanned(f"n = 0\n{twice}", "b.py")):
        prints = [one.fingerprint for one in done.findings]
        assert len(prints) >= 2
        assert len(set(prints)) == len(prints)


def test_a_reason_in_the_baseline_is_said(scanned, tmp_path):
    path = tmp_path / "known.json"
    path.write_text(fingerprints.text(scanned(FLAW).findings).replace('"reason": ""', '"reason": "one thread"'))
    assert suppressed(scanned(FLAW, baseline=path)) == ["one thread"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": "other"}', '{"schema": "ftcheck-rules-baseline", "version": 9, "findings": []}']
)
def test_what_is_no_baseline(scanned, tmp_path, text):
    path = tmp_path / "known.json"
    path.write_text(text)
    with pytest.raises(rules.BaselineError, match="--write-baseline"):
        scanned(FLAW, baseline=path)


def test_a_baseline_that_is_not_there(scanned, tmp_path):
    with pytest.raises(rules.BaselineError, match="No such file"):
        scanned(FLAW, baseline=tmp_path / "none.json")


def test_paths_that_cannot_be_scanned(tmp_path):
    with pytest.raises(rules.NothingError, match="is not there"):
        scan([tmp_path / "none"])
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(rules.NothingError, match="no source file that the rules know"):
        scan([tmp_path / "a.txt"])


def test_what_is_left_out_is_said(scanned):
    files = {
        "module.c": FLAW,
        "pythoncapi_compat.h": FLAW,
        "tool.c": f"{FLAW}int main(void) {{ f(); }}\n",
        "broken.py": "def f(:\n",
        "binary.c": "int\0x;",
        "env/pyvenv.cfg": "",
        "env/lib/x.c": FLAW,
        "__pycache__/y.c": FLAW,
        "notes.txt": "hits++",
    }
    done = scanned(files=files)
    reasons = {os.path.basename(one.path): one.reason for one in done.looked.skipped}
    assert reasons.keys() == {"pythoncapi_compat.h", "tool.c", "broken.py", "binary.c", "env"}
    assert "main" in reasons["tool.c"]
    assert "line 1" in reasons["broken.py"]
    assert dict(done.looked.files) == {"C": 1}


def test_a_file_is_looked_at_once(scanned, tmp_path):
    scanned(FLAW)
    folder = tmp_path / "src"
    (folder / "again.c").symlink_to(folder / "module.c")
    (folder / "loop").symlink_to(folder)
    assert len(scan([folder, folder / "module.c"]).findings) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_what_cannot_be_read_costs_its_row_only(scanned, tmp_path):
    scanned(files={"a.c": FLAW, "b.c": FLAW})
    (tmp_path / "src" / "b.c").chmod(0)
    done = scan([tmp_path / "src"])
    assert [one.reason for one in done.looked.skipped] == ["cannot be read: Permission denied"]
    assert done.looked.total == 1


def test_what_was_looked_at_is_counted(scanned):
    text = "#ifdef X\nint a;\n#endif\n#if 0\nint b, c;\n#endif\nvoid g(void) { }\nvoid f(void) { g(); h(); }\n"
    looked = scanned(files={"a.c": text, "b.py": "def f():\n    return g()\n"}).looked
    assert dict(looked.files) == {"C": 1, "Python": 1}
    assert (looked.functions, looked.calls, looked.resolved, looked.undecided, looked.dropped) == (3, 3, 1, 1, 5)
    assert looked.lines == 10
    assert looked.unchecked == (("FT307", "needs libclang: --clang"),)


def test_windows_line_ends_and_odd_bytes(tmp_path):
    (tmp_path / "a.c").write_bytes(
        "\ufeffstatic long hits;\r\nvoid f(void) {\r\n  hits++;\r\n}\r\n".encode() + b"/* \xff */"
    )
    assert [one.line for one in scan([tmp_path]).findings] == [3]

"""Whose a report of ThreadSanitizer is, which are the same, and what is said of it."""

import dataclasses
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ftcheck.native import tsan_log, tsan_races
from ftcheck.native.tsan_report import Access, Frame, Report
from ftcheck.verdicts import Verdict

HERE = Path(__file__).parent / "tsan_logs"
LOGS = sorted(HERE.glob("*.log"))

EXTENSION = Frame("bump", "/home/me/ext/counter.c", 12, 3, "counter.so", 0x11D0)
CALLER = Frame("method", "/home/me/ext/counter.c", 40, 3, "counter.so", 0x12D0)
HEADER = Frame("Py_INCREF", "/opt/python/include/python3.14t/refcount.h", 250, 0, "counter.so", 0x1300)
DICT = Frame("dict_merge", "Objects/dictobject.c", 3900, 12, "python3.14t", 0x100)
LIST = Frame("list_resize", "Objects/listobject.c", 100, 1, "python3.14t", 0x200)
BARE = Frame("_PyEval_EvalFrameDefault", "", 0, 0, "python3.14t", 0x300)
MEMSET = Frame("memset", "../src/libsanitizer/sanitizer_common/sanitizer_common_interceptors.inc", 799, 0, "libtsan.so.2", 1)
STATIC = Frame("__interceptor_memcpy", "", 0, 0, "python3.14t", 0x400)
QUEUE = Frame("put", "", 0, 0, "_queue.cpython-314t-x86_64-linux-gnu.so", 0x500)
FREE = Frame("free", "", 0, 0, "libtsan.so.2", 2)


def race(one, other, kind="data race", lost=False):
    first = Access("write", 8, 1, "T1", (), tuple(one))
    second = Access("read", 8, 1, "T2", (), tuple(other), lost)
    return Report(kind, 1, (first, second))


def own(*sides, **more):
    (entry,) = tsan_races.merged([race(*sides, **more)])
    return entry.own


@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.stem)
def test_what_is_said(log, golden):
    entries = tsan_races.merged(tsan_log.read(log))
    said = (f"{'the interpreter' if one.own else one.verdict.value}: {one.headline}\n{one.text}" for one in entries)
    golden(f"said_{log.stem}", "\n\n".join(said))


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (EXTENSION, "other"), (HEADER, "other"), (DICT, "interpreter"), (BARE, "interpreter"), (QUEUE, "interpreter"),
        (MEMSET, "runtime"), (STATIC, "runtime"), (FREE, "runtime"),
        (Frame("f", module="libpython3.14t.so.1.0"), "interpreter"),
        (Frame("f", module="python3.15"), "interpreter"),
        (Frame("f", module="libclang_rt.tsan-x86_64.so"), "runtime"),
        (Frame("f", module="libc.so.6"), "runtime"),
        (Frame("f", module="libcrypto.so.3"), "other"),
        (Frame("f", module="libmath_ext.so"), "other"),
        (Frame("dict_get", "./Objects/dictobject.c", 1), "interpreter"),  # a stack_trace_format without modules
        (Frame("f", "/home/me/Objects.c", 1), "other"),
        (Frame("f", module="pythonic.cpython-314t-x86_64-linux-gnu.so"), "other"),
        (Frame("free_all", "", 0, 0, "counter.so"), "other"),
    ],
)  # fmt: skip
def test_owner(frame, expected):
    assert tsan_races.owner(frame) == expected


def test_the_interpreters_own():
    assert own([DICT, BARE], [LIST, EXTENSION])
    assert own([MEMSET, BARE], [STATIC, DICT])
    assert own([QUEUE], [DICT])


def test_not_the_interpreters_own():
    assert not own([EXTENSION, BARE], [EXTENSION, BARE])
    assert not own([EXTENSION], [DICT])
    assert not own([DICT], [MEMSET, EXTENSION])
    assert not own([HEADER, EXTENSION], [DICT]), "a header of the interpreter that was inlined into the extension"


def test_a_lost_stack():
    assert own([DICT, BARE], [], lost=True), "it names nothing outside of the interpreter"
    assert not own([DICT, EXTENSION], [], lost=True), "what was called from the extension may race with the extension"
    assert not own([EXTENSION], [], lost=True)
    assert not own([], [], lost=True), "nothing is known"
    (entry,) = tsan_races.merged([race([EXTENSION], [], lost=True)])
    assert entry.lost
    assert entry.headline == "data race: write at counter.c:12 (bump), read at a place that is lost"
    assert "history_size=7" in entry.text


def test_the_same_and_not_the_same():
    first = race([EXTENSION, CALLER], [MEMSET, CALLER])
    same = [
        race([MEMSET, EXTENSION], [CALLER, BARE]),
        race([CALLER], [EXTENSION]),
        race([HEADER, EXTENSION], [CALLER]),
        race([DICT, EXTENSION], [CALLER]),
    ]
    others = [
        race([EXTENSION], [EXTENSION]),
        race([EXTENSION], [CALLER], kind="heap-use-after-free"),
        race([dataclasses.replace(EXTENSION, line=13)], [CALLER]),
        race([DICT, EXTENSION], [BARE, CALLER]),  # this one is the interpreter's own
        race([dataclasses.replace(EXTENSION, file="/elsewhere/counter.c")], [CALLER]),
    ]
    entries = tsan_races.merged([first, *same, *others, first])
    assert [one.times for one in entries] == [6, 1, 1, 1, 1, 1]
    assert entries[0].report is first


def test_a_whole_report_is_shown_rather_than_one_that_was_cut_off():
    whole = race([EXTENSION], [CALLER])
    (entry,) = tsan_races.merged([dataclasses.replace(whole, complete=False), whole])
    assert (entry.report, entry.times) == (whole, 2)


def test_use_after_free():
    (entry,) = tsan_races.merged([race([EXTENSION], [FREE, CALLER], kind="heap-use-after-free")])
    assert entry.headline == "use after free: write at counter.c:12 (bump), freed at counter.c:40 (method)"
    assert entry.verdict is Verdict.DATA_RACE


@pytest.mark.parametrize(
    ("log", "verdicts"),
    [
        ("race-gcc", {"data race"}), ("freed-clang", {"data race"}), ("vptr-gcc", {"data race"}), ("order-gcc", {"failure"}),
        ("misuse-clang", {"failure"}), ("leak-gcc", {"failure"}), ("signals-gcc", {"failure"}),
        ("crash-gcc", {"crash", "data race"}),
    ],
)  # fmt: skip
def test_verdicts(log, verdicts):
    assert {one.verdict.value for one in tsan_races.merged(tsan_log.read(HERE / f"{log}.log"))} == verdicts


def test_a_recorded_run_of_the_stock_interpreter():
    """The extension's race stands alone; what the stock interpreter seems to do wrong is its own."""
    entries = tsan_races.merged(tsan_log.read(HERE / "extension-gcc.log"))
    assert [one.headline for one in entries if not one.own] == [
        "data race: read of plain at tsan_sample.c:21 (add_plain), write at tsan_sample.c:21 (add_plain)"
    ]
    assert sum(one.own for one in entries) >= 1


# --- the command --------------------------------------------------------------------------------------------------------


@pytest.fixture
def command(capsys):
    from ftcheck.cli import main

    def run(*words):
        status = main(["tsan-log", *map(str, words)])
        return (status, *capsys.readouterr())

    return run


def test_command_counts(command):
    status, out, err = command("--brief", HERE / "race-gcc.log", HERE / "race-gcc.log", HERE / "extension-gcc.log")
    assert (status, err) == (1, "")
    assert "(2 times)" in out
    assert "the interpreter's own" in out
    assert out.splitlines()[-1] == "5 reports of 3 places"  # without the interpreter's own


def test_command_shows_both_sides(command):
    _, out, _ = command(HERE / "race-clang.log")
    for line in ("T1 held write M0", "race.c:28 in without", "global variable counter of 4 bytes"):
        assert line in out


def test_command_as_the_page_shows_it(command):
    """Each line that docs/native.md shows of it is printed."""
    page = (Path(__file__).parents[2] / "docs" / "native.md").read_text(encoding="utf-8")
    shown = page.partition("$ ftcheck tsan-log tsan.*\n")[2].partition("...\n```")[0].splitlines()
    _, out, _ = command(HERE / "race-gcc.log")
    assert len(shown) > 10
    assert out.splitlines()[: len(shown)] == shown


def test_command_takes_lines_from_the_extensions(command, tmp_path):
    """gcc's runtime does not know extensions that came after its first report."""
    if not (shutil.which("gcc") and shutil.which("nm") and shutil.which("addr2line")):
        pytest.skip("there are no gcc and binutils")
    (tmp_path / "two.c").write_text("int outer(int *p)\n{\n    return *p;\n}\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-g", "two.c", "-o", "two.so"], cwd=tmp_path, check=True)
    names = subprocess.run(["nm", "two.so"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    offset = next(line.split()[0].lstrip("0") for line in names.splitlines() if line.endswith(" outer"))
    log = (HERE / "race-gcc.log").read_text(encoding="utf-8").replace("bump /src/race.c:10 (race+", "<null> <null> (two.so+")
    assert "two.so" in log
    (tmp_path / "log").write_text(re.sub(r"two\.so\+0x\w+", f"two.so+0x{offset}", log))
    assert "two.c" not in command("--brief", tmp_path / "log")[1]
    assert "two.c:2 (outer)" in command("--brief", f"--modules={tmp_path}", tmp_path / "log")[1]


def test_command_json(command):
    status, out, _ = command("--json", HERE / "order-gcc.log")
    data = json.loads(out)
    assert status == 1
    assert (data["schema"], data["version"]) == ("ftcheck-tsan-log", 1)
    (one,) = data["found"]
    assert one["verdict"] == "failure"
    assert one["report"]["kind"] == "lock-order-inversion (potential deadlock)"
    assert one["report"]["blocks"][0]["stack"][1]["file"] == "/src/order.c"


def test_command_with_nothing_found(command, tmp_path):
    (tmp_path / "empty").touch()
    assert command(tmp_path / "empty") == (0, "nothing was found in these logs\n", "")


def test_command_with_the_interpreters_own_only(command, tmp_path):
    path = tmp_path / "log"
    path.write_text(
        "WARNING: ThreadSanitizer: data race (pid=1)\n"
        "  Write of size 8 at 0x1 by thread T1:\n    #0 f <null> (python3.14t+0x1)\n\n"
        "  Previous read of size 8 at 0x1 by main thread:\n    #0 g <null> (python3.14t+0x2)\n\n==================\n"
    )
    status, out, _ = command(path)
    assert status == 0
    assert "1 x data race: write at python3.14t+0x1 (f), read at python3.14t+0x2 (g)" in out


@pytest.mark.parametrize(("bad", "expected"), [("missing", 2), ("other", 3), ("folder", 3)])
def test_command_with_files_that_cannot_be_read(command, tmp_path, bad, expected):
    (tmp_path / "other").write_bytes(b"\0\1\2\n" * 10)
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    status, _, err = command(tmp_path / "empty", tmp_path / bad)
    assert status == expected
    assert f"ftcheck tsan-log: {tmp_path / bad} " in err
    status, out, err = command(tmp_path / bad, HERE / "race-gcc.log")
    assert status == 1, "a race is a race, whatever is wrong with another file"
    assert "race.c:10" in out
    assert str(tmp_path / bad) in err

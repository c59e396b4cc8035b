"""Logs of the real ThreadSanitizer, gcc's and clang's (``tsan_logs/``, recorded by ``record.py`` there), and what is read.

``pytest --update-golden`` writes the expected parse; look at the difference.
"""

import itertools
import json
import random
from pathlib import Path

import pytest

from ftcheck.native import tsan_log
from ftcheck.native.tsan_report import Frame
from ftcheck.verdicts import to_plain

LOGS = sorted((Path(__file__).parent / "tsan_logs").glob("*.log"))
ALONE = [path for path in LOGS if not path.stem.startswith("mixed")]
RACE = (Path(__file__).parent / "tsan_logs" / "race-gcc.log").read_text(encoding="utf-8")


def named(paths):
    return pytest.mark.parametrize("log", paths, ids=lambda path: path.stem)


def parsed(text):
    return list(tsan_log.parse(text.splitlines(keepends=True)))


def test_the_corpus_is_there():
    assert {path.stem.rpartition("-")[2] for path in LOGS} == {"gcc", "clang"}
    kinds = {report.kind for path in LOGS for report in tsan_log.read(path)}
    assert kinds >= {
        "data race",
        "heap-use-after-free",
        "data race on vptr (ctor/dtor vs virtual call)",
        "lock-order-inversion (potential deadlock)",
        "thread leak",
        "signal-unsafe call inside of a signal",
        "signal handler spoils errno",
        "unlock of an unlocked mutex (or by a wrong thread)",
        "destroy of a locked mutex",
        "use of an invalid mutex (e.g. uninitialized or destroyed)",
        "FATAL: SEGV on unknown address 0x000000000000",
    }


@named(LOGS)
def test_golden(log, golden):
    golden(f"tsan_{log.stem}", json.dumps([to_plain(report) for report in tsan_log.read(log)], indent=1))


@named(ALONE)
def test_every_line_is_understood(log):
    """What a log says is in the reports: each call of each stack, each heading; and all of them are complete."""
    text = tsan_log._COLOUR.sub("", log.read_text(encoding="utf-8"))
    reports = parsed(text)
    assert all(report.complete and not report.mixed for report in reports)
    parts = [one for r in reports for one in (*r.accesses, *r.blocks, *r.places, *r.threads, *r.mutexes)]
    lines = [line for line in text.splitlines() if line.startswith("  ") and "[failed" not in line and "Hint" not in line]
    calls = [line for line in lines if line.lstrip().startswith("#")]
    assert sum(len(one.stack) for one in parts) == len(calls)
    remarks = sum(len(report.remarks) for report in reports)
    unheaded = sum(block.heading == "" for report in reports for block in report.blocks)
    assert len(parts) - unheaded + remarks == len(lines) - len(calls)
    assert sum("WARNING: " in line or "ERROR: " in line for line in text.splitlines()) == len(reports)


@named(ALONE)
def test_cut_off_anywhere(log):
    """A log that ends early gives the reports that are whole, and of the last one what is there."""
    text = tsan_log._COLOUR.sub("", log.read_text(encoding="utf-8"))
    whole = parsed(text)
    lines = text.splitlines(keepends=True)
    for count in range(len(lines) + 1):
        for cut in ("", lines[count][: len(lines[count]) // 2] if count < len(lines) else ""):
            part = parsed("".join(lines[:count]) + cut)
            done = [report for report in part if report.complete]
            assert done == whole[: len(done)]
            assert len(part) - len(done) <= 1
            begun = sum("(pid=" in line or "ERROR: Thread" in line for line in lines[:count])
            assert len(part) >= begun


def test_what_is_cut_off_is_kept():
    before, _, _ = RACE.partition("  Location is")
    (report,) = parsed(before)
    assert not report.complete
    assert [str(one.stack[0]) for one in report.accesses] == ["race.c:10", "race.c:27"]


@pytest.mark.parametrize("margin", ["2026-11-30T10:11:12.{0:07}Z ", "web-{0}  | ", "E   ", "[gw{0}] "])
def test_what_a_service_puts_before_each_line(margin):
    marked = "".join(margin.format(number % 10) + line for number, line in enumerate(RACE.splitlines(keepends=True)))
    assert parsed(marked) == parsed(RACE)


def test_other_output_around_it():
    noise = "collected 3 items\n\n#0 not a frame\nSUMMARY: nothing\n  Write of size 4 at\n"
    assert parsed(noise + RACE + noise) == parsed(RACE)


def test_files_put_together():
    everything = "".join(path.read_text(encoding="utf-8") for path in ALONE)
    assert parsed(everything) == [report for path in ALONE for report in tsan_log.read(path)]


@named([path for path in LOGS if path.stem.startswith("mixed")])
def test_several_processes_at_once(log):
    """Two processes have written into one pipe, in the middle of each other's lines: all is there, and called a guess."""
    reports = list(tsan_log.read(log))
    assert len(reports) == log.read_text(encoding="utf-8").count("WARNING: ")
    assert any(report.mixed for report in reports)
    assert all(report.accesses for report in reports)
    named_lines = {str(frame) for report in reports for one in report.accesses for frame in one.stack}
    assert "race.c:10" in named_lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("main race.c:10:46 (race+0xd0) (BuildId: 39f7)", Frame("main", "race.c", 10, 46, "race", 0xD0)),
        ("main race.c:10 (race+0xd0)", Frame("main", "race.c", 10, 0, "race", 0xD0)),
        ("<null> <null> (python3.14t+0x4fb946)", Frame("?", "", 0, 0, "python3.14t", 0x4FB946)),
        ("free <null> (a b.so+0x1)", Frame("free", "", 0, 0, "a b.so", 1)),
        ("operator new(unsigned long) /my files/new.cpp:64 (l.so+0x2)",
         Frame("operator new(unsigned long)", "/my files/new.cpp", 64, 0, "l.so", 2)),
        ("Base::~Base() v.cc:7 (v+0x3)", Frame("Base::~Base()", "v.cc", 7, 0, "v", 3)),
        ("std::f(int (*)(int)) (x+0x4)", Frame("std::f(int (*)(int))", "", 0, 0, "x", 4)),
        ("f Makefile:3 (x+0x4)", Frame("f", "Makefile", 3, 0, "x", 4)),
        ("0x7f12 in run a.c:3", Frame("run", "a.c", 3)),
        ("main a.c:3", Frame("main", "a.c", 3)),
        ("main", Frame("main")),
        ("0x0000", Frame("?")),
    ],
)  # fmt: skip
def test_frames(text, expected):
    assert tsan_log.frame(text) == expected


def test_anything_at_all_is_read_without_complaint():
    """Bytes of the corpus changed, dropped and repeated: no error, and never more reports than titles."""
    chance = random.Random(5)
    contents = [path.read_bytes() for path in LOGS]
    for _ in range(300):
        content = bytearray(chance.choice(contents))
        for _ in range(chance.randrange(1, 30)):
            at = chance.randrange(len(content))
            kind = chance.randrange(3)
            if kind == 0:
                content[at] = chance.randrange(256)
            elif kind == 1:
                del content[at : at + chance.randrange(200)]
            else:
                content[at:at] = content[at : at + chance.randrange(200)]
            if not content:
                break
        reports = tsan_log.parse_bytes(bytes(content))
        assert len(reports) <= content.count(b"ThreadSanitizer")


def test_a_huge_log_is_not_held_in_memory():
    lines = RACE.splitlines(keepends=True)
    reports = tsan_log.parse(itertools.chain.from_iterable(itertools.repeat(lines, 2000)))
    first = [next(reports), next(reports)]
    assert first == parsed(RACE)
    assert sum(1 for _ in reports) == 3998


def test_a_line_without_end(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"\0" * (5 << 20) + b"\n" + RACE.encode())
    assert list(tsan_log.read(path)) == parsed(RACE)


def test_an_empty_log_has_no_reports(tmp_path):
    path = tmp_path / "log"
    path.touch()
    assert list(tsan_log.read(path)) == []


@pytest.mark.parametrize("content", [b"hello\n", b"\x7fELF\0\0\xff\xfe" * 100, b"{}"])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(tsan_log.LogError, match="other is no log of ThreadSanitizer"):
        list(tsan_log.read(path))


def test_what_cannot_be_opened(tmp_path):
    with pytest.raises(tsan_log.LogError, match="No such file"):
        list(tsan_log.read(tmp_path / "none"))
    with pytest.raises(tsan_log.LogError, match="Is a directory"):
        list(tsan_log.read(tmp_path))

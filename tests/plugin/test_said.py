"""said.py: what threads printed before the process died is shown with the crash, thread by thread."""

import pytest

from ftcheck.plugin import said
from ftcheck.plugin.said import Said

TESTS = """
import ctypes, logging, os, sys, threading
import pytest
from meeting import meet

def test_before():
    print("of an earlier test")
    meet()

def test_prints_and_dies():
    number = meet()
    print("begun by", number, flush=True)
    logging.getLogger("x").warning("logged by %d", number)
    if meet("end") == 0:
        ctypes.string_at(0)
    threading.Event().wait()

def test_prints_and_hangs():
    print("waits for ever")
    meet()
    threading.Event().wait()

def test_closes_everything_and_dies():
    number = meet()
    if number == 0:
        os.closerange(3, 64)
        print("after closing")
        os.abort()
    threading.Event().wait()
"""


@pytest.fixture(scope="module")
def run(mini):
    return mini({"test_it.py": TESTS}, "--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=3", "--ftcheck-classify=0")


def test_crash(run):
    text = run.text("test_prints_and_dies")
    for number in (0, 1):
        assert f"begun by {number}" in text
        assert f"logged by {number}" in text
    assert "--- stdout of thread 0 in round 1 ---" in text
    assert "--- log of thread 1 in round 1 ---" in text
    assert "of an earlier test" not in text


def test_deadlock(run):
    assert run.verdict("test_prints_and_hangs") == "deadlock"
    assert run.text("test_prints_and_hangs").count("waits for ever") == 2


def test_file_descriptors_that_were_closed(run):
    assert "after closing" in run.text("test_closes_everything_and_dies")


def test_the_last_round_is_shown(tmp_path):
    keeper = Said(tmp_path, "gw0")
    keeper.note(0, 1, "stdout", "first round")
    keeper.note(1, 2, "stdout", "two\n")
    keeper.note(0, 2, "stderr", "three")
    assert said.read(tmp_path, "gw0") == (
        "--- stderr of thread 0 in round 2 ---\nthree\n\n--- stdout of thread 1 in round 2 ---\ntwo"
    )


def test_cleared(tmp_path):
    keeper = Said(tmp_path, "gw0")
    assert said.read(tmp_path, "gw0") == ""
    keeper.note(0, 1, "stdout", "x")
    keeper.clear()
    assert said.read(tmp_path, "gw0") == ""


def test_a_record_that_was_cut_off(tmp_path):
    keeper = Said(tmp_path, "gw0")
    keeper.note(0, 1, "stdout", "whole")
    with open(tmp_path / "gw0.said", "ab") as file:
        file.write(b'[0, 1, "stdo\xff')
    assert said.read(tmp_path, "gw0").endswith("whole")


@pytest.mark.parametrize("junk", [b"\0\1\2", b"null\n", b"[]\n", b'{"a": 1}\n', b'["a", "b", "c", "d"]\n', b""])
def test_junk(tmp_path, junk):
    (tmp_path / "gw0.said").write_bytes(junk)
    assert said.read(tmp_path, "gw0") == ""


def test_much(tmp_path):
    """The file is emptied when it gets long; the end is what is wanted."""
    keeper = Said(tmp_path, "gw0")
    for number in range(20_000):
        keeper.note(0, 1, "stdout", f"line {number}\n")
    assert (tmp_path / "gw0.said").stat().st_size < 300_000
    text = said.read(tmp_path, "gw0")
    assert text.endswith("line 19999")
    assert len(text) < 5000

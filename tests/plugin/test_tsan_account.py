"""What a process makes of its own log while ThreadSanitizer writes to it (here a test does)."""

import os
import threading
import time
from pathlib import Path

import pytest

from ftcheck.plugin.tsan_log import Log, account_in

RACE = (Path(__file__).parents[1] / "native" / "tsan_logs" / "threads-gcc.log").read_text(encoding="utf-8")
ONE = RACE[: RACE.index("==================\n==================\n") + 19]


@pytest.fixture
def files(tmp_path):
    """The prefix, this process' log and its account."""
    return tmp_path / "log", tmp_path / f"log.{os.getpid()}", tmp_path / "here.account"


def append(path, text):
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_only_what_is_new(files):
    prefix, path, account = files
    log = Log(prefix, account)
    assert log.added() == []
    append(path, RACE)
    assert len(log.added()) == 3
    assert log.added() == []
    append(path, ONE)
    assert len(log.added()) == 1
    assert account_in(account).at == path.stat().st_size


def test_the_log_of_an_earlier_process_of_this_number(files):
    """ThreadSanitizer empties it at its first report."""
    prefix, path, _ = files
    path.write_text(RACE)
    log = Log(prefix, None)
    assert log.added() == []
    path.write_text(ONE)
    assert len(log.added()) == 1


def test_a_log_that_this_process_has_open_is_its_own(files):
    prefix, path, _ = files
    with path.open("a", encoding="utf-8") as file:
        file.write(ONE)
        file.flush()
        assert len(Log(prefix, None).added()) == 1


@pytest.mark.parametrize("name", ["log.{}", "log.python3.14t.{}"])
def test_the_name_of_the_program_may_stand_in_it(tmp_path, name):
    append(tmp_path / name.format(os.getpid()), "")
    log = Log(tmp_path / "log", None)
    append(tmp_path / name.format(os.getpid()), ONE)
    assert len(log.added()) == 1
    append(tmp_path / f"log2.{os.getpid()}", ONE)
    append(tmp_path / "log.1", ONE)
    assert log.added() == []


def test_a_report_is_waited_for(files):
    """Half of it is there: the other half comes while this waits."""
    prefix, path, _ = files
    log = Log(prefix, None)
    half = len(ONE) // 2
    append(path, ONE[:half])

    def rest():
        time.sleep(0.1)
        append(path, ONE[half:])

    writer = threading.Thread(target=rest)
    writer.start()
    (report,) = log.added()
    writer.join()
    assert report.complete
    assert log.added() == []


def test_a_report_that_does_not_end_is_taken_as_it_is(files, monkeypatch):
    prefix, path, _ = files
    monkeypatch.setattr("ftcheck.plugin.tsan_log._PATIENCE", 0)
    log = Log(prefix, None)
    half = ONE.index("  Location")
    append(path, ONE[:half])
    (report,) = log.added()
    assert not report.complete
    assert len(report.accesses) == 2
    append(path, ONE[half:])
    assert log.added() == [], "its rest is no report of another test"


def test_account(files):
    prefix, path, account = files
    log = Log(prefix, account)
    append(path, ONE)
    log.outside()
    log.test("test_it.py::test_one")
    append(path, RACE)
    during = account_in(account)
    assert (during.pid, during.test, during.at, during.outside) == (
        os.getpid(),
        "test_it.py::test_one",
        len(ONE),
        (0, len(ONE)),
    )
    log.added()
    assert account_in(account).told == len(ONE), "if the process died now, this would have to be said of the test"
    log.told()
    assert account_in(account).told == account_in(account).at == len(ONE) + len(RACE)
    log.test("")
    log.outside()
    after = account_in(account)
    assert (after.test, after.at, after.outside) == ("", len(ONE) + len(RACE), (0, len(ONE)))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "outside": [], "new": 1}'])
def test_a_damaged_account_is_none(tmp_path, content):
    (tmp_path / "x.account").write_text(content)
    assert account_in(tmp_path / "x.account") is None

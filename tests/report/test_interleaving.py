"""A found interleaving as text: real ones in golden files (``pytest --update-golden`` writes them), others made by hand."""

import importlib
import io
import itertools
import json
import threading

import pytest
from rich.cells import cell_len
from rich.text import Text

from ftcheck.explore.control import Attempt
from ftcheck.narrative import Did, Handover, Interleaving, Step, Turn, interleaving_from_plain
from ftcheck.verdicts import Location, to_plain

from .stories import (
    EVERYTHING,
    PIN,
    PROGRAMS,
    REPLAY,
    failing,
    found,
    last_story,
    text_of,
    under_control,
)

# --- golden files -----------------------------------------------------------------------------------------------------

SHORT = [
    "account", "check_then_delete", "iterate_while_adding", "increment_attribute", "lazy_init", "lost_update_closure",
    "missing_join", "own_threads", "reorder_3", "reorder_5", "semaphore_too_many", "stringbuffer", "timeout_ignored",
    "two_field_tearing", "wrong_lock",
]  # fmt: skip
STUCK = ["deadlock01", "din_phil3", "event_pulse", "lost_wakeup", "notify_too_few", "queue_one_sentinel"]


@pytest.mark.parametrize("name", [*SHORT, *STUCK])
def test_short(name, golden):
    golden(f"interleaving_{name}", text_of(found(name)))


@pytest.mark.parametrize("name", ["check_then_delete", "deadlock01", "increment_attribute", "timeout_ignored"])
def test_detailed(name, golden):
    golden(f"interleaving_{name}_detailed", text_of(found(name), detailed=True))


def test_one_column_where_it_is_narrow(golden):
    golden("interleaving_narrow", text_of(found("account"), width=60))


def test_what_the_output_can_show(golden):
    text = text_of(found("increment_attribute"), encoding="ascii")
    assert text.isascii()
    golden("interleaving_ascii", text)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252", "ascii", "nonsense"])
def test_every_encoding_can_carry_it(encoding):
    text = text_of(found("check_then_delete"), encoding=encoding)
    assert ("→" in text) == (encoding == "utf-8")
    text.encode("ascii" if encoding == "nonsense" else encoding)


def test_colour_changes_nothing_else():
    for name in ("account", "increment_attribute"):
        coloured = text_of(found(name), colour=True)
        assert "\x1b[" in coloured
        lines = [line.rstrip() for line in Text.from_ansi(coloured).plain.splitlines()]
        assert lines == text_of(found(name)).splitlines()


# --- what every text has ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
@pytest.mark.parametrize("detailed", [False, True])
def test_the_last_lines_and_the_width(width, detailed):
    for name in ("account", "reorder_3", "increment_attribute", "check_then_delete"):
        lines = text_of(found(name), width=width, detailed=detailed).splitlines()
        assert lines[-2:] == [f"run it again:  {REPLAY}", f"pin it:        {PIN}"]
        assert all(len(line) <= width for line in lines if "│" in line or "┼" in line)


@pytest.mark.parametrize("name", sorted(path.stem for path in (PROGRAMS / "fails").glob("*.py")))
def test_every_program_can_be_told(name, monkeypatch):
    """Whatever a run was like; it is told the same after a journey as plain data."""
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    module = importlib.import_module(f"tests.programs.fails.{name}")
    with under_control(limit=1_000) as control:
        for policy, parameters in (("plan", []), ("pos", None), ("walk", 0.5)):
            run = control.run(module.program, Attempt(policy, parameters, 3), EVERYTHING)
            story = last_story(run)
            assert interleaving_from_plain(json.loads(json.dumps(to_plain(story)))) == story
            assert all(turn.thread != after.thread for turn, after in itertools.pairwise(story.turns) if turn.thread)
            text = text_of(story) + text_of(story, detailed=True)
            assert "0x" not in text
            assert bool(story.raised) == (run.failure is not None)


# --- without a source ----------------------------------------------------------------------------------------------------

GONE = """
import threading
from ftcheck import concurrently

def program():
    table, lock = {"n": 0}, threading.Lock()
    def work():
        with lock:
            n = table["n"]
        table["n"] = n + 1
    concurrently(work, work)
    assert table["n"] == 2
"""


def test_a_source_that_is_gone(golden):
    code = compile(GONE, "/gone/program.py", "exec")
    names = {"__name__": "gone"}
    exec(code, names)
    with under_control("/gone/program.py") as control:
        story = failing(control, names["program"])
    assert {place.source for place in story.places} == {""}
    golden("interleaving_without_source", text_of(story, shorten=str))


# --- made by hand --------------------------------------------------------------------------------------------------------

PLACE = Location("bank.py", 7, "Bank.pay", "self.balance -= amount")


def made(turns, **rest):
    return Interleaving("complete", ("", "", ""), tuple(turns), (PLACE,), **rest)


def test_many_lines_are_counted():
    places = tuple(Location("bank.py", number, "Bank.pay", f"line_{number}()") for number in range(1, 101))
    steps = tuple(Step(Did.READ, f"x{number}", "1", number, matters=number in (0, 50)) for number in range(100))
    text = text_of(Interleaving("complete", ("", ""), (Turn(1, steps, Handover.ENDED),), places))
    assert "… 49 more lines" in text
    assert text.count("line_") == 2
    every = tuple(Step(Did.READ, f"x{number}", "1", number, matters=True) for number in range(100))
    text = text_of(Interleaving("complete", ("", ""), (Turn(1, every, Handover.ENDED),), places))
    assert "… 84 more lines" in text
    text = text_of(Interleaving("complete", ("", ""), (Turn(1, every, Handover.ENDED),), places), detailed=True)
    assert text.count("line_") == 100


def test_many_turns_are_counted():
    turns = [Turn(1 + number % 2, (Step(Did.READ, "n", str(number), 0, True),), Handover.PREEMPTED) for number in range(100)]
    text = text_of(made(turns))
    assert "… 60 more turns" in text
    assert "… 60 more turns" not in text_of(made(turns), detailed=True)


def test_what_is_repeated_is_counted():
    step = Step(Did.READ, "ready", "False", 0, True)
    assert "ready → False  (30 times)" in text_of(made([Turn(1, (step,) * 30, Handover.ENDED)]))


def test_a_limit_is_said():
    turn = Turn(1, (Step(Did.READ, "n", "1", 0, True),), Handover.RUN_ENDED, left_out=12)
    text = text_of(Interleaving("too long", ("", ""), (turn,), (PLACE,), complete=False))
    assert text.startswith("the run was ended: too long\nnot everything was noted: there was not enough memory\n")
    assert "… and 12 steps that were not kept" in text


def test_wide_characters_keep_the_columns():
    place = Location("bank.py", 7, "Bank.pay", "名前 = '" + "漢字" * 40 + "'")
    turns = (
        Turn(1, (Step(Did.WRITE, "名前", "'漢字'", 0, True),), Handover.ENDED),
        Turn(2, (Step(Did.READ, "名前", "'漢字'", 0, True),), Handover.ENDED),
    )
    lines = text_of(Interleaving("complete", ("", "", ""), turns, (place,))).splitlines()
    assert {cell_len(line[: line.index("│")]) for line in lines if "│" in line} == {50}


def test_markup_in_the_source_is_text():
    place = Location("bank.py", 7, "Bank.pay", "x[bold] = '[red]'")
    story = Interleaving("complete", ("", ""), (Turn(1, (Step(Did.READ, "x", "[/]", 0, True),), Handover.ENDED),), (place,))
    text = text_of(story)
    assert "x[bold] = '[red]'" in text
    assert "x → [/]" in text


def test_a_lone_surrogate_can_be_printed():
    place = Location("bank\udcff.py", 7, "Bank.pay", "pass")
    story = Interleaving(
        "complete", ("", ""), (Turn(1, (Step(Did.READ, "x", "'\udcff'", 0, True),), Handover.ENDED),), (place,)
    )
    io.TextIOWrapper(io.BytesIO(), encoding="utf-8").write(text_of(story))

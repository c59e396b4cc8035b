"""What interleavings of real packages have taught: long calls of other people's code, aliases, loops, many files."""

import copy
import importlib.util
import sys
import threading
import types

import pytest

from ftcheck import workload
from ftcheck.explore.control import Attempt
from ftcheck.narrative import Did, Handover, Interleaving, Step, Turn
from ftcheck.verdicts import Location

from . import stories
from .stories import EVERYTHING, last_story, steps_of, text_of, under_control


class Box:
    def __init__(self):
        self.__secret = self.value = 0
        self.settings = {}
        self.lock = threading.Lock()

    def lose_an_update(self):
        value = self.value
        copy.copy(self.settings)
        self.value = value + 1

    def hide(self):
        self.__secret += 1

    def leave_locked(self):
        acquire = self.lock.acquire
        acquire()


def preempted(program):
    """The smallest failing schedule, as a story."""
    with under_control(__file__) as control:
        return stories.failing(control, program)


# --- calls of code that is not in scope ---------------------------------------------------------------------------------


def test_calls_that_are_only_assumed_to_write_are_not_told_where_something_else_is():
    def program():
        box = Box()
        workload.concurrently(box.lose_an_update, box.lose_an_update)
        assert box.value == 2

    story = preempted(program)
    matters = [step for turn in story.turns for step in turn.steps if step.matters and step.did is not Did.RAISE]
    assert {step.name for step in matters} == {"self.value"}
    [call, *_] = steps_of(story, Did.CALL)
    assert (call.name, call.matters) == ("copy.copy(self.settings)", False)


def test_they_are_told_where_nothing_else_is():
    def program():
        settings = {}
        workload.concurrently(lambda: copy.copy(settings), lambda: copy.copy(settings))

    story = next(stories.told(program, __file__))
    assert [step.matters for step in steps_of(story, Did.CALL)] == [True, True]


def test_they_are_told_where_a_thread_was_stopped_there():
    """Code of a class that is not in scope: what is done in there is seen as one call."""
    namespace = {}
    source = "class Log:\n    def __init__(self): self.lines = []\n    def add(self, line): self.lines.append(line)\n"
    exec(compile(source, "elsewhere.py", "exec"), namespace)

    def program():
        log, order = namespace["Log"](), []

        def first():
            order.append(1)
            log.add(1)

        def second():
            order.append(2)
            log.add(2)

        workload.concurrently(first, second)
        assert log.lines == order

    story = preempted(program)
    assert {step.name for step in steps_of(story, Did.CALL) if step.matters} >= {"log.add(1)", "log.add(2)"}


# --- names --------------------------------------------------------------------------------------------------------------


def test_private_names_are_those_of_the_source():
    def program():
        box = Box()
        workload.concurrently(box.hide, box.hide)

    story = next(stories.told(program, __file__))
    assert {step.name for step in steps_of(story, Did.WRITE)} == {"self.__secret"}


def test_a_function_of_a_module_does_not_give_its_argument_the_module_s_name():
    def program():
        box = Box()

        def both():
            copy.copy(box)
            box.value += 1

        workload.concurrently(both, both)

    story = next(stories.told(program, __file__))
    assert {step.name for step in steps_of(story, Did.WRITE)} == {"box.value"}


def test_a_lock_has_the_name_behind_a_bound_method():
    def program():
        box = Box()
        workload.concurrently(box.leave_locked, box.leave_locked)

    story = preempted(program)
    assert [held.lock for held in story.held] == ["self.lock"]
    text = text_of(story)
    assert "thread 1 has ended, and holds self.lock, taken at" in text
    assert "thread 2 waits for self.lock, held by thread 1, at" in text


# --- layout -------------------------------------------------------------------------------------------------------------


def a_loop(times, lines=1):
    """Of a thread: a loop of some lines that matter."""
    once = [Step(Did.READ, f"self.item{n}", "1", n, True) for n in range(lines)]
    end = Step(Did.RAISE, "ValueError", "", lines, True)
    places = tuple(Location("/p/a.py", n + 1, "walk", f"line_{n}") for n in range(lines + 1))
    return Interleaving("complete", ("", ""), (Turn(1, (*once * times, end), Handover.RUN_ENDED),), places)


@pytest.mark.parametrize("lines", [2, 3])
def test_a_loop_is_shown_once_and_counted(lines):
    text = text_of(a_loop(7, lines), shorten=lambda file: file)
    assert [text.count(f"line_{n}") for n in range(lines)] == [1] * lines
    assert text.count("… the same again, 6 times") == 1
    assert f"line_{lines}" in text


def test_a_short_loop_is_shown():
    text = text_of(a_loop(3), shorten=lambda file: file)
    assert "again" not in text.partition("run it again")[0]
    assert text.count("self.item0 → 1") == 1  # one line of the source, three times the same
    assert "(3 times)" in text


def test_the_detailed_view_shows_each_repetition():
    text = text_of(a_loop(7, 2), shorten=lambda file: file, detailed=True)
    assert (text.count("line_0"), text.count("line_1")) == (7, 7)


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_rule_of_a_switch_fits_its_column(width):
    turn = Turn(1, (Step(Did.READ, "self.a", "1", 0, True),), Handover.PREEMPTED)
    other = Turn(2, (Step(Did.WRITE, "self.a", "1", 0, True),), Handover.ENDED)
    back = Turn(1, (Step(Did.WRITE, "self.a", "1", 1, True),), Handover.RUN_ENDED)
    places = (Location("/p/a.py", 4, "f", "a"), Location("/p/a.py", 123_456, "f", "b"))
    text = text_of(Interleaving("complete", ("", "", ""), (turn, other, back), places), width=width)
    [rule] = [line.partition("│")[0].strip() for line in text.splitlines() if "switch to" in line]
    assert rule.startswith("── switch to thread 2, before")
    assert rule.endswith("──") == (width > 80)
    assert not any(line.split("│")[0].strip() == "──" for line in text.splitlines())


def test_the_file_is_said_where_it_changes():
    places = (
        Location("/p/one.py", 1, "first", "a"),
        Location("/p/one.py", 2, "second", "b"),
        Location("/p/two.py", 3, "third", "c"),
    )
    steps = tuple(Step(Did.READ, f"self.{n}", "1", n, True) for n in range(3))
    text = text_of(Interleaving("complete", ("", ""), (Turn(1, steps, Handover.RUN_ENDED),), places), shorten=lambda f: f)
    rows = [line.strip() for line in text.splitlines() if line.startswith(" in ")]
    assert rows == ["in first, /p/one.py", "in second", "in third, /p/two.py"]


def test_lines_of_another_file_are_not_taken_for_those_of_the_only_one_that_matters():
    places = (Location("/p/one.py", 1, "first", "a"), Location("/p/two.py", 3, "second", "b"))
    steps = (Step(Did.READ, "self.a", "1", 0), Step(Did.READ, "self.b", "1", 1, True))
    text = text_of(Interleaving("complete", ("", ""), (Turn(1, steps, Handover.RUN_ENDED),), places), shorten=lambda f: f)
    assert "lines of /p/two.py" in text
    assert "in first, /p/one.py" in text


def test_files_have_the_name_by_which_they_are_imported(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "site-packages"), *sys.path])
    file = str(tmp_path / "site-packages" / "package" / "module.py")
    turn = Turn(1, (Step(Did.READ, "self.a", "1", 0, True),), Handover.RUN_ENDED)
    story = Interleaving("complete", ("", ""), (turn,), (Location(file, 1, "f", "a"),))
    assert "lines of package/module.py" in text_of(story, shorten=None)


# --- what is in scope ---------------------------------------------------------------------------------------------------


class Touchy:
    """Like a proxy, or a mock: it does something when it is asked for anything."""

    def __init__(self):
        object.__setattr__(self, "asked", [])

    def __getattr__(self, name):
        self.asked.append(name)
        raise RuntimeError(f"asked for {name}")


def test_objects_of_modules_in_scope_are_not_asked_for_anything(monkeypatch):
    module = types.ModuleType("touchy")
    module.__file__ = __file__
    module.one = Touchy()
    module.Namespace = type("Namespace", (), {"inside": Touchy(), "static": staticmethod(len)})
    monkeypatch.setitem(sys.modules, "touchy", module)
    with under_control(__file__):
        pass
    assert module.one.asked == vars(module.Namespace)["inside"].asked == []


def test_a_lazy_module_is_not_imported(monkeypatch, tmp_path):
    (tmp_path / "lazy.py").write_text("raise RuntimeError('imported')")
    spec = importlib.util.spec_from_file_location("lazy", tmp_path / "lazy.py")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "lazy", module)
    spec.loader.exec_module(module)
    with under_control(f"{tmp_path}/") as control:
        control.run(lambda: None, Attempt("plan", []), EVERYTHING)
        assert last_story is not None
    assert type(module).__name__ == "_LazyModule"

"""Race candidates: every racy pair at its two lines, and none where everything is ordered; what their marks rest on."""

import inspect
import re
import struct
import threading

import pytest

from ftcheck import _core, concurrently
from ftcheck.candidates import Mark
from ftcheck.explore.control import Attempt
from ftcheck.explore.hunt import LOG, Hunt
from ftcheck.explore.scope import Scope
from ftcheck.explore.search import Budget, search

from . import race_free, racy
from .race_free import RACE_FREE
from .racy import RACY

SCOPE = Scope([racy.__file__, race_free.__file__])


@pytest.fixture
def candidates(control):
    """The list for a program, and the exploration it comes from."""

    def explore(program, schedules=400, scope=SCOPE):
        return search(control(scope), program, budget=Budget(schedules=schedules), seed=1, hunt=Hunt())

    return explore


def lines_of(program):
    """The lines of a program's file that have a name, by name."""
    lines, first = inspect.getsourcelines(program)
    found = [(re.search(r"# <([a-z-]+)>", line), number) for number, line in enumerate(lines, first)]
    return {name[1]: number for name, number in found if name is not None}


def wanted(program, pairs):
    """``"a-b"``: the names may have dashes themselves."""
    lines = lines_of(program)
    names = {f"{one}-{other}": (one, other) for one in lines for other in lines}
    return sorted(tuple(sorted(lines[name] for name in names[pair])) for pair in pairs)


def listed(exploration):
    return sorted((pair.first.location.line, pair.second.location.line) for pair in exploration.candidates.pairs)


def test_there_are_enough_of_both():
    assert len(RACY) >= 15
    assert len(RACE_FREE) >= 15


@pytest.mark.parametrize("name", RACY)
def test_all_racy_pairs_are_listed_at_their_two_lines_and_no_other(candidates, name):
    program, pairs = RACY[name]
    found = candidates(program)
    assert found.failing is None
    assert listed(found) == wanted(program, pairs)
    assert all(pair.first.location.file == racy.__file__ for pair in found.candidates.pairs)


@pytest.mark.parametrize("name", RACE_FREE)
def test_none_is_listed_where_everything_is_ordered(candidates, name):
    found = candidates(RACE_FREE[name])
    assert found.failing is None
    assert found.candidates.pairs == ()
    assert found.candidates.schedules > 1 or found.complete


# --- marks -----------------------------------------------------------------------------------------------------------------


def marks(exploration):
    """Mark and note by what is accessed, and the two lines."""
    return {
        (pair.name, pair.first.location.line, pair.second.location.line): (pair.mark, pair.note)
        for pair in exploration.candidates.pairs
    }


def by_name(exploration):
    """The marks by what is accessed alone."""
    return {name: mark for (name, _, _), (mark, _) in marks(exploration).items()}


@pytest.fixture
def here(candidates, request):
    """:func:`candidates` for programs of this file."""
    return lambda program, schedules=400: candidates(program, schedules, Scope([str(request.path)]))


class Box:
    def __init__(self, value=0):
        self.value = value
        self.last = self.other = None


def counts_with_a_note(box, who):
    box.last = who
    box.value += 1
    box.other = who


def lost_update():
    box = Box()
    concurrently(lambda: counts_with_a_note(box, "a"), lambda: counts_with_a_note(box, "b"))
    assert box.value == 2


def test_only_the_pair_that_decides_is_confirmed(here):
    """The writes beside it are reversed with it in many runs, and have no part in it."""
    found = here(lost_update)
    assert found.failing is not None
    assert by_name(found) == {"box.value": Mark.CONFIRMED, "box.last": Mark.HELD, "box.other": Mark.HELD}


def test_the_search_goes_on_behind_the_failure_and_that_is_counted_apart(here):
    found = here(lost_update)
    assert found.limit == "found"
    assert found.schedules < found.candidates.schedules <= 400 + 301
    assert found.candidates.limit == "complete"
    assert 0 < found.candidates.reversing < found.candidates.schedules
    assert found.minimised is not None
    assert found.minimised.schedule.preemptions == 1


def test_without_a_hunt_nothing_is_listed(control, request):
    entered = control(Scope([str(request.path)]))
    found = search(entered, lost_update, budget=Budget(), seed=1)
    assert (found.limit, found.candidates) == ("found", None)


def test_a_pair_that_never_fails_was_tried_both_ways(candidates):
    found = candidates(racy.last_writer_wins)
    assert found.complete
    assert {mark for mark, _ in marks(found).values()} == {Mark.HELD}


def published():
    box, ready = Box(), Box(False)

    def tell():
        box.value = 1
        ready.value = True

    def look():
        if ready.value:
            assert box.value == 1

    concurrently(tell, look)


def test_an_order_that_cannot_come_about_is_not_explored(here):
    """What is written before the flag is read only after it."""
    found = here(published)
    assert found.complete
    assert by_name(found) == {"box.value": Mark.NOT_EXPLORED, "ready.value": Mark.HELD}
    assert marks(found)["box.value", *lines(published, "box.value = 1", "assert box.value")] == (
        Mark.NOT_EXPLORED,
        "no interleaving has the other order",
    )


def lines(program, *parts):
    source, first = inspect.getsourcelines(program)
    return [next(number for number, line in enumerate(source, first) if part in line) for part in parts]


def test_a_budget_that_is_too_small_is_said(here):
    found = here(published, schedules=1)
    assert found.limit == "schedules"
    assert marks(found)
    assert {mark for mark, _ in marks(found).values()} == {Mark.NOT_EXPLORED}
    assert all(note.endswith("schedule budget reached") for _, note in marks(found).values())


def always_fails():
    box = Box()

    def write(value):
        box.value = value

    concurrently(lambda: write(1), lambda: write(2))
    raise AssertionError


def test_where_both_orders_fail_none_is_confirmed(here):
    assert by_name(here(always_fails)) == {"box.value": Mark.NOT_MENDED}


def two_bugs():
    """The second one shows only in runs in which the first one does not."""
    box, order = Box(), []

    def first():
        box.value += 1
        box.last = "first"

    def second():
        box.value += 1
        box.last = "second"
        order.append(box.other)

    concurrently(first, second)
    assert box.value == 2
    if box.last == "first":
        raise KeyError("last")


def test_a_pair_that_decides_in_another_failing_run_is_confirmed_too(here):
    found = here(two_bugs)
    assert by_name(found) == {"box.value": Mark.CONFIRMED, "box.last": Mark.CONFIRMED}


def test_a_run_that_reverses_a_pair_is_one_of_the_schedules(candidates):
    """The first run shows the pair in one order, and so does the second one; the third turn is for the other order."""
    found = candidates(racy.missing_join, schedules=3)
    assert found.schedules == 3
    assert found.by_strategy["reversing"] == found.candidates.reversing == 1


@pytest.mark.parametrize("name", ["attribute", "last_writer_wins", "read_and_write_on_two_lines", "lock_in_the_writer_only"])
def test_what_was_seen_in_one_order_is_reversed_on_purpose(control, name):
    """No strategy takes part: the run without preemptions, and what the hunt makes of it."""
    program, pairs = RACY[name]
    entered, hunt = control(SCOPE), Hunt()
    hunt.see(entered.run(program, Attempt("plan", []), LOG))
    assert {pair.mark for pair in hunt.listing().pairs} == {Mark.NOT_EXPLORED}
    asked = [hunt.next() for _ in range(2)]
    assert [attempt is None for attempt in asked].count(True) == 1, "every second turn is the search's"
    while any(asked):
        for attempt in filter(None, asked):
            assert attempt.policy == "follow"
            hunt.see(entered.run(program, attempt, LOG))
        asked = [hunt.next() for _ in range(2)]
    listed = hunt.listing()
    assert [(pair.first.location.line, pair.second.location.line) for pair in listed.pairs] == wanted(program, pairs)
    assert {pair.mark for pair in listed.pairs} == {Mark.HELD}
    assert listed.reversing == listed.schedules - 1


def test_an_order_is_followed_exactly(control):
    """A run's own order, and nothing reversed: the same operations again."""
    program, _ = RACY["read_and_write_on_two_lines"]
    entered = control(SCOPE)
    for seed in range(20):
        entered.run(program, Attempt("pos", None, seed), LOG)
        done = [(row[0], row[1], row[2], row[10]) for row in _core.trace()[2]]
        order = b"".join(struct.pack("ll", thread, step) for thread, step, _, _ in done)
        entered.run(program, Attempt("follow", order), LOG)
        assert [(row[0], row[1], row[2], row[10]) for row in _core.trace()[2]] == done


@pytest.mark.parametrize("order", [b"123", "", None, []])
def test_what_is_no_order_is_refused(control, order):
    with pytest.raises(TypeError, match="an order as reversal"):
        control(SCOPE).run(lambda: None, Attempt("follow", order))


def test_an_order_with_a_thread_that_there_cannot_be_is_refused(control):
    with pytest.raises(ValueError, match="a thread that there cannot be"):
        control(SCOPE).run(lambda: None, Attempt("follow", struct.pack("ll", 64, 1)))


@pytest.mark.parametrize("numbers", [(0, 0), (1, 0), (-1, 2), (0, 10_000)])
def test_only_two_operations_of_the_run_can_be_reversed(control, numbers):
    control(SCOPE).run(racy.last_writer_wins, Attempt("plan", []), LOG)
    with pytest.raises(ValueError, match="no two operations of the last run"):
        _core.reversal(*numbers)


def test_a_deadlock_confirms_nothing_by_itself(here):
    box = Box()

    def program():
        one, other = threading.Lock(), threading.Lock()

        def nest(first, second):
            box.value += 1
            with first, second:
                pass

        concurrently(lambda: nest(one, other), lambda: nest(other, one))

    found = here(program)
    assert found.failing is not None
    assert by_name(found) == {"box.value": Mark.HELD}


def test_it_comes_out_the_same_each_time(here):
    assert here(lost_update).candidates == here(lost_update).candidates

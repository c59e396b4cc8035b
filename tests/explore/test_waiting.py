"""Loops that wait: a systematic search leaves out their idle rounds (``_core/await.c``), and loses nothing else.

What a program shows is compared with runs under bounded brute force and by chance, trace by trace. There it goes round its
loop as often as it likes, so of what a thread reads again and again, without doing anything else, only the last is left in a
trace: the reads before that told it nothing.
"""

import time

import pytest

import ftcheck
from ftcheck.explore import loops
from ftcheck.explore.control import Attempt, Ending, Log, Scope
from ftcheck.explore.search import Budget
from ftcheck.explore.search import search as whole_search
from tests.explore import brute, small_spins
from tests.explore.conftest import LOOK, READ, SLEEP, TRY, program_scope
from tests.explore.search import Found, search
from tests.explore.test_systematic import SPINNING as SPINNING_PROGRAMS
from tests.explore.test_systematic import module_of
from tests.explore.traces import normal_form

STAY, LIMIT = 30, 250
"""Points after which a thread that goes round and round gives way, and after which a run is given up, and left out."""
RUNS = 3_000
SAMPLED = 200
BRUTE, PREEMPTIONS = 600, 2
LOOPS = {name: program for name, program in small_spins.PROGRAMS.items() if name not in small_spins.ENDLESS}
SPINNING = [module_of(f"{folder}/{name}") for folder in ("fails", "holds") for name in sorted(SPINNING_PROGRAMS)]
IDLE = {LOOK, READ, SLEEP, TRY}


def without_idle_rounds(rows):
    """Whenever a thread comes to a read again and has done nothing but read since: what it has read since is gone."""
    kept, since = [], {}
    for row in rows:
        thread, kind, place = row[0], row[2], (row[2], row[9], row[10])
        reads = since.setdefault(thread, [])
        if kind not in IDLE:
            reads.clear()
        elif place in [known for known, _ in reads]:
            first = [known for known, _ in reads].index(place)
            gone = {id(read) for _, read in reads[first:]}
            kept = [one for one in kept if id(one) not in gone]
            del reads[first:]
        if kind in IDLE:
            reads.append((place, row))
        kept.append(row)
    return normal_form(kept)


@pytest.fixture
def entered(control):
    return control(Scope([small_spins.__file__]), limit=LIMIT, stay=STAY)


def seen_otherwise(entered, program):
    """Outcomes and traces of runs by chance, and outcomes of a bounded brute force."""
    seen, returned = Found(), []

    def keep(run, traces):
        value = returned.pop() if returned else None
        if run.ending is not Ending.TOO_LONG:
            seen.take_in(run, value, traces)

    def body():
        returned.append(program())

    for seed in range(SAMPLED):
        attempt = Attempt("pos", None, seed) if seed % 2 else Attempt("walk", (0.1, 1.0)[seed // 2 % 2], seed)
        keep(entered.run(body, attempt, Log.OPERATIONS), without_idle_rounds)
    for one in brute.schedules(entered, body, PREEMPTIONS, BRUTE):
        if one is not None:
            keep(one[0], None)
    return seen


def check(entered, program):
    found = search(entered, program, reduce=True, limit=RUNS, traces=without_idle_rounds)
    assert found.ended
    assert {kind for kind, *_ in found.outcomes} == {"COMPLETE"}
    seen = seen_otherwise(entered, program)
    assert set(seen.outcomes) - set(found.outcomes) == set()
    assert set(seen.traces) - set(found.traces) == set()


@pytest.mark.parametrize("name", LOOPS)
def test_no_outcome_and_no_trace_is_lost(entered, name):
    check(entered, LOOPS[name])


@pytest.mark.parametrize("module", SPINNING, ids=lambda module: module.__name__.partition("programs.")[2])
def test_nor_of_a_program_that_spins(control, module):
    check(control(program_scope(module), limit=LIMIT, stay=STAY), module.program)


@pytest.mark.parametrize("name", sorted(small_spins.ENDLESS))
def test_what_may_keep_something_is_no_idle_round(entered, name):
    """Then the search goes round and round as before, and says that it has not seen everything."""
    found = search(entered, small_spins.PROGRAMS[name], reduce=True, limit=RUNS, traces=None)
    assert {kind for kind, *_ in found.outcomes} == {"COMPLETE", "TOO_LONG"}


@pytest.mark.parametrize(("name", "interleavings"), [("give_way", 6), ("two_wait", 18)])
def test_a_whole_search_comes_to_its_end(control, name, interleavings):
    found = whole_search(control(Scope([small_spins.__file__])), small_spins.PROGRAMS[name], budget=Budget(500), seed=1)
    assert (found.complete, found.interleavings) == (True, interleavings)


def test_a_real_spin_loop_is_gone_through_completely(control):
    module = module_of("holds/publish_too_early")
    found = whole_search(control(Scope([module.__file__])), module.program, budget=Budget(500), seed=1)
    assert (found.complete, found.interleavings) == (True, 3)


def test_threads_that_wait_for_each_other_are_given_up(entered):
    """Nobody can end this: it is not taken for done."""

    def program():
        box = small_spins.Box()

        def wait():
            while not box.first:
                time.sleep(0)
            box.second = 1

        def wait_too():
            while not box.second:
                time.sleep(0)
            box.first = 1

        ftcheck.concurrently(wait, wait_too)

    entered.see(program)
    found = whole_search(entered, program, budget=Budget(100), seed=1)
    assert not found.complete
    assert set(found.endings) == {"too long"}


# --- which loops are looked at -----------------------------------------------------------------------------------------


def _once(self):
    while not self.ready:
        time.sleep(0)


def _kept(self):
    while True:
        first, second = 0, self.ready
        if second:
            return first


def _nested(self):
    for _ in range(2):
        while self.ready is None:
            pass


def _counts(self):
    tries = 0
    while not self.ready:
        tries += 1


def _stores(self):
    while not self.ready:
        self.ready = True


def _holds_a_lock(self):
    while True:
        with self.lock:
            if self.ready:
                break


def _many_variables(self):
    a = b = c = d = e = f = g = h = i = j = k = m = n = o = p = q = 0
    while not self.ready:
        pass
    return a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q


@pytest.mark.parametrize(("function", "stored"), [(_once, [0]), (_kept, [0b110]), (_nested, [0])])
def test_loops_that_may_wait(function, stored):
    assert [stores for _, stores in loops.waiting(function.__code__)] == stored


@pytest.mark.parametrize("function", [_counts, _stores, _holds_a_lock, _many_variables])
def test_loops_that_do_not(function):
    assert loops.waiting(function.__code__) == ()

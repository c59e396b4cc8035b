"""The detector of native code against a slow and obvious one.

Random programs of a few threads, each a list of single steps: accesses of all sizes, atomic operations of every order,
borders. Real threads do them by the real callbacks, one step at a time, in the order of the list. Beside them runs a
model that forgets nothing: it has every access there ever was, with the clocks of its thread.

What is reported must be a race in the model: always. The detector keeps only three accesses of each eight bytes; so that it
reports what the model does is asked of programs in which no more come to them.
"""

import ctypes
import itertools
import queue
import random
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ftcheck import _core

HERE = Path(__file__).parent
READ, WRITE, READ_UNALIGNED, WRITE_UNALIGNED, READ_RANGE, WRITE_RANGE, LOAD, STORE, ADD, EXCHANGE, FAIL = range(11)
ENTER, LEAVE, CALL_OUT = range(11, 14)
RELAXED, ACQUIRE, RELEASE, ACQ_REL, SEQ_CST = 0, 2, 3, 4, 5
WRITES = {WRITE, WRITE_UNALIGNED, WRITE_RANGE, STORE, ADD, EXCHANGE, FAIL}
ATOMIC = {LOAD, STORE, ADD, EXCHANGE, FAIL}
BORDER = -1
SITES = 40
THREADS = 4

pytestmark = pytest.mark.skipif(
    not hasattr(_core, "native_begin") or shutil.which("gcc") is None or sys.version_info[:2] < (3, 14),
    reason="extensions are watched on Linux with glibc, and this needs gcc",
)


@dataclass(frozen=True)
class Step:
    thread: int
    what: int
    offset: int = 0
    size: int = 8
    order: int = RELAXED
    site: int | None = None  # of its instruction; else it has one of its own

    @property
    def bytes(self):
        return range(self.offset, self.offset + self.size)


# --- the model ---------------------------------------------------------------------------------------------------------


@dataclass
class Known:
    """What a thread, or an atomic variable, knows: of which epoch of each thread, and all that was over at a time."""

    epochs: dict = field(default_factory=dict)
    since: int = -1

    def join(self, other):
        self.since = max(self.since, other.since)
        for thread, epoch in other.epochs.items():
            self.epochs[thread] = max(self.epochs.get(thread, 0), epoch)


@dataclass(frozen=True)
class Access:
    number: int
    step: Step
    epoch: int


class Model:
    """Every access there was; what is ordered, by the definition in _core/native.h."""

    def __init__(self):
        self.known = [Known() for _ in range(THREADS)]
        self.epoch = [1] * THREADS
        self.behind = [True] * THREADS
        self.over = {}
        self.variables = {}
        self.accesses = []
        self.races = set()

    def tell(self, thread, now):
        self.over[thread, self.epoch[thread]] = now
        self.epoch[thread] += 1

    def is_before(self, access, thread):
        known, other = self.known[thread], access.step.thread
        over = self.over.get((other, access.epoch))
        return known.epochs.get(other, 0) >= access.epoch or (over is not None and over <= known.since)

    def play(self, now, step):
        thread = step.thread
        if step.what == BORDER or step.what == CALL_OUT:
            self.tell(thread, now)
            self.behind[thread] = True
            return
        if self.behind[thread]:
            self.behind[thread] = False
            self.known[thread].since = max(self.known[thread].since, now)
        for access in self.accesses:
            if access.step.thread != thread and self.conflict(access.step, step) and not self.is_before(access, thread):
                self.races.add((access.number, now))
        self.accesses.append(Access(now, step, self.epoch[thread]))
        if step.what in ATOMIC:
            self.order(now, step)

    @staticmethod
    def conflict(a, b):
        overlap = max(a.bytes.start, b.bytes.start) < min(a.bytes.stop, b.bytes.stop)
        return overlap and (a.what in WRITES or b.what in WRITES) and not (a.what in ATOMIC and b.what in ATOMIC)

    def order(self, now, step):
        thread, cell = step.thread, step.offset // 8
        releases = step.what != LOAD and step.order in (RELEASE, ACQ_REL, SEQ_CST)
        acquires = step.what not in (STORE, FAIL) and step.order in (ACQUIRE, ACQ_REL, SEQ_CST)
        if releases:
            self.tell(thread, now)
        if acquires and cell in self.variables:
            self.known[thread].join(self.variables[cell])
        if releases and step.what != FAIL:
            variable = self.variables.setdefault(cell, Known())
            variable.join(self.known[thread])
            variable.epochs[thread] = self.epoch[thread] - 1


# --- the detector ------------------------------------------------------------------------------------------------------


class Player:
    """Threads that do single steps, and what the detector says of them."""

    def __init__(self, folder):
        library = folder / "player.so"
        command = ["gcc", "-O1", "-g", "-fPIC", "-shared", "-fno-omit-frame-pointer", "-fcf-protection=none"]
        subprocess.run([*command, str(HERE / "player.c"), "-o", str(library)], check=True)
        _core.native_begin(None)
        self.library = ctypes.PyDLL(str(library))
        self.memory = ctypes.addressof((ctypes.c_uint64 * 4096).in_dll(self.library, "player_memory"))
        self.sites = [getattr(self.library, f"player_{number}") for number in range(10, 10 + SITES)]
        self.starts = [ctypes.cast(site, ctypes.c_void_p).value for site in self.sites]
        self.base = min(
            int(line.split("-")[0], 16)
            for line in Path("/proc/self/maps").read_text().splitlines()
            if line.endswith(str(library))
        )
        self.to_do = [queue.SimpleQueue() for _ in range(THREADS)]
        self.done = queue.SimpleQueue()
        self.threads = [threading.Thread(target=self.work, args=(number,), daemon=True) for number in range(THREADS)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        while (job := self.to_do[number].get()) is not None:
            try:
                job()
                self.done.put(None)
            except BaseException as error:
                self.done.put(error)

    def in_thread(self, number, job):
        self.to_do[number].put(job)
        if (error := self.done.get()) is not None:
            raise error

    def end(self):
        for number in range(THREADS):
            self.to_do[number].put(None)
        for thread in self.threads:
            thread.join()

    def call(self, site, what, address, size, order):
        self.sites[site](ctypes.c_int(what), ctypes.c_void_p(address), ctypes.c_int(size), ctypes.c_int(order))

    def step(self, number, step):
        if step.what == BORDER:
            self.call(number, ENTER, 0, 0, 0)
            self.call(number, LEAVE, 0, 0, 0)
        else:
            self.call(number, step.what, self.memory + step.offset, step.size, step.order)

    def run(self, program, borders=0):
        """The pairs of steps that race, the earlier one first.

        :param borders: that each thread has come to before.
        """
        assert _core.native_watch(0.0, 1, 1)
        try:
            for thread in range(THREADS):
                self.in_thread(thread, lambda: self.step(0, Step(thread, BORDER)))  # noqa: B023  # it is done by then
                self.in_thread(thread, lambda: self.library.player_borders(ctypes.c_int(borders)))
            for number, step in enumerate(program):
                _core.native_tick()
                site = number if step.site is None else step.site
                self.in_thread(step.thread, lambda: self.step(site, step))  # noqa: B023
        finally:
            _core.native_rest()
        _, rows, dropped = _core.native_races()
        assert dropped == 0
        return {(self.site(earlier), self.site(later)) for *_, later, earlier in rows}

    def site(self, side):
        module, offset = side[1][0]
        assert module >= 0, f"an access without a place: {side}"
        return max(
            (number for number, start in enumerate(self.starts) if start <= self.base + offset),
            key=lambda number: self.starts[number],
        )


@pytest.fixture(scope="module")
def player(tmp_path_factory):
    made = Player(tmp_path_factory.mktemp("player"))
    yield made
    made.end()


# --- programs ----------------------------------------------------------------------------------------------------------


def any_step(draw, cells):
    thread, cell = draw.randrange(THREADS), draw.randrange(cells)
    kind = draw.random()
    if kind < 0.2:
        return Step(thread, draw.choice((BORDER, CALL_OUT)))
    if kind < 0.5:
        order = draw.choice((RELAXED, ACQUIRE, RELEASE, ACQ_REL, SEQ_CST))
        return Step(thread, draw.choice((LOAD, STORE, ADD, EXCHANGE, FAIL)), cell * 8, 8, order)
    if kind < 0.6:
        offset = cell * 8 + draw.randrange(8)
        return Step(thread, draw.choice((READ_RANGE, WRITE_RANGE)), offset, draw.randrange(1, 20))
    if kind < 0.7:
        size = draw.choice((2, 4, 8))
        return Step(thread, draw.choice((READ_UNALIGNED, WRITE_UNALIGNED)), cell * 8 + draw.randrange(8), size)
    size = draw.choice((1, 2, 4, 8, 8, 8, 16))
    return Step(thread, draw.choice((READ, WRITE)), cell * 8 + draw.randrange(0, 8, size) if size < 8 else cell * 8, size)


def any_program(draw, cells, length, most):
    """Steps, of which at most so many come to the same eight bytes."""
    program, comings = [], dict.fromkeys(range(2 * cells + 8), 0)
    while len(program) < length:
        step = any_step(draw, cells)
        touched = {} if step.what in (BORDER, CALL_OUT) else {byte // 8 for byte in step.bytes}
        if all(comings[cell] < most for cell in touched):
            program.append(step)
            for cell in touched:
                comings[cell] += 1
        elif draw.random() < 0.1:
            break
    return program


def modelled(program):
    model = Model()
    for number, step in enumerate(program):
        model.play(number, step)
    return model.races


def meetings(program, races):
    """Which threads met where."""
    cells = {(a, b): {byte // 8 for byte in {*program[a].bytes} & {*program[b].bytes}} for a, b in races}
    return {(frozenset((program[a].thread, program[b].thread)), cell) for (a, b), all_ in cells.items() for cell in all_}


@pytest.mark.parametrize("seed", range(200))
def test_what_is_reported_is_a_race(player, seed):
    program = any_program(random.Random(seed), cells=3, length=SITES, most=1000)
    assert player.run(program) <= modelled(program), program


@pytest.mark.parametrize("seed", range(200))
def test_a_race_is_reported_where_nothing_has_to_be_forgotten(player, seed):
    program = any_program(random.Random(1000 + seed), cells=6, length=SITES, most=4)
    expected, reported = modelled(program), player.run(program)
    assert reported <= expected, program
    assert meetings(program, reported) == meetings(program, expected), program


def test_programs_have_races_and_pairs_that_are_ordered():
    """Else they would show nothing."""
    racing = ordered = 0
    for seed in range(1000, 1200):
        program = any_program(random.Random(seed), 6, SITES, 4)
        accesses = [step for step in program if step.what not in (BORDER, CALL_OUT)]
        pairs = sum(a.thread != b.thread and Model.conflict(a, b) for a, b in itertools.combinations(accesses, 2))
        races = len(modelled(program))
        racing += races > 0
        ordered += pairs > races
    assert racing >= 100
    assert ordered >= 100


ORDERED = [
    [Step(0, WRITE), Step(0, BORDER), Step(1, WRITE)],
    [Step(0, WRITE), Step(0, CALL_OUT), Step(1, BORDER), Step(1, WRITE)],
    [Step(1, READ, 16), Step(0, WRITE), Step(0, STORE, 8, 8, RELEASE), Step(1, LOAD, 8, 8, ACQUIRE), Step(1, WRITE)],
    [Step(1, READ, 16), Step(0, STORE, 8, 8, RELAXED), Step(1, ADD, 8, 8, RELAXED)],
    [Step(1, READ, 16), Step(0, WRITE, 0, 4), Step(1, WRITE, 4, 4)],
]
RACING = [
    [Step(0, WRITE), Step(1, WRITE)],
    [Step(1, READ, 16), Step(0, WRITE), Step(0, BORDER), Step(1, WRITE)],
    [Step(1, READ, 16), Step(0, WRITE), Step(0, STORE, 8, 8, RELAXED), Step(1, LOAD, 8, 8, ACQUIRE), Step(1, WRITE)],
    [Step(1, READ, 16), Step(0, STORE, 8, 8, SEQ_CST), Step(1, WRITE, 8, 1)],
    [Step(0, WRITE_RANGE, 0, 4096), Step(1, READ, 4088)],
]


@pytest.mark.parametrize("program", ORDERED)
def test_ordered(player, program):
    assert modelled(program) == player.run(program) == set()


@pytest.mark.parametrize("program", RACING)
def test_racing(player, program):
    assert len(modelled(program)) == 1
    assert player.run(program) == modelled(program)


def test_epochs_that_are_long_over_are_still_told_apart(player):
    """More of them than a thread remembers ticks for: what came first is never taken for a race."""
    early = [Step(1, READ, 16), *itertools.repeat(Step(0, CALL_OUT), 5), Step(0, WRITE)]
    program = [*early, *itertools.repeat(Step(0, BORDER), 20), Step(1, WRITE)]
    assert player.run(program) == modelled(program) == {(6, 27)}
    program = [Step(1, READ, 16), Step(0, WRITE), Step(0, BORDER), *itertools.repeat(Step(1, BORDER), 20), Step(1, WRITE)]
    assert player.run(program) == modelled(program) == set()


def test_a_loop_over_bytes_takes_one_place_among_others_of_its_thread(player):
    """The last byte of a loop must not take the place of the first one: they are of the same instruction."""
    first_time = [Step(0, WRITE, 64, 1, site=site) for site in (0, 1, 2)]
    others = [Step(0, WRITE, byte, 1, site=byte) for byte in (0, 1)]
    loop = [Step(0, WRITE, byte, 1, site=2) for byte in range(2, 8)]
    for byte, site in ((0, 0), (1, 1), (2, 2), (7, 2)):
        assert player.run([*first_time, *others, *loop, Step(1, WRITE, byte, 1, site=3)]) == {(site, 3)}, byte


# --- threads that do not look closely ------------------------------------------------------------------------------------

PASSING = 2_100
"""Borders after which a thread has long come to enough of them to note what it does in passing (_core/borders.c)."""
CLOSELY = 4_604
"""Those after which it looks closely again, for a while."""
MEET = [Step(thread, WRITE, 8 * 300) for thread in (0, 1, 2, 3, 0)]
"""Each comes to memory where another one has been: then it looks closely."""


@pytest.mark.parametrize("seed", range(200))
def test_what_is_reported_of_who_does_not_look_closely_is_a_race(player, seed):
    program = any_program(random.Random(2000 + seed), cells=3, length=SITES, most=1000)
    assert player.run(program, PASSING) <= modelled(program), program


@pytest.mark.parametrize("seed", range(100))
@pytest.mark.parametrize("borders", [PASSING, CLOSELY], ids=["because they meet", "by themselves"])
def test_threads_look_closely_again(player, borders, seed):
    first = MEET if borders == PASSING else []
    program = [*first, *any_program(random.Random(3000 + seed), cells=6, length=SITES - len(MEET), most=4)]
    expected, reported = (
        {(a, b) for a, b in races if a >= len(first)} for races in (modelled(program), player.run(program, borders))
    )
    assert reported <= expected
    assert meetings(program, reported) == meetings(program, expected), program


@pytest.mark.parametrize("second", [READ, WRITE])
def test_only_what_comes_first_is_missed_where_nobody_looks_closely(player, second):
    program = [Step(0, WRITE), Step(1, second), Step(0, WRITE)]
    assert modelled(program) == {(0, 1), (1, 2)}
    assert player.run(program) == {(0, 1)}, "the second write adds nothing to the first one"
    assert player.run(program, PASSING) == {(1, 2)}


def test_readers_do_not_disturb_each_other(player):
    """They go on in passing: what they have read before is over when somebody writes to it, and is no race."""
    program = [Step(0, READ), Step(1, READ), Step(0, READ), Step(2, WRITE)]
    assert modelled(program) == {(0, 3), (1, 3), (2, 3)}
    assert player.run(program) == {(0, 3), (1, 3)}
    assert player.run(program, PASSING) == set()


def hammered(player):
    """Four threads write to one cell and read it, as fast as they can: the races that are reported."""
    library = ctypes.CDLL(player.library._name)  # detached from the interpreter, as what spins should be
    together = threading.Barrier(4)

    def hammer(number):
        own = ctypes.c_void_p(player.memory + 64 * (number + 1))
        together.wait()
        library.player_hammer(500_000, ctypes.c_void_p(player.memory), number % 2, own)

    assert _core.native_watch(0.0, 1, 1)
    try:
        threads = [threading.Thread(target=hammer, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        _core.native_rest()
    _, rows, dropped = _core.native_races()
    assert dropped == 0
    assert rows
    return rows


def test_what_threads_note_at_the_same_time_is_not_mixed(player):
    """Each access has its line, and it is its own, also where several threads overwrite each other's notes.

    It cannot fail by chance: that would take a thread that is off its CPU while another one yields 900 times, at one
    instruction. Where words and lines were written without taking the place first, four hammerings showed it in 3 of 6 runs.
    """
    for _ in range(4):
        sides = [side for *_, later, earlier in hammered(player) for side in (later, earlier)]
        assert all(places[0][0] >= 0 for _, places, *_ in sides), f"an access without a place: {sides}"
        lines = {(flags, places[0]) for flags, places, *_ in sides}
        assert len({place for _, place in lines}) == len(lines) <= 2, "the line of a read is given to a write"

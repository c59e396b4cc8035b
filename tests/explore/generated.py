"""Small random programs, each with a model of what it can do.

A program is made twice from the same dice: as source, for the engine, and as steps of a state machine, which knows nothing
of the engine, of Python's ``threading`` or of bytecode: a queue is a tuple, a lock is who has it. Every state that can be
reached is visited, so :meth:`Generated.outcomes` are all that there are, however many schedules lead to them.

An outcome is how the run ended, and what each thread has seen; nothing of those that did not come to their end.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

Shared = dict
"""Of each thing that is shared, its value: a hashable one."""

INITIAL = {
    "box.a": 0, "box.b": 0, "items": (), "keys": frozenset({0}), "lock": None, "other": None, "bare": None,
    "event": (False, ()), "condition": (None, ()), "semaphore": 1, "queue": (), "simple": (0,),
}  # fmt: skip
HEAD = """\
import queue, threading, time
from ftcheck import concurrently

class Box:
    a = b = 0
    def __init__(self):
        self.a = self.b = 0

SEEN = {}

def program():
    global SEEN
    SEEN = ended = {}
    box, items, keys = Box(), [], {0: 0}
    lock, other, bare = threading.Lock(), threading.Lock(), threading.Lock()
    event, condition, semaphore = threading.Event(), threading.Condition(threading.Lock()), threading.Semaphore(1)
    bounded, simple = queue.Queue(1), queue.SimpleQueue()
    simple.put(0)
"""
CHILD = 9
"""The number of the thread that a body may start."""
BLOCKED = object()


class Raised(Exception):
    """In the model: the type's name. It ends its thread, which notes that."""


@dataclass(frozen=True)
class Thread:
    """In the model.

    :param at: its next step; None: it has not been started.
    :param seen: what it has noted so far; **kept**: what it will need in its next step.
    :param until: when its wait ends; **late**: that time has come.
    """

    at: int | None = 0
    seen: tuple = ()
    kept: object = None
    until: int | None = None
    late: bool = False


@dataclass
class Moment:
    """What a step of the model works on. It may replace ``thread``, and values in ``shared`` and ``others``."""

    shared: Shared
    others: dict
    number: int
    thread: Thread
    now: int

    def note(self, value):
        self.thread = replace(self.thread, seen=(*self.thread.seen, value))

    def keep(self, value):
        self.thread = replace(self.thread, kept=value)

    def wait(self, seconds):
        self.thread = replace(self.thread, until=None if seconds is None else self.now + seconds)

    @property
    def late(self):
        return self.thread.late


Step = Callable[[Moment], object]
"""Gives :data:`BLOCKED`, a number of steps to go on by, or None, which is one."""


@dataclass
class Generated:
    """A program.

    :ivar source: of a module with ``program()`` and ``SEEN``, in which it leaves what each thread that has ended has seen.
    :ivar steps: of each thread, by its number.
    """

    source: str
    steps: dict[int, list[Step]] = field(repr=False)

    def outcomes(self, most=50_000):
        """All there are; None: there are more states than that."""
        first = (0, tuple(INITIAL.values()), tuple((n, Thread(None if n == CHILD else 0)) for n in self.steps))
        seen, waiting, found = {first}, [first], set()
        while waiting:
            state = waiting.pop()
            following = list(self._following(*state))
            if not following:
                done = {n: one for n, one in state[2] if self._ended(n, one)}
                whole = all(n in done or one.at is None for n, one in state[2])
                found.add(("COMPLETE" if whole else "DEADLOCK", tuple(sorted((n, one.seen) for n, one in done.items()))))
            for one in following:
                if one not in seen:
                    seen.add(one)
                    waiting.append(one)
            if len(seen) > most:
                return None
        return found

    def _ended(self, number, thread):
        return thread.at == len(self.steps[number])

    def _following(self, now, shared, threads):
        able = False
        for number, thread in threads:
            if thread.at is None or self._ended(number, thread):
                continue
            moment = Moment(dict(zip(INITIAL, shared, strict=True)), dict(threads), number, thread, now)
            try:
                further = self.steps[number][thread.at](moment)
                after = thread.at + (1 if further is None else further) if further is not BLOCKED else None
            except Raised as raised:
                moment.note(str(raised))
                after = len(self.steps[number])
            if after is not None:
                able = True
                moment.others[number] = replace(moment.thread, at=after)
                yield now, tuple(moment.shared.values()), tuple(moment.others.items())
        ends = [one.until for _, one in threads if one.until is not None and not one.late]
        if not able and ends:  # time passes
            late = {n: replace(one, late=one.until == min(ends)) for n, one in threads if one.until is not None}
            yield min(ends), shared, tuple((n, late.get(n, one)) for n, one in threads)


def generate(seed, kinds, length=3):
    """A program of two or three threads that do such things: names of :class:`_Maker`'s methods."""
    return _Maker(Random(seed), kinds).make(length)


class _Maker:
    def __init__(self, dice, kinds):
        self.dice, self.kinds = dice, kinds
        self.seconds = [1, 2, 4, 8]  # no two sums of these are equal
        self.steps: dict[int, list[Step]] = {}
        self.lines: list[str] = []
        self.held: list[str] = []
        self.me, self.child_is_wanted = 0, False

    def make(self, length):
        text = HEAD
        threads = self.dice.choice([2, 2, 3])
        for number in [*range(threads), CHILD]:
            if number == CHILD and not self.child_is_wanted:
                break
            self.me, self.lines, self.steps[number] = number, [], []
            for _ in range(self.dice.randint(1, 2 if number == CHILD else length)):
                self.one()
            body = "".join(f"            {line}\n" for line in self.lines)
            text += f"    def body{number}():\n        seen = ()\n        try:\n{body}        except Exception as error:\n"
            text += f"            seen = (*seen, type(error).__name__)\n        ended[{number}] = seen\n"
        bodies = ", ".join(f"body{number}" for number in range(threads))
        return Generated(f"{text}    concurrently({bodies})\n", self.steps)

    def one(self):
        getattr(self, self.dice.choice(self.kinds))()

    def write(self, line, *steps):
        self.lines.append(line)
        self.steps[self.me] += steps

    def inside(self, make):
        """What ``make`` writes, a level further in; gives the number of steps."""
        before, lines, self.lines = len(self.steps[self.me]), self.lines, []
        make()
        self.lines = lines + [f"    {line}" for line in self.lines]
        return len(self.steps[self.me]) - before

    def see(self, expression, value):
        """Note the value of an expression, which is one operation."""

        def step(moment):
            moment.note(value(moment.shared))

        self.write(f"seen = (*seen, {expression})", step)

    def change(self, line, name, value):
        """A statement that is one operation, and gives one thing a new value."""

        def step(moment):
            moment.shared[name] = value(moment.shared[name])

        self.write(line, step)

    # --- data ----------------------------------------------------------------------------------------------------------

    def attribute(self):
        name = f"box.{self.dice.choice('ab')}"
        match self.dice.randrange(4):
            case 0:
                self.see(name, lambda shared: shared[name])
            case 1:
                self.change(f"{name} = {self.me + 1}", name, lambda _, value=self.me + 1: value)
            case 2:

                def store(moment):
                    moment.shared[name] = moment.thread.kept + 1
                    moment.keep(None)

                self.write(f"{name} += 1", lambda moment: moment.keep(moment.shared[name]), store)
            case 3:
                at = len(self.steps[self.me])
                self.write(f"if {name}:", lambda moment: None if moment.shared[name] else many + 1)
                many = self.inside(self.one)
                assert len(self.steps[self.me]) == at + many + 1

    def container(self):
        number = 10 * self.me + self.dice.randrange(3)
        key = self.dice.randrange(2)
        match self.dice.randrange(8):
            case 0:
                self.change(f"items.append({number})", "items", lambda old: (*old, number))
            case 1:
                self.see("tuple(items)", lambda shared: shared["items"])
            case 2:
                self.see("len(items)", lambda shared: len(shared["items"]))
            case 3:
                self.change("items.clear()", "items", lambda _: ())
            case 4:
                self.change(f"keys[{key}] = 0", "keys", lambda old: old | {key})
            case 5:
                self.change(f"keys.pop({key}, None)", "keys", lambda old: old - {key})
            case 6:
                self.see(f"{key} in keys", lambda shared: key in shared["keys"])
            case 7:
                self.see("tuple(sorted(keys))", lambda shared: tuple(sorted(shared["keys"])))

    # --- locks ---------------------------------------------------------------------------------------------------------

    def locked(self):
        name = self.dice.choice(["lock", "lock", "other"])
        if name in self.held:
            return self.attribute()
        match self.dice.randrange(5):
            case 0 | 1:
                self.write(f"with {name}:", _acquire(name))
                self._holding(name)
            case 2:
                self.write(f"if {name}.acquire(blocking=False):", lambda moment: None if _take(moment, name) else many + 1)
                many = self.inside(lambda: self._holding(name, "try:", f"{name}.release()"))
            case 3:
                seconds = self._seconds()
                if seconds:
                    self.write(f"if {name}.acquire(timeout={seconds}):", lambda moment: moment.wait(seconds))
                    self.steps[self.me].append(_acquire(name, lambda: many + 1))
                    many = self.inside(lambda: self._holding(name, "try:", f"{name}.release()"))
                else:
                    self.attribute()
            case 4:
                self.see(f"{name}.locked()", lambda shared: shared[name] is not None)
        return None

    def _holding(self, name, begin="", end=""):
        if begin:
            self.lines.append(begin)
        self.held.append(name)
        self.inside(self.attribute if len(self.held) > 1 or self.dice.random() < 0.3 else self.locked)
        self.held.pop()
        if end:
            self.lines += ["finally:", f"    {end}"]
        self.steps[self.me].append(lambda moment: moment.shared.update({name: None}))

    def bare_lock(self):
        """Whoever wants to gives it back: also if nobody has it, and that raises."""
        if self.held:
            return self.attribute()
        match self.dice.randrange(4):
            case 0:
                self.write("bare.acquire()", _acquire("bare"))
            case 1 | 2:

                def give_back(moment):
                    if moment.shared["bare"] is None:
                        raise Raised("RuntimeError")
                    moment.shared["bare"] = None

                self.write("bare.release()", give_back)
            case 3:
                self.write("seen = (*seen, bare.acquire(False))", lambda moment: moment.note(_take(moment, "bare")))
        return None

    # --- what is made of locks -------------------------------------------------------------------------------------------

    def event(self):
        match self.dice.randrange(5):
            case 0 | 1:
                self.change("event.set()", "event", lambda _: (True, ()))
            case 2:
                self.change("event.clear()", "event", lambda old: (False, old[1]))
            case 3:
                self.see("event.is_set()", lambda shared: shared["event"][0])
            case 4:
                seconds = self.dice.choice([None, self._seconds()])

                def begin(moment):
                    flag, waiting = moment.shared["event"]
                    if flag:
                        moment.note(True)
                        return 2
                    moment.shared["event"] = flag, (*waiting, moment.number)
                    return moment.wait(seconds)

                def end(moment):
                    flag, waiting = moment.shared["event"]
                    if moment.number in waiting and not moment.late:
                        return BLOCKED
                    moment.shared["event"] = flag, tuple(one for one in waiting if one != moment.number)
                    moment.note(moment.number not in waiting)
                    return _on_time(moment)

                self.write(f"seen = (*seen, event.wait({seconds or ''}))", begin, end)

    def condition(self):
        if self.held:
            return self.attribute()
        waits = self.dice.random() < 0.4

        def wait(moment):
            moment.shared["condition"] = None, (*moment.shared["condition"][1], moment.number)

        def again(moment):
            owner, waiting = moment.shared["condition"]
            if moment.number in waiting or owner is not None:
                return BLOCKED
            moment.shared["condition"] = moment.number, waiting
            return -2

        def notify(moment):
            owner, waiting = moment.shared["condition"]
            moment.shared["condition"] = owner, waiting[1:]

        def enter(moment):
            owner, waiting = moment.shared["condition"]
            if owner is not None:
                return BLOCKED
            moment.shared["condition"] = moment.number, waiting
            return None

        def leave(moment):
            moment.shared["condition"] = None, moment.shared["condition"][1]

        self.write("with condition:", enter)
        if waits:
            self.write("    while not box.a:", lambda moment: 3 if moment.shared["box.a"] else None)
            self.write("        condition.wait()", wait, again)
        else:
            self.held.append("condition")
            self.inside(self.attribute)
            self.held.pop()
            self.write("    condition.notify()", notify)
        self.steps[self.me].append(leave)
        return None

    def semaphore(self):
        if self.dice.randrange(2):
            self.change("semaphore.release()", "semaphore", lambda old: old + 1)
            return

        def acquire(moment):
            if not moment.shared["semaphore"]:
                return BLOCKED
            moment.shared["semaphore"] -= 1
            return None

        self.write("semaphore.acquire()", acquire)

    def queue(self):
        name, text = self.dice.choice([("queue", "bounded"), ("simple", "simple"), ("simple", "simple")])
        number = 10 * self.me + self.dice.randrange(3)

        def put(moment):
            if name == "queue" and moment.shared[name]:
                return BLOCKED
            moment.shared[name] += (number,)
            return None

        def get(moment):
            if not moment.shared[name]:
                return BLOCKED
            first, *rest = moment.shared[name]
            moment.shared[name] = tuple(rest)
            return moment.note(first)

        def get_now(moment):
            if get(moment) is BLOCKED:
                raise Raised("Empty")

        match self.dice.randrange(5):
            case 0 | 1:
                self.write(f"{text}.put({number})", put)
            case 2 | 3:
                self.write(f"seen = (*seen, {text}.get())", get)
                if self.dice.randrange(2):
                    self.write(f"{text}.put({number})", put)
            case 4 if not self.held:
                self.write(f"seen = (*seen, {text}.get_nowait())", get_now)
            case _:
                self.see(f"{text}.empty()", lambda shared: not shared[name])

    # --- threads and time --------------------------------------------------------------------------------------------------

    def child(self):
        if self.child_is_wanted or self.me == CHILD:
            return self.attribute()
        self.child_is_wanted = True
        self.write(f"child = threading.Thread(target=lambda: body{CHILD}())")
        self.write("child.start()", lambda moment: moment.others.update({CHILD: Thread()}))
        if self.dice.randrange(2):
            self.attribute()
        if self.dice.randrange(2):

            def join(moment):
                return None if moment.others[CHILD].at == len(self.steps[CHILD]) else BLOCKED

            self.write("child.join()", join)
        return None

    def sleep(self):
        seconds = self._seconds()
        if seconds:
            wake_up = lambda moment: _on_time(moment) if moment.late else BLOCKED  # noqa: E731
            self.write(f"time.sleep({seconds})", lambda moment: moment.wait(seconds), wake_up)
        else:
            self.attribute()

    def _seconds(self):
        return self.seconds.pop() if self.seconds else None


def _take(moment, name):
    free = moment.shared[name] is None
    if free:
        moment.shared[name] = moment.number
    return free


def _acquire(name, otherwise=lambda: BLOCKED):
    """:param otherwise: where to go on if the time is over."""

    def step(moment):
        taken = _take(moment, name)
        if not taken and not moment.late:
            return BLOCKED
        _on_time(moment)
        return None if taken else otherwise()

    return step


def _on_time(moment):
    moment.thread = replace(moment.thread, until=None, late=False)

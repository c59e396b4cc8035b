"""Very small programs with loops that wait, each of which returns what it saw: all a loop may be, and what is none.

A search that takes a round of a loop for idle when it is not loses what only the rounds after it show.
"""

import queue
import threading
import time

from ftcheck import concurrently


class Box:
    """Attributes."""

    first = second = 0

    @property
    def both(self):
        return self.first and self.second

    def is_first(self):
        return self.first


def give_way():
    box, seen = Box(), []

    def write():
        box.first = 1
        box.second = 1

    def wait():
        while not box.first:
            time.sleep(0)
        seen.append(box.second)

    concurrently(write, wait)
    return seen


def hot():
    box, seen = Box(), []

    def write():
        box.second = 1
        box.first = 1
        box.second = 2

    def wait():
        while not box.first:
            pass
        seen.append(box.second)

    concurrently(wait, write)
    return seen


def thread_that_lives():
    box, seen = Box(), []

    def work():
        box.first = 1
        box.second = 1

    thread = threading.Thread(target=work)
    thread.start()
    seen.append(box.first)
    while thread.is_alive():
        pass
    seen.append(box.second)
    return seen


def thread_that_others_see_live():
    box, seen = Box(), []

    def work():
        box.first = 1

    def wait(number):
        while thread.is_alive():
            time.sleep(0)
        seen.append(number)

    thread = threading.Thread(target=work)
    thread.start()
    concurrently(lambda: wait(1), lambda: wait(2), lambda: seen.append(box.first))
    return seen


def several_values():
    """It may see any of those that let it go, and none of those that do not."""
    box, seen = Box(), []

    def write():
        for number in (1, 2, 3, 4):
            box.first = number

    def wait():
        while box.first < 2:
            time.sleep(0)
        seen.append(box.first)

    concurrently(wait, write)
    return seen


def either():
    """What lets it go on is not what it reads next."""
    box, seen = Box(), []

    def wait():
        while not (box.first or box.second):
            pass
        seen.append((box.first, box.second))

    def one():
        seen.append("first")
        box.first = 1

    def other():
        box.second = 1
        seen.append("second")

    concurrently(wait, one, other)
    return seen


def through_a_property():
    box, seen = Box(), []

    def wait():
        while not box.both:
            pass
        seen.append("both")

    def one():
        box.first = 1
        box.first = 0
        box.first = 1

    def other():
        box.second = 1
        seen.append("second")

    concurrently(wait, one, other)
    return seen


def through_a_method():
    box, seen = Box(), []

    def write():
        box.first = 1
        seen.append("written")

    def wait():
        while not box.is_first():
            pass
        seen.append("read")

    concurrently(wait, write)
    return seen


def kept_in_a_variable():
    box, seen = Box(), []
    box.first = None

    def write():
        box.first = 0
        box.first = 1

    def wait():
        while (found := box.first) is None:
            pass
        seen.append(found)

    concurrently(wait, write)
    return seen


def variable_of_an_enclosing_function():
    done, seen = False, []

    def write():
        nonlocal done
        seen.append("before")
        done = True
        seen.append("after")

    def wait():
        while not done:
            pass
        seen.append("read")

    concurrently(wait, write)
    return seen


def list_that_fills():
    items, seen = [], []

    def write():
        items.append(1)
        items.append(2)

    def wait():
        while not items:
            pass
        seen.append(len(items))

    concurrently(wait, write)
    return seen


def item_of_a_dict():
    items, seen = {"a": 0}, []

    def write():
        items["b"] = 1
        items["a"] = 1
        items["b"] = 2

    def wait():
        while not items["a"]:
            pass
        seen.append(items["b"])

    concurrently(wait, write)
    return seen


def lock_that_is_tried():
    lock, seen = threading.Lock(), []
    lock.acquire()

    def release():
        seen.append("before")
        lock.release()
        seen.append("after")

    def wait():
        while not lock.acquire(blocking=False):
            pass
        seen.append("taken")

    concurrently(wait, release)
    return seen


def one_after_the_other():
    """Two loops, the second of which begins in the middle of what the first waits for."""
    box, seen = Box(), []

    def write():
        box.first = 1
        box.second = 1
        box.first = 2

    def wait():
        while not box.first:
            pass
        while not box.second:
            pass
        seen.append(box.first)

    concurrently(wait, write)
    return seen


def ping_pong():
    box, seen = Box(), []

    def ping():
        box.first = 1
        while not box.second:
            pass
        seen.append("ping")

    def pong():
        while not box.first:
            pass
        box.second = 1
        seen.append("pong")

    concurrently(ping, pong)
    return seen


def two_wait():
    box, seen = Box(), []

    def wait(name):
        while not box.first:
            pass
        seen.append(name)

    def write():
        box.first = 1

    concurrently(lambda: wait("a"), lambda: wait("b"), write)
    return seen


def written_out_of_scope():
    """One operation says that something will be put in; when it is, after a lock was taken, none does."""
    jobs, seen = queue.Queue(), []

    def put():
        jobs.put(1)
        seen.append("put")
        jobs.put(2)
        seen.append("put again")

    def wait():
        while not jobs.queue:
            pass
        seen.append(len(jobs.queue))

    concurrently(wait, put)
    return seen


def set_out_of_scope():
    event, seen = threading.Event(), []

    def set_it():
        event.set()
        seen.append("set")

    def wait():
        while not event._flag:
            pass
        seen.append("seen")

    def wait_too():
        while not event._flag:
            time.sleep(0)
        seen.append("seen, too")

    concurrently(wait_too, set_it, wait)
    return seen


# --- rounds that are not idle, whatever they look like ---------------------------------------------------------------


def counted():
    """It gives up after some rounds: each of them matters."""
    box, seen = Box(), []

    def write():
        box.first = 1

    def wait():
        rounds = 0
        while not box.first and rounds < 3:
            rounds = rounds + 1
        seen.append(rounds)

    concurrently(wait, write)
    return seen


def counted_elsewhere():
    """By a function that it calls, in a variable of its own thread, which disturbs nobody."""
    box, mine, seen = Box(), threading.local(), []

    def write():
        box.first = 1

    def enough():
        mine.rounds = getattr(mine, "rounds", 0) + 1
        return mine.rounds > 3

    def wait():
        while not box.first and not enough():
            pass
        seen.append(mine.rounds if hasattr(mine, "rounds") else 0)

    concurrently(wait, write)
    return seen


def counted_in_c():
    box, seen = Box(), []
    rounds = iter(range(3))

    def write():
        box.first = 1

    def wait():
        while not box.first and next(rounds, None) is not None:
            pass
        seen.append(next(rounds, None))

    concurrently(wait, write)
    return seen


def many_short_waits():
    """The same loop in the same place, gone into again each time: what is different is in who calls it."""
    box, seen = Box(), []

    def write():
        box.first = 1
        box.first = 0
        box.first = 1

    def wait():
        while not box.first:
            pass

    def waits():
        for _ in range(2):
            wait()
            seen.append(box.first)

    concurrently(waits, write)
    return seen


def falls_out_of_the_loop():
    """The loop ends by an exception, and the function is called again."""
    box, seen = Box(), []
    box.third = 0

    def write():
        del box.third
        box.third = 1

    def wait():
        while not box.third:
            pass

    def waits():
        for _ in (1, 2):
            try:
                wait()
                seen.append("there")
            except AttributeError:
                seen.append("missing")

    concurrently(waits, write)
    return seen


def spun_within_a_loop():
    box, seen = Box(), []

    def write():
        box.first = 1
        box.second = 1

    def wait():
        for _ in (1, 2):
            while not box.first:
                pass
            seen.append(box.second)

    concurrently(wait, write)
    return seen


def an_object_that_is_made_anew():
    box, seen = Box(), []
    box.third = [0]

    def write():
        box.third = [1]

    def wait():
        while True:
            found = [*box.third, 1]
            if found[0]:
                break
        seen.append(found)

    concurrently(wait, write)
    return seen


PROGRAMS = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", "") == __name__ and value is not Box
}
"""All of them, by their names."""
ENDLESS = {"an_object_that_is_made_anew"}
"""Their rounds are not known to be idle: a search does not come to its end."""

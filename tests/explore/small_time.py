"""Programs with clocks and timeouts in them, small enough for brute force. Each returns what its threads saw.

Virtual time stands still while anybody can run. So what tells the order of two threads is who looked at the clock first, who
set a time by it before the other one looked, and, where two times come at once, who is awake first.
"""

import queue
import threading
import time

from ftcheck import concurrently


def two_looks():
    seen = [0, 0]

    def look(number):
        seen[number] = time.monotonic()

    concurrently(lambda: look(0), lambda: look(1))
    return seen[0] < seen[1]


def looks_around_a_look():
    seen = {}

    def twice():
        seen["first"] = time.perf_counter_ns()
        seen["last"] = time.perf_counter_ns()

    def once():
        seen["between"] = time.perf_counter_ns()

    concurrently(twice, once)
    return sorted(seen, key=seen.get)


def looks_by_different_clocks():
    seen = [0, 0]

    def look(number, clock):
        seen[number] = clock()

    began, monotonic = time.time_ns(), time.monotonic_ns()
    concurrently(lambda: look(0, time.time_ns), lambda: look(1, time.monotonic_ns))
    return seen[0] - began, seen[1] - monotonic


def who_sleeps_first_is_awake_first():
    seen = []

    def nap(number):
        time.monotonic()
        time.sleep(1)
        seen.append(number)

    concurrently(lambda: nap(1), lambda: nap(2))
    return seen


def sleeps_of_one_length():
    seen = []

    def nap(number):
        time.sleep(1)
        seen.append(number)

    concurrently(lambda: nap(1), lambda: nap(2))
    return seen


def lock_in_time_or_not():
    lock, seen = threading.Lock(), []

    def hold():
        with lock:
            time.sleep(1)

    concurrently(hold, lambda: seen.append(lock.acquire(timeout=1)))
    return seen


def recursive_lock_in_time_or_not():
    lock, seen = threading.RLock(), []

    def hold():
        with lock:
            time.sleep(1)

    concurrently(hold, lambda: seen.append(lock.acquire(timeout=1)))
    return seen


def lock_too_late_again_and_again():
    lock, seen = threading.Lock(), []

    def hold():
        with lock:
            time.sleep(2)

    def ask():
        while not lock.acquire(timeout=1):
            seen.append("late")
        lock.release()

    concurrently(hold, ask)
    return seen


def waits_behind_one_who_sleeps():
    lock, seen = threading.Lock(), []

    def hold(number):
        with lock:
            seen.append(number)
            time.sleep(1)

    concurrently(lambda: hold(1), lambda: hold(2))
    return seen


def item_in_time_or_not():
    box, seen = queue.SimpleQueue(), []

    def late():
        time.sleep(1)
        box.put("item")

    def take():
        try:
            seen.append(box.get(timeout=1))
        except queue.Empty:
            seen.append("empty")

    concurrently(late, take)
    return seen


def thread_that_ends_in_time_or_not():
    seen = []

    def late():
        time.sleep(1)
        seen.append("late")

    thread = threading.Thread(target=late)
    thread.start()
    thread.join(1)
    seen.append("waited")
    thread.join()
    return seen


def notified_in_time_or_not():
    condition, seen = threading.Condition(), []

    def late():
        time.sleep(1)
        with condition:
            condition.notify()

    def wait():
        with condition:
            seen.append(condition.wait(1))

    concurrently(late, wait)
    return seen


def a_timeout_that_another_timeout_ends():
    event, seen = threading.Event(), []

    def gives_up():
        seen.append(event.wait(1))
        event.set()

    concurrently(gives_up, lambda: seen.append(event.wait(2)))
    return seen


PROGRAMS = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", "") == __name__ and not isinstance(value, type)
}

"""Very small programs, one for each way in which threads can tell by locks, queues and the like which of them came first.

As in :mod:`tests.explore.small`.
"""

import queue
import threading
import time

from ftcheck import concurrently


class Box:
    def __init__(self, **attributes):
        vars(self).update(attributes)


def order_of_locking():
    lock, seen = threading.Lock(), []

    def take(number):
        with lock:
            seen.append(number)

    concurrently(lambda: take(1), lambda: take(2))
    return seen


def lock_that_is_looked_at():
    lock, seen = threading.Lock(), []

    def take():
        with lock:
            pass

    concurrently(take, lambda: seen.append(lock.locked()))
    return seen


def lock_that_is_tried():
    lock, seen = threading.Lock(), []

    def attempt():
        taken = lock.acquire(blocking=False)
        seen.append(taken)
        if taken:
            lock.release()

    concurrently(attempt, attempt)
    return sorted(seen)


def recursive_lock_that_is_tried():
    lock, seen = threading.RLock(), []

    def take():
        with lock, lock:
            pass

    def attempt():
        taken = lock.acquire(blocking=False)
        seen.append(taken)
        if taken:
            lock.release()

    concurrently(take, attempt)
    return seen


def notified_by_nobody_waiting():
    """``notify()`` tries to take the lock that its caller holds, to see that it is held."""
    lock, seen = threading.Lock(), []
    condition = threading.Condition(lock)

    def notify():
        with lock:
            condition.notify()
            seen.append(1)

    def other():
        with lock:
            seen.append(2)

    concurrently(notify, other)
    return seen


def event_that_is_looked_at():
    event, seen = threading.Event(), []
    concurrently(event.set, lambda: seen.append(event.is_set()))
    return seen


def event_that_is_waited_for():
    event, seen = threading.Event(), []

    def wait():
        event.wait()
        seen.append(2)

    concurrently(wait, lambda: seen.append(1), event.set)
    return seen


def event_with_timeout():
    event, seen = threading.Event(), []

    def late():
        time.sleep(1)
        event.set()

    concurrently(lambda: seen.append(event.wait(1)), late)
    return seen


def semaphore():
    places, seen = threading.Semaphore(1), []
    concurrently(lambda: seen.append(places.acquire(blocking=False)), lambda: seen.append(places.acquire(blocking=False)))
    return seen


def barrier():
    meeting, seen = threading.Barrier(2), []

    def meet(number):
        seen.append((number, meeting.wait()))

    concurrently(lambda: meet(1), lambda: meet(2))
    return sorted(seen)


def barrier_that_is_looked_at():
    meeting, seen = threading.Barrier(2), []
    concurrently(meeting.abort, lambda: seen.append(meeting.broken))
    return seen


def simple_queue():
    jobs, seen = queue.SimpleQueue(), []

    def work():
        seen.append(jobs.get())

    concurrently(lambda: jobs.put(1), lambda: jobs.put(2), work)
    return seen


def simple_queue_that_is_looked_at():
    jobs, seen = queue.SimpleQueue(), []
    concurrently(lambda: jobs.put(1), lambda: seen.append(jobs.empty()), lambda: seen.append(-jobs.qsize()))
    return sorted(seen)


def simple_queue_that_is_tried():
    jobs, seen = queue.SimpleQueue(), []

    def attempt():
        try:
            seen.append(jobs.get_nowait())
        except queue.Empty:
            seen.append("empty")

    concurrently(lambda: jobs.put(1), attempt)
    return seen


def bounded_queue():
    jobs, seen = queue.Queue(1), []

    def attempt():
        try:
            jobs.put_nowait(2)
        except queue.Full:
            seen.append("full")

    concurrently(lambda: jobs.put(1), attempt)
    return seen, list(jobs.queue)


def queue_that_is_looked_at():
    jobs, seen = queue.Queue(), []
    concurrently(lambda: jobs.put(1), lambda: seen.append(jobs.qsize()))
    return seen


def thread_that_is_looked_at():
    seen = []
    thread = threading.Thread(target=seen.append, args=(1,))
    thread.start()
    seen.append(thread.is_alive())
    thread.join()
    return seen


def started(body, **options):
    thread = threading.Thread(target=body, **options)
    thread.start()
    return thread


started.__module__ = ""  # it is no program


def thread_that_is_looked_at_again_and_again():
    seen = []
    thread = started(lambda: seen.append("work"))
    for _ in range(3):
        seen.append(thread.is_alive())
    thread.join()
    return seen


def thread_that_has_nothing_to_do():
    thread = started(lambda: None)
    seen = [thread.is_alive(), thread.is_alive()]
    thread.join()
    return seen, thread.is_alive()


def threads_that_are_looked_at():
    seen = []
    first, second = started(lambda: seen.append(1)), started(lambda: seen.append(2))
    alive = first.is_alive(), second.is_alive()
    first.join()
    second.join()
    return seen, alive


def thread_that_two_others_look_at():
    box = Box(value=0)
    thread = started(lambda: vars(box).update(value=1))
    seen = {}

    def look(number):
        seen[number] = thread.is_alive(), box.value

    concurrently(lambda: look(1), lambda: look(2))
    thread.join()
    return sorted(seen.items())


def threads_that_look_at_each_other():
    seen, threads = [], []

    def look(number):
        seen.append((number, threads[1 - number].is_alive()))

    threads += [threading.Thread(target=look, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def thread_of_which_only_one_is_looked_at():
    seen = []
    first, second = started(lambda: seen.append(1)), started(lambda: seen.append(2))
    seen.append(second.is_alive())
    first.join()
    second.join()
    return seen


def thread_that_is_looked_at_now_and_then():
    """Only if it has come so far."""
    box = Box(value=0)

    def work():
        box.value = 1
        box.value = 2

    thread = started(work)
    seen = [box.value]
    if seen == [1]:
        seen.append(thread.is_alive())
    thread.join()
    return seen


def daemon_that_is_looked_at():
    seen = []
    thread = started(lambda: seen.append("work"), daemon=True)
    seen.append(thread.is_alive())
    thread.join()
    return seen


def daemon_that_is_left_behind():
    box = Box(value=0)
    started(lambda: vars(box).update(value=1), daemon=True)
    return box.value, box.value


def daemon_that_reads_first():
    box, other = Box(value=0), Box(value=1)

    def work():
        box.value += other.value
        box.value += other.value

    started(work, daemon=True)
    return box.value, box.value


def daemons_that_meet_after_the_test():
    box = Box(value=0)

    def work():
        box.value += 1

    started(work, daemon=True)
    started(work, daemon=True)
    return [box.value]


def daemon_that_serves_a_queue():
    jobs, done = queue.SimpleQueue(), []

    def serve():
        while True:
            done.append(jobs.get())

    started(serve, daemon=True)
    jobs.put(1)
    jobs.put(2)
    return list(done)


def daemon_that_holds_a_lock():
    lock, box = threading.Lock(), Box(value=0)

    def work():
        with lock:
            box.value = 1

    started(work, daemon=True)
    return lock.acquire(blocking=False), box.value


def thread_that_is_joined_for_a_while():
    lock, seen = threading.Lock(), []
    with lock:
        thread = started(lock.acquire)
        thread.join(1)
        seen.append(thread.is_alive())
    thread.join(1)
    seen.append(thread.is_alive())
    return seen


def thread_that_is_shown():
    thread = started(lambda: None)
    shown = "stopped" in repr(thread)
    thread.join()
    return shown, "stopped" in repr(thread)


def thread_of_a_thread():
    seen = []

    def parent():
        thread = threading.Thread(target=lambda: seen.append("child"))
        thread.start()
        seen.append("parent")
        thread.join()

    concurrently(parent)
    return seen


def thread_that_nobody_joins():
    seen = []
    threading.Thread(target=seen.append, args=("child",)).start()
    return list(seen)


def sleepers():
    seen = []

    def sleep(seconds, number):
        time.sleep(seconds)
        seen.append(number)

    concurrently(lambda: sleep(1, 1), lambda: sleep(1, 2), lambda: sleep(0.5, 3))
    return seen


def giving_way():
    box, seen = Box(value=0), []

    def write():
        time.sleep(0)
        box.value = 1

    def read():
        time.sleep(0)
        seen.append(box.value)

    concurrently(write, read)
    return seen


def deadlock():
    first, second, seen = threading.Lock(), threading.Lock(), []

    def ab():
        with first, second:
            seen.append(1)

    def ba():
        with second, first:
            seen.append(2)

    concurrently(ab, ba)
    return seen


def lock_that_its_owner_looks_at():
    """That others look at it while it is held does not hide that it could have been taken before."""
    lock, box, seen = threading.Lock(), Box(full=False), []

    def fill():
        seen.append(lock.locked())
        with lock:
            box.full = True
            lock.locked()

    def look():
        if not box.full:
            with lock:
                lock.locked()
        with lock:
            lock.locked()

    concurrently(fill, look)
    return seen


def token_that_goes_round():
    """Nor does that the queue is filled again."""
    tokens, seen = queue.SimpleQueue(), []
    tokens.put(None)

    def turn(number):
        token = tokens.get()
        seen.append(number)
        tokens.put(token)

    concurrently(lambda: turn(1), lambda: turn(2), lambda: turn(3))
    return seen


def lock_given_back_by_others():
    """Twice in a row that raises; not if it was taken meanwhile."""
    lock, seen = threading.Lock(), []
    lock.acquire()

    def give_back(number):
        try:
            lock.release()
        except RuntimeError:
            seen.append(number)

    concurrently(lambda: give_back(1), lambda: give_back(2), lock.acquire)
    return seen


PROGRAMS = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", "") == __name__ and not isinstance(value, type)
}

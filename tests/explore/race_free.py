"""Programs in which everything that two threads access, and one writes, is ordered, or is atomic: no pair may be listed."""

import collections
import itertools
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed, wait

from ftcheck import concurrently

from .racy import Box

RACE_FREE = {}


def race_free(program):
    RACE_FREE[program.__name__] = program
    return program


@race_free
def lock():
    box, mine = Box(), threading.Lock()

    def add():
        with mine:
            box.value += 1

    concurrently(add, add)
    assert box.value == 2


@race_free
def rlock_taken_twice():
    box, mine = Box(), threading.RLock()

    def add():
        with mine, mine:
            box.value += 1

    concurrently(add, add)


@race_free
def lock_that_is_tried():
    box, mine = Box(), threading.Lock()

    def add():
        if mine.acquire(blocking=False):
            try:
                box.value += 1
            finally:
                mine.release()

    concurrently(add, add)


@race_free
def lock_with_a_timeout():
    box, mine = Box(), threading.Lock()

    def add():
        if mine.acquire(timeout=5):
            box.value += 1
            mine.release()

    concurrently(add, add)


@race_free
def lock_as_a_signal():
    box, done = Box(), threading.Lock()
    done.acquire()

    def work():
        box.value = 1
        done.release()

    def look():
        with done:
            return box.value

    concurrently(work, look)


@race_free
def lock_dropped_between_read_and_write():
    """A lost update, but no race: each access has the lock."""
    box, mine = Box(), threading.Lock()

    def add():
        with mine:
            seen = box.value
        with mine:
            box.value = seen + 1

    concurrently(add, add)


@race_free
def start_and_join():
    box = Box()
    box.value = 1

    def work():
        box.value += 1

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert box.value == 2


@race_free
def join_chain():
    box = Box()

    def first():
        box.value = 1

    one = threading.Thread(target=first)

    def second():
        one.join()
        box.value += 1

    other = threading.Thread(target=second)
    one.start()
    other.start()
    other.join()
    assert box.value == 2


@race_free
def thread_that_is_asked_whether_it_lives():
    box = Box()

    def work():
        box.value = 1

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        time.sleep(0)
    assert box.value == 1


@race_free
def event():
    box, ready = Box(), threading.Event()

    def produce():
        box.value = 1
        ready.set()

    def consume():
        ready.wait()
        assert box.value == 1

    concurrently(produce, consume)


@race_free
def event_that_is_asked():
    box, ready = Box(), threading.Event()

    def produce():
        box.value = 1
        ready.set()

    def consume():
        while not ready.is_set():
            time.sleep(0)
        assert box.value == 1

    concurrently(produce, consume)


@race_free
def bounded_queue():
    items = queue.Queue(maxsize=1)

    def produce():
        for number in range(2):
            box = Box()
            box.value = number
            items.put(box)

    def consume():
        for _ in range(2):
            items.get().value += 1

    concurrently(produce, consume)


@race_free
def queue_that_is_joined():
    items, box = queue.Queue(), Box()
    items.put(1)

    def consume():
        box.value = items.get()
        items.task_done()

    def look():
        items.join()
        return box.value

    concurrently(consume, look)


@race_free
def priority_queue():
    items = queue.PriorityQueue()

    def produce():
        box = Box()
        box.value = 1
        items.put((1, box))

    concurrently(produce, lambda: items.get()[1].value)


@race_free
def simple_queue():
    items = queue.SimpleQueue()

    def produce():
        box = Box()
        box.value = 1
        items.put(box)

    def consume():
        items.get().value += 1

    concurrently(produce, consume)


@race_free
def barrier():
    boxes, meeting = [Box(), Box()], threading.Barrier(2)

    def work(number):
        boxes[number].value = 1
        meeting.wait()
        assert boxes[1 - number].value == 1

    concurrently(lambda: work(0), lambda: work(1))


@race_free
def semaphore_for_one():
    box, semaphore = Box(), threading.Semaphore(1)

    def work():
        with semaphore:
            box.value += 1

    concurrently(work, work)


@race_free
def bounded_semaphore_as_a_signal():
    box, semaphore = Box(), threading.BoundedSemaphore(1)
    semaphore.acquire()

    def work():
        box.value = 1
        semaphore.release()

    def look():
        semaphore.acquire()
        return box.value

    concurrently(work, look)


@race_free
def condition():
    box, changed = Box(), threading.Condition()

    def produce():
        with changed:
            box.value = 1
            changed.notify()

    def consume():
        with changed:
            while not box.value:
                changed.wait()

    concurrently(produce, consume)


@race_free
def executor():
    box = Box()

    def work():
        box.value += 1

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(work)
        first.result()
        assert box.value == 1
        box.value = 5
        pool.submit(work)
    assert box.value == 6


@race_free
def executor_whose_futures_are_waited_for():
    boxes = [Box(), Box()]

    def work(box):
        box.value = 1

    with ThreadPoolExecutor(2) as pool:
        wait([pool.submit(work, box) for box in boxes])
        assert sum(box.value for box in boxes) == 2


@race_free
def executor_as_completed():
    def work():
        box = Box()
        box.value = 1
        return box

    with ThreadPoolExecutor(2) as pool:
        for done in as_completed([pool.submit(work), pool.submit(work)]):
            done.result().value += 1


@race_free
def executor_map():
    with ThreadPoolExecutor(2) as pool:
        for box in pool.map(Box, [1, 2]):
            box.value += 1


@race_free
def timer_that_is_joined():
    box = Box()

    def ring():
        box.value = 1

    alarm = threading.Timer(1.0, ring)
    alarm.start()
    alarm.join()
    assert box.value == 1


@race_free
def thread_local():
    own = threading.local()

    def work():
        own.value = 0
        own.value += 1
        own.box = Box()
        own.box.value += 1

    concurrently(work, work)


class Own(threading.local):
    value = 0


@race_free
def thread_local_of_a_class():
    own = Own()

    def work():
        own.value += 1

    concurrently(work, work)


@race_free
def recycled_addresses():
    def work():
        for number in range(3):
            box = Box(number)
            box.value += 1
            del box

    concurrently(work, work, work)


@race_free
def recycled_containers():
    def work():
        for number in range(3):
            counts = {"x": number, "y": [number]}
            counts["x"] += 1
            counts["y"][0] += 1
            del counts

    concurrently(work, work)


@race_free
def atomic_operations_of_containers():
    names, seen, counts, last = [], set(), {}, collections.deque(maxlen=3)

    def work(name):
        names.append(name)
        seen.add(name)
        counts.setdefault("all", 0)
        last.append(name)
        assert name in seen
        assert len(names) >= 1
        assert list(last)

    concurrently(lambda: work("a"), lambda: work("b"))


@race_free
def each_its_own_key():
    results = {}
    places = [None, None]

    def work(number):
        results[number] = number
        places[number] = number
        results[number] += 1

    concurrently(lambda: work(0), lambda: work(1))


@race_free
def each_its_own_attribute():
    box = Box()

    def left():
        box.left = 1
        box.left += 1

    def right():
        box.right = 1
        box.right += 1

    concurrently(left, right)


@race_free
def handed_over_by_a_deque():
    boxes = collections.deque()

    def produce():
        box = Box()
        box.value = 1
        boxes.append(box)

    def consume():
        if boxes:
            boxes.popleft().value += 1

    concurrently(produce, consume)


@race_free
def handed_over_by_a_dict():
    boxes = {}

    def produce():
        box = Box()
        box.value = 1
        boxes["a"] = box

    def consume():
        if "a" in boxes:
            return boxes["a"].value
        return None

    concurrently(produce, consume)


@race_free
def handed_over_by_iterating():
    boxes = []

    def produce():
        box = Box()
        box.value = 1
        boxes.append(box)

    def consume():
        return [box.value for box in boxes]

    concurrently(produce, consume)


@race_free
def numbers_of_a_shared_counter():
    numbers = itertools.count()
    taken = []

    def work():
        taken.append(next(numbers))

    concurrently(work, work)


@race_free
def nothing_is_written():
    box = Box()
    concurrently(lambda: box.value, lambda: box.value)

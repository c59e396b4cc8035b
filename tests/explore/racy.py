"""Programs with races: each says, by names that stand behind lines, which pairs of lines nothing orders.

A name is a comment ``# <a>``; ``"a-b"`` is the pair of these two lines. (What the line accesses is asked for in the tests.)
None of these programs fails: what a race does to a check is the business of ``tests/programs``.
"""

import collections
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from ftcheck import concurrently

RACY = {}


def races(*pairs):
    def keep(program):
        RACY[program.__name__] = program, pairs
        return program

    return keep


class Box:
    total = 0

    def __init__(self, value=0):
        self.value = value


@races("attribute-attribute")
def attribute():
    box = Box()

    def add():
        box.value += 1  # <attribute>

    concurrently(add, add)


@races("read-write", "write-write")
def read_and_write_on_two_lines():
    box = Box()

    def add():
        seen = box.value  # <read>
        box.value = seen + 1  # <write>

    concurrently(add, add)


hits = 0


@races("global-global")
def global_variable():
    def visit():
        global hits
        hits += 1  # <global>

    concurrently(visit, visit)


@races("closure-closure")
def closure():
    count = 0

    def visit():
        nonlocal count
        count += 1  # <closure>

    concurrently(visit, visit)


@races("item-item")
def item():
    counts = {"x": 0}

    def count():
        counts["x"] += 1  # <item>

    concurrently(count, count)


@races("index-index")
def index():
    counts = [0, 0]

    def count():
        counts[-1] += 1  # <index>

    concurrently(count, count)


@races("got-got")
def get_and_set():
    counts = {}

    def count(word):
        counts[word] = counts.get(word, 0) + 1  # <got>

    concurrently(lambda: count("a"), lambda: count("a"))


@races("one-other")
def last_writer_wins():
    settings = {}

    def first():
        settings["mode"] = "fast"  # <one>

    def second():
        settings["mode"] = "slow"  # <other>

    concurrently(first, second)


@races("default-default")
def missing_key():
    groups = collections.defaultdict(list)

    def add():
        groups["a"].append(1)  # <default>

    concurrently(add, add)


@races("class-class")
def class_attribute():
    Box.total = 0

    def add():
        Box.total += 1  # <class>

    concurrently(add, add)


@races("module-module")
def two_locks():
    box, one, other = Box(), threading.Lock(), threading.Lock()

    def add(lock):
        with lock:
            box.value += 1  # <module>

    concurrently(lambda: add(one), lambda: add(other))


@races("locked-free")
def lock_in_the_writer_only():
    box, lock = Box(), threading.Lock()

    def write():
        with lock:
            box.value = 1  # <locked>

    def read():
        return box.value  # <free>

    concurrently(write, read)


@races("result-early")
def missing_join():
    box = Box()

    def work():
        box.value = 42  # <result>

    thread = threading.Thread(target=work)
    thread.start()
    seen = box.value  # <early>
    thread.join()
    return seen


@races("second-too-early")
def join_of_another_thread():
    box, other = Box(), Box()

    def work():
        box.value = 1

    def more():
        other.value = 2  # <second>

    threads = [threading.Thread(target=work), threading.Thread(target=more)]
    for thread in threads:
        thread.start()
    threads[0].join()
    seen = box.value, other.value  # <too-early>
    threads[1].join()
    return seen


@races("late-reader")
def event_is_set_too_early():
    box, ready = Box(), threading.Event()

    def produce():
        ready.set()
        box.value = 1  # <late>

    def consume():
        ready.wait()
        return box.value  # <reader>

    concurrently(produce, consume)


@races("filled-taken")
def queue_item_is_filled_too_late():
    items = queue.Queue()

    def produce():
        box = Box()
        items.put(box)
        box.value = 1  # <filled>

    def consume():
        return items.get().value  # <taken>

    concurrently(produce, consume)


@races("simple-got-it")
def simple_queue_item_is_filled_too_late():
    items = queue.SimpleQueue()

    def produce():
        box = Box()
        items.put(box)
        box.value = 1  # <simple>

    def consume():
        return items.get().value  # <got-it>

    concurrently(produce, consume)


@races("behind-behind")
def both_behind_a_barrier():
    box, barrier = Box(), threading.Barrier(2)

    def work():
        barrier.wait()
        box.value += 1  # <behind>

    concurrently(work, work)


@races("both-both")
def semaphore_for_two():
    box, semaphore = Box(), threading.Semaphore(2)

    def work():
        with semaphore:
            box.value += 1  # <both>

    concurrently(work, work)


@races("after-waiter")
def written_after_notify():
    box, changed = Box(), threading.Condition()
    ready = []

    def wake():
        with changed:
            ready.append(True)
            changed.notify()
        box.value = 1  # <after>

    def wait():
        with changed:
            changed.wait_for(lambda: ready)
        return box.value  # <waiter>

    concurrently(wake, wait)


@races("job-job")
def jobs_of_an_executor():
    box = Box()

    def work():
        box.value += 1  # <job>

    with ThreadPoolExecutor(2) as pool:
        pool.submit(work)
        pool.submit(work)


@races("in-the-pool-not-awaited")
def result_is_not_awaited():
    box = Box()

    def work():
        box.value = 1  # <in-the-pool>

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work)
        return box.value  # <not-awaited>


@races("ring-look")
def timer():
    box = Box()

    def ring():
        box.value = 1  # <ring>

    alarm = threading.Timer(1.0, ring)
    alarm.start()
    time.sleep(5)
    seen = box.value  # <look>
    alarm.join()
    return seen


@races("own-own")
def thread_local_that_refers_to_one_object():
    shared, own = Box(), threading.local()

    def work():
        own.box = shared
        own.box.value += 1  # <own>

    concurrently(work, work)


@races("kept-kept")
def among_recycled_addresses():
    kept = Box()

    def work():
        for number in range(2):
            passing = Box(number)
            passing.value += 1
            del passing
        kept.value += 1  # <kept>

    concurrently(work, work)


@races("behind-append-popped")
def changed_after_the_append():
    boxes = collections.deque()

    def produce():
        box = Box()
        boxes.append(box)
        box.value = 1  # <behind-append>

    def consume():
        if boxes:
            return boxes.popleft().value  # <popped>
        return None

    concurrently(produce, consume)


@races("flag-spin")
def flag():
    box = Box(False)

    def tell():
        box.value = True  # <flag>

    def wait():
        while not box.value:  # <spin>
            time.sleep(0)

    concurrently(tell, wait)


@races("set-deleted")
def deleted():
    box = Box()

    def write():
        box.extra = 1  # <set>

    def remove():
        vars(box).get("extra")
        if hasattr(box, "extra"):
            del box.extra  # <deleted>

    concurrently(write, remove)

import contextlib

import greenlet

from ftcheck import concurrently


def echo(value):
    while True:
        value = greenlet.getcurrent().parent.switch(value)


def fail(value):
    raise KeyError(value)


def test_each_thread_switches_between_greenlets_of_its_own():
    def work():
        several = [greenlet.greenlet(echo) for _ in range(5)]
        for number in range(10):
            assert [one.switch(number) for one in several] == [number] * 5
        for one in several:
            one.throw(greenlet.GreenletExit)
            assert one.dead
        with contextlib.suppress(KeyError):
            greenlet.greenlet(fail).switch(1)

    concurrently(work, work)


def test_threads_look_at_greenlets_of_another():
    shared = [greenlet.greenlet(echo) for _ in range(10)]
    for one in shared:
        one.switch(0)

    def look():
        for one in shared:
            one.dead, bool(one), repr(one), one.parent, one.gr_context is None

    concurrently(look, look)

"""Threads that call an extension (an atomic counter, and one that is none), and have the interpreter allocate memory."""

import threading

import tsan_sample

shared = {}


def both():
    for _ in range(200):
        tsan_sample.add_plain()
        tsan_sample.add_atomic()
        shared[threading.get_ident()] = [{} for _ in range(50)]


threads = [threading.Thread(target=both) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

"""Writes the program that threads run: plain Python for a maintainer to read, of the standard library and the module alone.

It lines its threads up, lets them call for some time, and prints what it saw as the last line. Exceptions are counted and
are no fault: a container that changes while it is read may well raise. Results are compared only where each thread has its
own argument, where the value is plain data, and where the same call gives the same result alone, before and after: else
one cannot know what is right.
"""

from __future__ import annotations

from ftcheck.audit.confirm.words import Kind, Workload

_HEAD = '''\
import faulthandler, json, resource, sys, threading, time

faulthandler.enable()
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected: no core file of it
import {module}

THREADS, SECONDS = {threads}, {seconds:g}
started = time.monotonic()
counts, raised, wrong = [0] * THREADS, {{}}, []
compared = False


def called(n, function, counted=1):
    counts[n] += counted
    try:
        return function(n)
    except Exception as error:
        key = (n, type(error).__name__)
        raised[key] = raised.get(key, 0) + 1
        return f"raised {{type(error).__name__}}: {{error}}"


def together(body):
    line = threading.Barrier(THREADS)

    def run(n):
        line.wait()
        body(n, time.monotonic() + SECONDS)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def plain(value):
    """The value as text; None where two of them cannot be compared."""
    if not isinstance(value, (str, bytes, int, float, complex, tuple, list, dict, type(None))):
        return None
    text = repr(value)
    return None if " at 0x" in text else text
'''
_TAIL = """
totals = {}
for (_, name), number in raised.items():
    totals[name] = totals.get(name, 0) + number
print("\\nftcheck-workload", json.dumps({
    "gil": sys._is_gil_enabled() if hasattr(sys, "_is_gil_enabled") else True, "calls": sum(counts), "raised": totals,
    "wrong": wrong[:3], "wrong_total": len(wrong), "compared": compared, "seconds": time.monotonic() - started,
}), flush=True)
"""
_CHANGES = {
    "dict": """\
    for key in list(KEYS):
        shared.pop(key, None)
    for key in KEYS:
        shared[key] = copied(FIRST[key])""",
    "list": """\
    shared[:] = [copied(one) for one in FIRST[:8]]
    shared.extend([copied(one) for one in FIRST])""",
    "bytearray": """\
    shared.clear()
    shared.extend(FIRST)""",
}
_MUTATED = '''

shared = {container}
FIRST = shared.copy()
{keys}

def copied(value):
    """An equal object that nobody else has: it goes when it is replaced."""
    return value + 1 - 1 if isinstance(value, int) else "".join(list(value))


def use(n):
    {call}


def change(n):
{change}


def body(n, end):
    while time.monotonic() < end:
        called(n, *((change, 0) if n % 2 else (use, 1)))


together(body)
'''
_OBJECT = """

def make():
    return {thing}


CALLS = [
{calls}
]
current = [make()]


def body(n, end):
    number = n
    while time.monotonic() < end:
        if n == 0 and number % 199 == 0:
            current[0] = make()  # what one call may have used up
        called(n, lambda n: CALLS[number % len(CALLS)](current[0], n))
        number += 1


together(body)
"""
_FIRST = """

{thing}results = [None] * THREADS


def use(n):
    n = 0
    return {call}


def body(n, end):
    results[n] = called(n, use)


together(body)
again, once_more = called(0, use), called(0, use)
if again is once_more and not isinstance(again, (str, bytes, int, float, complex, tuple, type(None))):
    compared = True  # it is the same object each time
    wrong += [f"one more {{type(one).__name__}}, where later calls give the same one" for one in results if one is not again]
elif plain(again) is not None and plain(again) == plain(once_more):
    compared = True
    wrong += [f"{{plain(one)}}, later {{plain(again)}}"[:300] for one in results if plain(one) != plain(again)]
"""
_OWN = """

{thing}def use(n):
    return {call}


def alone():
    return [plain(called(n, use)) for n in range(THREADS)]


expected = alone()
stable = None not in expected and all(alone() == expected for _ in range(3))
seen = []


def body(n, end):
    while time.monotonic() < end:
        result = called(n, use)
        if stable and plain(result) != expected[n] and len(seen) < 1000:
            seen.append(f"{{plain(result)}}, alone {{expected[n]}}"[:300])


together(body)
if stable and alone() == expected:
    compared = True
    wrong = seen
"""


def program(workload: Workload) -> str:
    """The text of a program."""
    head = _HEAD.format(module=workload.module, threads=workload.threads, seconds=workload.seconds)
    thing = f"thing = {workload.thing}\n" if workload.thing else ""
    match workload.kind:
        case Kind.MUTATED:
            body = (thing and "\n\n" + thing.rstrip()) + _MUTATED.format(
                container=workload.container,
                keys="KEYS = list(FIRST)\n" if workload.changes == "dict" else "",
                call=workload.calls[0],
                change=_CHANGES[workload.changes],
            )
        case Kind.OBJECT:
            calls = "\n".join(f"    lambda thing, n: {one}," for one in workload.calls)
            body = _OBJECT.format(thing=workload.thing, calls=calls)
        case Kind.FIRST:
            body = _FIRST.format(thing=thing, call=workload.calls[0])
        case Kind.OWN:
            body = _OWN.format(thing=thing and f"{thing}\n\n", call=workload.calls[0])
    return head + body + _TAIL

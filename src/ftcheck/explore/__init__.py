"""Engine 2: the interleavings of a test, one at a time, under control.

What stress finds by luck is found here on purpose: the test's threads are real ones, one of which runs at a time, and a
strategy says at each scheduling point who goes on (``_core/sched.h`` has the words). A failing schedule is made small and
can be run again, exactly.

``control.py``      the process under control, and one run
``sites.py``        which instructions are scheduling points; ``builtin_calls.py``: what calls of builtins touch
``strategies/``     which schedule comes next
``knowledge.py``    what earlier runs have taught
``search.py``       one run after the other; what came of it
``minimise.py``     a failing schedule made small
``schedule.py``     a schedule as a list of decisions, and as text
``story.py``        a run as a person reads it
"""

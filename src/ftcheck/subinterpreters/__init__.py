"""Engine 3: a test in several interpreters of one process at once (:pep:`734`), each with a GIL state of its own.

Interpreters share no Python object, so a race in Python code cannot happen between them. What they do share is the
process: static variables of C code, above all. An extension module that declares to be fit for several interpreters and
keeps state in such a variable lets it leak from one to another, or lets two threads write it at the same time.

``engine.py``   the parent's side: starts a child, follows it, says what came of it
``child.py``    the child: makes the interpreters, lines up the rounds, watches static memory
``inside.py``   the source that runs within each interpreter
``outcome.py``  what is known afterwards
"""

from ftcheck.subinterpreters.engine import run as run
from ftcheck.subinterpreters.outcome import Failed as Failed
from ftcheck.subinterpreters.outcome import Outcome as Outcome
from ftcheck.subinterpreters.outcome import Task as Task

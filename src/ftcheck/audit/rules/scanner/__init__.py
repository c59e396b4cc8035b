"""A scanner of C and C++ that needs nothing but Python, and short readers of Python and Cython.

It does not compile: no includes, no types, no expansion of macros. It knows as much as the rules need: which tokens are code
on free-threaded CPython 3.14 (:mod:`~.tokens`, :mod:`~.conditions`, :mod:`~.macros`), where functions begin and end and what
they call (:mod:`~.functions`, :mod:`~.calls`), what their static variables are and who uses them (:mod:`~.variables`,
:mod:`~.accesses`), which lock is held where (:mod:`~.scopes`, :mod:`~.lock_names`), who calls whom (:mod:`~.graph`), and
which containers nobody else can have (:mod:`~.fresh`, :mod:`~.makers`). :mod:`~.project` puts the files of one extension
together.
"""

"""A scanner of C and C++ that needs nothing but Python.

It does not compile: no includes, no types, no expansion of macros. It knows as much as the rules need: which tokens are code
on free-threaded CPython 3.14 (:mod:`~.tokens`, :mod:`~.conditions`), where functions begin and end
(:mod:`~.functions`), what their variables are (:mod:`~.variables`), which lock is held where (:mod:`~.scopes`), who
calls whom (:mod:`~.graph`), and which containers nobody else can have (:mod:`~.fresh`). :mod:`~.project` puts the files
of one extension together.
"""

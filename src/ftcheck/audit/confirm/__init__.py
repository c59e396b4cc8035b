"""``ftcheck confirm``: does a finding of the source rules show when threads meet in it, and only without the GIL?

A finding is a place in C code. :mod:`~.reaching` follows the callers of that function to rows of ``PyMethodDef`` tables,
so to Python callables. :mod:`~.trying` asks a child process which of them the installed module has, and which arguments each
accepts. :mod:`~.programs` writes a small Python program for what the rule says is shared. :mod:`~.running` runs that program
in processes of their own, with the GIL off and on, and :mod:`~.judging` says what came of it, and no more than that.
:mod:`~.written` puts the same program into a test for the maintainer.

What is run is the program that can be read and written out; there is no other harness behind it.
"""

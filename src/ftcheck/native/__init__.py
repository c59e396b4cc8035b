"""C extensions from the inside: each of their memory accesses is seen, and two that nothing orders are a data race.

:mod:`~ftcheck.native.compiler` is the compiler wrapper ``ftcheck-cc``: it makes an extension call ``_core`` before each
access. :mod:`~ftcheck.native.watch` has ``_core`` look at what comes while the bodies of a test run, and
:mod:`~ftcheck.native.races` says what was found, with the source lines that :mod:`~ftcheck.native.symbols` knows.

:mod:`~ftcheck.native.statics` needs no such extension: it says which static variables a test has changed, from memory
(:mod:`~ftcheck.native.images`, :mod:`~ftcheck.elf`, :mod:`~ftcheck.native.noise`) and files.
"""

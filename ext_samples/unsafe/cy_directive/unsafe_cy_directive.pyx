# cython: language_level=3
"""A Cython module without the freethreading_compatible directive.

Wrong:   Cython then writes no Py_MOD_GIL_NOT_USED into the module, and its import turns the GIL
         on for the whole process. The code itself has nothing to protect.
Race:    none in C: the module shares nothing.
The GIL: on a GIL build there is nothing to turn on, so nobody missed the directive.
The fix: `# cython: freethreading_compatible=True` (see safe/cy_directive).
"""


def mean(list values):
    """The arithmetic mean of some floats."""
    cdef double total = 0.0
    for value in values:
        total += value
    return total / len(values)

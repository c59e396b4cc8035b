# cython: language_level=3, freethreading_compatible=True
"""A Cython module with the freethreading_compatible directive.

Right:   the directive is there, and what it says is true: the function works on its argument
         and on local variables, and the module writes nothing after its import.
The GIL: on a free-threaded build it stays off; a GIL build ignores the directive.
"""


def mean(list values):
    """The arithmetic mean of some floats."""
    cdef double total = 0.0
    for value in values:
        total += value
    return total / len(values)

# cython: language_level=3, freethreading_compatible=True
"""Methods of cdef classes, called through their virtual table, in a critical section.

Right:   each method that changes the object takes its lock, whoever calls it, and through whichever
         class.
The GIL: on a GIL build the critical section is empty; the GIL does its work there.
"""

cimport cython


cdef class Counter:
    """Counts bytes."""

    cdef long long totals[256]  # for each value of a byte

    cdef void add(self, const unsigned char *data, Py_ssize_t size) noexcept:
        pass

    def read(self):
        """What was counted so far."""
        cdef long long total = 0
        cdef int i
        with cython.critical_section(self):
            for i in range(256):
                total += self.totals[i]
        return total


cdef class Sum(Counter):
    """Their sum."""

    cdef void add(self, const unsigned char *data, Py_ssize_t size) noexcept:
        cdef Py_ssize_t i
        with cython.critical_section(self):
            for i in range(size):
                self.totals[data[i]] += data[i]


cdef class Bits(Counter):
    """How many are odd."""

    cdef void add(self, const unsigned char *data, Py_ssize_t size) noexcept:
        cdef Py_ssize_t i
        with cython.critical_section(self):
            for i in range(size):
                self.totals[data[i]] += data[i] & 1


def count(Counter one, Counter other, bytes data):
    """Count bytes in two ways."""
    one.add(data, len(data))
    other.add(data, len(data))

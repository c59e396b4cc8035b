# cython: language_level=3, freethreading_compatible=True
"""Methods of cdef classes, called through their virtual table, without a lock.

Wrong:   `add()` of a subclass changes the attributes of an object that two threads share: updates
         get lost. Who calls it knows the base class only, and calls through a pointer.
The GIL: a method of a cdef class ran from call to return without another thread in between.
The fix: `with cython.critical_section(self)` in the method (see safe/cy_vtable).
"""


cdef class Counter:
    """Counts bytes."""

    cdef long long totals[256]  # for each value of a byte

    cdef void add(self, const unsigned char *data, Py_ssize_t size) noexcept:
        pass

    def read(self):
        """What was counted so far."""
        cdef long long total = 0
        cdef int i
        for i in range(256):
            total += self.totals[i]
        return total


cdef class Sum(Counter):
    """Their sum."""

    cdef void add(self, const unsigned char *data, Py_ssize_t size) noexcept:
        cdef Py_ssize_t i
        for i in range(size):
            self.totals[data[i]] += data[i]  # race


cdef class Bits(Counter):
    """How many are odd."""

    cdef void add(self, const unsigned char *data, Py_ssize_t size) noexcept:
        cdef Py_ssize_t i
        for i in range(size):
            self.totals[data[i]] += data[i] & 1  # race


def count(Counter one, Counter other, bytes data):
    """Count bytes in two ways."""
    one.add(data, len(data))
    other.add(data, len(data))

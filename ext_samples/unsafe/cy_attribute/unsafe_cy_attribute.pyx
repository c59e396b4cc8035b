# cython: language_level=3, freethreading_compatible=True
"""An attribute of a cdef class, updated without a lock.

Wrong:   `self.total += pixel` is a C load, add and store. Two threads that share the object
         lose updates. The directive above promises that the module copes without the GIL.
The GIL: a method of a cdef class ran from call to return without another thread in between.
The fix: `with cython.critical_section(self)` (see safe/cy_attribute).
"""


cdef class Light:
    """How much light an image has in all."""

    cdef long long total

    def add(self, bytes pixels):
        """Add the brightness of some pixels."""
        cdef unsigned char pixel
        for pixel in pixels:
            self.total += pixel  # race

    def read(self):
        """The light so far."""
        return self.total

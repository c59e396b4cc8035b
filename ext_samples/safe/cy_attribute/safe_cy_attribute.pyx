# cython: language_level=3, freethreading_compatible=True
"""An attribute of a cdef class, updated in a critical section.

Right:   the critical section takes the object's own lock, around the updates and around the
         reading. Nothing inside it runs Python code, so the lock is held to the end.
The GIL: on a GIL build the critical section is empty; the GIL does its work there.
"""

cimport cython


cdef class Light:
    """How much light an image has in all."""

    cdef long long total

    def add(self, bytes pixels):
        """Add the brightness of some pixels."""
        cdef unsigned char pixel
        with cython.critical_section(self):
            for pixel in pixels:
                self.total += pixel

    def read(self):
        """The light so far."""
        cdef long long total
        with cython.critical_section(self):
            total = self.total
        return total

# cython: language_level=3, freethreading_compatible=True
"""An attribute without a lock: `self.total += 1` in two threads at a time is a data race."""


cdef class Sum:
    cdef long total

    # A method of its own: within the loop, the compiler would read `total` once, in the line of the loop.
    cdef void step(self) noexcept:
        self.total += 1  # RACE

    def add(self, long times):
        cdef long i
        for i in range(times):
            self.step()


shared = Sum()
add = shared.add

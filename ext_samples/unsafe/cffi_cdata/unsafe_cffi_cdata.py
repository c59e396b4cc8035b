"""C data, updated from Python without a lock.

Wrong:   `usage.calls += 1` reads the C struct, adds in Python and writes the struct. Two threads
         lose updates. Unlike a dict or a list, cdata has no lock of its own.
Race:    none in C that a compiler has seen: Python code and cffi access the memory.
The GIL: with it, CPython switches threads at calls and loops, and there is none between these
         steps, so the result was right.
         This is GIL-reliance proper: right with the GIL on, wrong with it off.
The fix: a threading.Lock around the update (see safe/cffi_cdata).
"""

from _unsafe_cffi_cdata import ffi


class Meter:
    """How often something was called, and with how many bytes in all."""

    def __init__(self):
        self._usage = ffi.new("struct usage *")

    def add(self, size):
        self._usage.calls += 1
        self._usage.bytes += size

    def read(self):
        return self._usage.calls, self._usage.bytes

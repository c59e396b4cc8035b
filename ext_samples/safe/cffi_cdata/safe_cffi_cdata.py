"""C data, updated from Python under a lock.

Right:   a threading.Lock of the object covers every access to the C struct, so the two fields
         always belong together.
The GIL: the lock holds with it and without it.
"""

import threading

from _safe_cffi_cdata import ffi


class Meter:
    """How often something was called, and with how many bytes in all."""

    def __init__(self):
        self._lock = threading.Lock()
        self._usage = ffi.new("struct usage *")

    def add(self, size):
        with self._lock:
            self._usage.calls += 1
            self._usage.bytes += size

    def read(self):
        with self._lock:
            return self._usage.calls, self._usage.bytes

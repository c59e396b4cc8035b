"""A C library with static state and a mutex, called through cffi (API mode).

Right:   the library locks for itself (see letters.c). A pthread mutex is the right kind here:
         cffi releases the GIL before the call, and the C code never asks for it.
The GIL: it is not held during the calls, on any build.
"""

from cffi import FFI

ffibuilder = FFI()
ffibuilder.cdef(
    """
    void feed(const unsigned char *text, size_t size);
    unsigned long long fed(void);
    void reset(void);
    """
)
ffibuilder.set_source("safe_cffi_static", '#include "letters.h"', sources=["letters.c"], include_dirs=["."])

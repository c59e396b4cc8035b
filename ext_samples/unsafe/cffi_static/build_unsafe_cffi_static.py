"""A C library with static state, called through cffi (API mode).

Wrong:   the library has no lock (see letters.c). cffi declares every module that it writes as
         not needing the GIL, whatever the C code does.
The GIL: it never helped here. cffi releases it around each call into C, so this library is
         racy on a GIL build too.
The fix: a mutex in the library (see safe/cffi_static).
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
ffibuilder.set_source("unsafe_cffi_static", '#include "letters.h"', sources=["letters.c"], include_dirs=["."])

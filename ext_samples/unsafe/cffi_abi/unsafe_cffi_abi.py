"""A shared library opened at run time with cffi (ABI mode).

Wrong:   the C function keeps its work array in a static variable (see median.c). A library
         opened this way is no Python module: nothing can declare, or ask, whether it copes.
The GIL: it never helped here. cffi releases it around each call into C, so this library is
         racy on a GIL build too.
The fix: a mutex in the library (see safe/cffi_abi).
"""

from pathlib import Path

import _unsafe_cffi_abi

ffi = _unsafe_cffi_abi.ffi
lib = ffi.dlopen(str(Path(_unsafe_cffi_abi.__file__).with_name("libunsafe_cffi_abi.so")))


def median(values):
    """The upper median of a sequence of floats."""
    return lib.median(ffi.new("double[]", values), len(values))

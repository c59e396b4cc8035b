"""A shared library opened at run time with cffi (ABI mode).

Right:   the C function locks its static work array (see median.c) from copy to result. The
         array that it reads from is made for each call and belongs to one thread.
The GIL: it is not held during the calls, on any build.
"""

from pathlib import Path

import _safe_cffi_abi

ffi = _safe_cffi_abi.ffi
lib = ffi.dlopen(str(Path(_safe_cffi_abi.__file__).with_name("libsafe_cffi_abi.so")))


def median(values):
    """The upper median of a sequence of floats."""
    return lib.median(ffi.new("double[]", values), len(values))

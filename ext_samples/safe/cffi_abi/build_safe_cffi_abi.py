"""The declarations for safe_cffi_abi.py, and the shared library that it opens."""

from cffi import FFI

ffibuilder = FFI()
ffibuilder.cdef("double median(const double *values, size_t size);")
ffibuilder.set_source("_safe_cffi_abi", None)

# Read by ext_samples/build.py: compiled with the C compiler into a plain shared library.
shared_library = ("libsafe_cffi_abi", ["median.c"])

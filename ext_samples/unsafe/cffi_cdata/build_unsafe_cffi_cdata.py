"""The C types of unsafe_cffi_cdata.py (no C code: an out-of-line ABI module of types only)."""

from cffi import FFI

ffibuilder = FFI()
ffibuilder.cdef("struct usage { long long calls; long long bytes; };")
ffibuilder.set_source("_unsafe_cffi_cdata", None)

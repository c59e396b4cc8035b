from cffi import FFI

ffibuilder = FFI()
ffibuilder.cdef("void add(long times);")
ffibuilder.set_source("_racy_cffi", "void add(long times);", sources=["counter.c"])

from _racy_cffi import lib

add = lib.add

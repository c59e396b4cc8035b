import racy_cffi

import ftcheck


def test_add():
    ftcheck.concurrently(lambda: racy_cffi.add(1000), lambda: racy_cffi.add(1000))

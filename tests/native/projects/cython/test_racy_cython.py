import racy_cython

import ftcheck


def test_add():
    ftcheck.concurrently(lambda: racy_cython.add(1000), lambda: racy_cython.add(1000))

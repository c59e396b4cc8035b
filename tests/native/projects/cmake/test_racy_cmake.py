import racy_cmake

import ftcheck


def test_add():
    ftcheck.concurrently(lambda: racy_cmake.add(1000), lambda: racy_cmake.add(1000))

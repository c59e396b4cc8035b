import racy_setuptools

import ftcheck


def test_add():
    ftcheck.concurrently(lambda: racy_setuptools.add(1000), lambda: racy_setuptools.add(1000))

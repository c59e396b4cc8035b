import racy_meson

import ftcheck


def test_add():
    ftcheck.concurrently(lambda: racy_meson.add(1000), lambda: racy_meson.add(1000))

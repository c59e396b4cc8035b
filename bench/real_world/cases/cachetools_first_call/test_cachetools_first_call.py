from cachetools import cachedmethod

from ftcheck import concurrently


def test_method_is_called_through_its_class():
    class Squares:
        def __init__(self):
            self.cache = {}

        @cachedmethod(lambda self: self.cache)
        def of(self, number):
            return number * number

    concurrently(lambda: Squares.of(self=Squares(), number=3), threads=4)

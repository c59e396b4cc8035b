from cachetools import cachedmethod

from ftcheck import concurrently


def test_method_is_called_through_its_class():
    class Squares:
        def __init__(self):
            self.cache = {}

        @cachedmethod(lambda self: self.cache)
        def of(self, number):
            return number * number

    first, second = Squares(), Squares()
    concurrently(lambda: Squares.of(self=first, number=3), lambda: Squares.of(self=second, number=3))

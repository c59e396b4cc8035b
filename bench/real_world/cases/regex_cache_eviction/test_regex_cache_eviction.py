import itertools

import regex

number = itertools.count()


def test_many_patterns():
    for _ in range(100):
        n = next(number)
        assert regex.match(f"item-{n}$", f"item-{n}")

import itertools

import regex

number = itertools.count()


def test_new_case_insensitive_patterns():
    for _ in range(100):
        n = next(number)
        assert regex.compile(rf"item{n}_([\w.]+)", regex.IGNORECASE).match(f"ITEM{n}_x")

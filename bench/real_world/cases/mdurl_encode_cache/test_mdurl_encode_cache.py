import itertools

import mdurl

from ftcheck import concurrently

lengths = itertools.count(1)


def test_first_use_of_a_set_of_characters():
    exclude = "~" * next(lengths)  # a set that the cache has not seen

    def encode():
        assert mdurl.encode("~ ~", exclude=exclude) == "~%20~"

    concurrently(encode, threads=2)

import mdurl
from mdurl._encode import encode_cache

from ftcheck import concurrently


def test_first_use_of_a_set_of_characters():
    encode_cache.clear()  # as in a new process

    def encode():
        assert mdurl.encode("~ ~", exclude="~") == "~%20~"

    concurrently(encode, encode)

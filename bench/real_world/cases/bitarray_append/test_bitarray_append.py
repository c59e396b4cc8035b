from bitarray import bitarray

from ftcheck import concurrently


def test_threads_append_to_one_bitarray():
    bits = bitarray()

    def append():
        for _ in range(1000):
            bits.append(True)

    concurrently(append, threads=4)
    assert bits.count() == len(bits) == 4000

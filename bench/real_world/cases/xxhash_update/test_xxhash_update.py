import xxhash

from ftcheck import concurrently


def test_shared_hasher():
    hasher = xxhash.xxh64()

    def update():
        for _ in range(300):
            hasher.update(b"a" * 100)

    concurrently(update, threads=4)
    assert hasher.digest() == xxhash.xxh64(b"a" * 120000).digest()

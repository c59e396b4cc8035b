from cachelib import SimpleCache

from ftcheck import concurrently


def test_two_threads_store():
    cache = SimpleCache(threshold=2)
    for name in "abc":
        cache.set(name, 1)
    concurrently(lambda: cache.set("d", 1), lambda: cache.set("e", 1))
    assert cache.get("e") or cache.get("d")

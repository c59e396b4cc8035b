from expiringdict import ExpiringDict

from ftcheck import concurrently


def test_items_while_another_thread_stores():
    cache = ExpiringDict(max_len=1000, max_age_seconds=60, items=dict.fromkeys(range(1000), "value"))

    def store():
        for i in range(3000):
            cache[i] = "value"

    def read():
        for _ in range(20):
            assert all(value == "value" for _, value in cache.items())

    concurrently(store, read, read)
    assert len(cache) == 1000

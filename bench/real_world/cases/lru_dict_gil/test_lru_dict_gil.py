from lru import LRU


def test_oldest_item_is_evicted():
    cache = LRU(2)
    cache["a"], cache["b"], cache["c"] = 1, 2, 3
    assert cache.keys() == ["c", "b"]

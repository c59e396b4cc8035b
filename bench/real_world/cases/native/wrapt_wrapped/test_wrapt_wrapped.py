import wrapt

from ftcheck import concurrently


def test_a_proxy_is_used_while_it_gets_another_object():
    proxy = wrapt.ObjectProxy([1])

    def use():
        for number in range(60):
            proxy.__wrapped__ = [number]
            assert len(proxy) == 1
            assert repr(proxy)
            assert proxy != [-1]
            assert proxy[0] >= 0

    concurrently(use, use)

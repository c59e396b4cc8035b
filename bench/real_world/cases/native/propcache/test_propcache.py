from propcache import cached_property, under_cached_property

from ftcheck import concurrently


class Address:
    def __init__(self):
        self._cache = {}

    @cached_property
    def host(self):
        return "example.org"

    @under_cached_property
    def port(self):
        return 443


def test_threads_ask_for_the_same_properties():
    shared = [Address() for _ in range(40)]

    def ask():
        for one in shared:
            assert (one.host, one.port) == ("example.org", 443)
            assert Address.host is not Address.port

    concurrently(ask, ask, ask)

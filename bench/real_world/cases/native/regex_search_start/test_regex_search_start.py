import regex

from ftcheck import concurrently


def test_threads_search_with_one_pattern():
    pattern = regex.compile(r"(?:(foo|ba(r+)){e<=2})+(?P<x>\w+)*", regex.I)

    def search():
        for _ in range(5):
            assert pattern.search("xxfobarrr foobar")

    concurrently(search, search)

from multidict import CIMultiDict

from ftcheck import concurrently


def test_threads_add_to_one_multidict():
    headers = CIMultiDict()

    def add(who):
        for i in range(300):
            headers.add(f"X-{who}-{i}", "value")

    concurrently(lambda: add("a"), lambda: add("b"), lambda: add("c"), lambda: add("d"))
    assert len(headers) == 1200
    assert headers["x-a-7"] == "value"

from mock import Mock  # noqa: UP026

from ftcheck import concurrently


def test_an_attribute_is_one_object():
    server, seen = Mock(), []
    concurrently(lambda: seen.append(server.send), lambda: seen.append(server.send))
    assert seen[0] is seen[1]

from mock import Mock  # noqa: UP026

from ftcheck import concurrently


def test_every_call_counts():
    send = Mock()
    concurrently(send, send)
    assert send.call_count == 2

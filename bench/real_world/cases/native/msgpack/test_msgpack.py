import msgpack

from ftcheck import concurrently

VALUE = [1, "abc", {"a": b"x" * 40, "b": [1.5, None, True]}] * 3


def test_threads_pack_and_unpack_the_same_value():
    packed = msgpack.packb(VALUE)

    def work():
        for _ in range(20):
            assert msgpack.unpackb(msgpack.packb(VALUE)) == VALUE
            assert msgpack.packb(VALUE) == packed

    concurrently(work, work)


def test_threads_use_one_packer():
    packer = msgpack.Packer()
    packed = msgpack.packb(VALUE)

    def pack():
        for _ in range(20):
            assert packer.pack(VALUE) == packed

    concurrently(pack, pack)


def test_threads_feed_one_unpacker():
    unpacker = msgpack.Unpacker()
    packed = msgpack.packb(VALUE)
    seen = []

    def feed():
        for _ in range(20):
            unpacker.feed(packed)
            seen.append(next(unpacker))

    concurrently(feed, feed)
    assert seen == [VALUE] * 40

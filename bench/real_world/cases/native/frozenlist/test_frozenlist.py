import contextlib

from frozenlist import FrozenList

from ftcheck import concurrently


def test_threads_append_to_one_list_and_read_it():
    shared = FrozenList()

    def append():
        for number in range(60):
            shared.append(number)
            assert not shared.frozen

    def read():
        for _ in range(30):
            len(shared), list(shared), 3 in shared, shared.count(3), repr(shared)

    concurrently(append, append, read)
    assert len(shared) == 120


def test_threads_freeze_one_list():
    shared = FrozenList([1, 2, 3])

    def freeze():
        for _ in range(30):
            shared.freeze()
            assert shared.frozen
            hash(shared), shared[0], shared == [1, 2, 3], shared < [2]
            with contextlib.suppress(RuntimeError):
                shared.append(4)

    concurrently(freeze, freeze)
    assert list(shared) == [1, 2, 3]

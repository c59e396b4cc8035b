import xxhash

from ftcheck import concurrently


def test_threads_update_and_read_one_state():
    state, block = xxhash.xxh64(), b"x" * 100

    def update():
        for _ in range(50):
            state.update(block)

    def read():
        for _ in range(50):
            state.hexdigest()
            state.copy().intdigest()

    concurrently(update, update, read)
    assert state.digest() == xxhash.xxh64(block * 100).digest()


def test_threads_begin_again():
    state = xxhash.xxh3_128()

    def reset():
        for _ in range(50):
            state.reset()
            state.update(b"abc" * 100)
            state.digest()

    concurrently(reset, reset)

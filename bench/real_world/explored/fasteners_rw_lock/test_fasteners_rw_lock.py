from fasteners import ReaderWriterLock

from ftcheck import concurrently


def test_a_writer_that_reads():
    lock = ReaderWriterLock()

    def write_and_read():
        with lock.write_lock(), lock.read_lock():
            pass

    def write():
        with lock.write_lock():
            pass

    concurrently(write_and_read, write)

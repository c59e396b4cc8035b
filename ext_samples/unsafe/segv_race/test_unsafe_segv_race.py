"""A table can be read while another thread unloads it and loads it again."""

import pytest
import unsafe_segv_race as sample

import ftcheck

SIZE = 100
TIMES = 20_000


@pytest.mark.ftcheck
def test_lookup_while_the_table_is_reloaded():
    table = sample.Table()
    table.load(SIZE)

    def reload():
        for _ in range(TIMES):
            table.unload()
            table.load(SIZE)

    def read():
        for _ in range(TIMES):
            assert table.lookup(SIZE // 2) in (0.0, None)

    ftcheck.concurrently(reload, read)

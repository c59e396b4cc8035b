"""What one thread publishes in a dict the other one finds, as it was."""

import pytest
import unsafe_slot_calls as sample

import ftcheck

KEYS = tuple(map(str, range(1000)))


@pytest.mark.ftcheck
def test_everything_arrives():
    published, sums = {}, []

    def take():
        at = 0
        while at < len(KEYS):
            found, at = sample.take(published, KEYS, at)
            sums.append(found)

    sample.reset()
    ftcheck.concurrently(lambda: sample.put(published, KEYS), take)
    assert sum(sums) == len(KEYS) * (len(KEYS) + 1) // 2

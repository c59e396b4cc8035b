"""What was found is found again: every program, here, and in a fresh process with other hashes.

A replay is the same if it meets each decision where the token says, takes as many steps, and ends in the same way.
``bench/replay.py`` does this for each program a hundred times, in fresh processes, under load.
"""

import json
from dataclasses import asdict

import pytest

from tests.explore.replays import FAILS, LONG, difference, find

SHORT = sorted(set(FAILS) - LONG)
"""The others are replayed in :mod:`tests.explore.test_replay`, and by ``bench/replay.py``."""


@pytest.fixture(scope="module")
def found():
    return {name: find(name) for name in SHORT}


def test_again_here(found):
    assert {name: text for name in SHORT for _ in range(3) if (text := difference(name, found[name]))} == {}


ELSEWHERE = """
    import json
    from tests.explore.replays import Seen, difference
    for name, found in json.loads({found!r}).items():
        print(json.dumps([name, difference(name, Seen(**found))]), flush=True)
"""


@pytest.mark.parametrize("hash_seed", ["random", "1"])
def test_again_in_a_fresh_process(found, child, hash_seed):
    text = json.dumps({name: asdict(seen) for name, seen in found.items()})
    done = child(ELSEWHERE.format(found=text), PYTHONHASHSEED=hash_seed, timeout=300)
    assert done.returncode == 0, done.stderr
    assert dict(json.loads(line) for line in done.stdout.splitlines()) == dict.fromkeys(SHORT, "")

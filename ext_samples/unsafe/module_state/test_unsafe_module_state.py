"""The invariant is one of the whole run: it is checked when the module's fixture ends."""

import pytest
import unsafe_module_state as sample

REQUESTS = 30_000


@pytest.fixture(scope="module")
def served():
    """Collects how many requests each run of the test made; in the end all must be counted."""
    before = sample.counted("request")
    runs = []
    yield runs
    assert sample.counted("request") - before == sum(runs)


@pytest.mark.ftcheck
def test_requests_are_counted(served):
    for _ in range(REQUESTS):
        sample.count("request")
    served.append(REQUESTS)

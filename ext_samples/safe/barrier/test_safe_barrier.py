"""The two threads of the extension are always in the same step."""

import pytest
import safe_barrier as sample


@pytest.mark.ftcheck
def test_same_step():
    assert sample.run() == 0

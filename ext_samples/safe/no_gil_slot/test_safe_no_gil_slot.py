"""The import, which is what this sample is about, happens inside the test."""

import pytest


@pytest.mark.ftcheck
def test_clamp():
    import safe_no_gil_slot as sample

    assert sample.clamp(12, 0, 10) == 10

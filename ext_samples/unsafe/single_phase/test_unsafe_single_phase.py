"""The import, which is what this sample is about, happens inside the test."""

import pytest


@pytest.mark.ftcheck
def test_midpoint():
    import unsafe_single_phase as sample

    assert sample.midpoint(2, 4) == 3

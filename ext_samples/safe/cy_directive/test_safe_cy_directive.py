"""The import, which is what this sample is about, happens inside the test."""

import pytest


@pytest.mark.ftcheck
def test_mean():
    import safe_cy_directive as sample

    assert sample.mean([1.0, 2.0, 6.0]) == 3.0

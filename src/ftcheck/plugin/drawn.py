"""``@given`` tests that draw interleavings (:func:`ftcheck.interleavings`): control is entered once for each."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from ftcheck import composing


class Drawn:
    """Registered as ``ftcheck-drawn`` where Hypothesis is used, whatever the run was asked for."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        if not hasattr(getattr(item, "obj", None), "hypothesis"):
            return (yield)
        with composing.kept(item.config.rootpath):
            return (yield)

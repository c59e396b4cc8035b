"""A run that was not asked for anything: until it turns out that a test has our marker, next to nothing is loaded."""

from __future__ import annotations

import pytest

from ftcheck.interpreter import GilWatch
from ftcheck.plugin.options import MARKER, RunOptions
from ftcheck.settings import SettingsError


class MarkedOnly:
    """Registered as ``ftcheck-marked-only``; brings :class:`~ftcheck.plugin.session.SessionPlugin` when it is needed."""

    def __init__(self, run: RunOptions) -> None:
        self._run = run

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        marked = [item for item in items if item.get_closest_marker(MARKER) is not None]
        if not marked:
            return
        from ftcheck.plugin.selection import marker_settings
        from ftcheck.plugin.session import SessionPlugin

        for item in marked:
            try:
                marker_settings(item, self._run)
            except SettingsError as error:
                raise pytest.UsageError(str(error)) from None
        plugin = SessionPlugin(self._run, None, GilWatch())
        plugin.begin()
        config.pluginmanager.register(plugin, "ftcheck-session")

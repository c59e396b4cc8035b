"""A run that was not asked for anything: until it turns out that a test has our marker, next to nothing is loaded."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest

from ftcheck.interpreter import GilWatch
from ftcheck.plugin import run_parallel
from ftcheck.plugin.options import MARKER, RunOptions
from ftcheck.settings import SettingsError


class MarkedOnly:
    """Registered as ``ftcheck-marked-only``; brings :class:`~ftcheck.plugin.session.SessionPlugin` when it is needed.

    :param report_here: brings what reports in the process that prints.
    """

    def __init__(self, run: RunOptions, report_here: Callable[[pytest.Config, RunOptions], None]) -> None:
        self._run, self._report_here = run, report_here
        self._marked: list[pytest.Item] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        self._marked = marked = [item for item in items if item.get_closest_marker(MARKER) is not None]
        if not marked:
            return
        refused = run_parallel.refusal(config)
        if refused:
            raise pytest.UsageError(f"{marked[0].nodeid} has the marker {MARKER}, and {refused}, or --no-ftcheck")
        from ftcheck.forked import Forks
        from ftcheck.plugin.boundary import Boundary
        from ftcheck.plugin.selection import marker_settings
        from ftcheck.plugin.session import SessionPlugin

        for item in marked:
            try:
                marker_settings(item, self._run)
            except SettingsError as error:
                raise pytest.UsageError(str(error)) from None
        if not hasattr(config, "workerinput"):
            self._report_here(config, self._run)
        forks = Forks()
        plugin = SessionPlugin(self._run, None, GilWatch(), forks)
        plugin.begin()
        config.pluginmanager.register(plugin, "ftcheck-session")
        config.pluginmanager.register(Boundary(config, self._run, forks, None), "ftcheck-boundary")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> Generator[None]:
        with run_parallel.left_unwrapped(session.config, self._marked):
            return (yield)

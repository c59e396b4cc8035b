"""A run that was not asked for anything: until it turns out that a test has our marker, next to nothing is loaded."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest
from _pytest.nodes import Node

from ftcheck.option_table import SettingsError
from ftcheck.plugin import run_parallel
from ftcheck.plugin.options import MARKER
from ftcheck.plugin.run_options import RunOptions


class MarkedOnly:
    """Registered as ``ftcheck-marked-only``; brings :class:`~ftcheck.plugin.session.SessionPlugin` when it is needed.

    :param report_here: brings what reports in the process that prints.
    """

    def __init__(self, run: RunOptions, report_here: Callable[[pytest.Config, RunOptions], None]) -> None:
        self._run, self._report_here = run, report_here
        self._marked: list[pytest.Item] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
        """A wrong marker is said even if its test is deselected; hooks of conftest files may add some."""
        self._check(_marked(items))
        yield
        self._marked = marked = _marked(items)
        if not marked:
            return
        self._check(marked)
        refused = run_parallel.refusal(config)
        if refused:
            raise pytest.UsageError(f"{marked[0].nodeid} has the marker {MARKER}, and {refused}, or --no-ftcheck")
        from ftcheck.forked import Forks
        from ftcheck.interpreter import GilWatch
        from ftcheck.plugin.boundary import Boundary
        from ftcheck.plugin.session import SessionPlugin

        if not hasattr(config, "workerinput"):
            self._report_here(config, self._run)
        forks = Forks()
        plugin = SessionPlugin(self._run, None, GilWatch(), forks)
        plugin.begin()
        config.pluginmanager.register(plugin, "ftcheck-session")
        config.pluginmanager.register(Boundary(config, self._run, forks, None), "ftcheck-boundary")

    def _check(self, marked: list[pytest.Item]) -> None:
        if marked:
            from ftcheck.plugin.selection import marker_settings
        for item in marked:
            try:
                marker_settings(item, self._run)
            except SettingsError as error:
                raise pytest.UsageError(str(error)) from None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> Generator[None]:
        with run_parallel.left_unwrapped(session.config, self._marked):
            return (yield)


def _marked(items: list[pytest.Item]) -> list[pytest.Item]:
    """The tests that have our marker, or whose class, module or folder has it: these are asked once for all their tests.

    :meth:`pytest.Item.get_closest_marker` asks them all again for each test, which is felt in a suite of thousands.
    """
    known: dict[int, bool] = {}

    def has(node: Node | None) -> bool:
        if node is None:
            return False
        if id(node) not in known:
            known[id(node)] = _has_itself(node) or has(node.parent)
        return known[id(node)]

    return [item for item in items if _has_itself(item) or has(item.parent)]


def _has_itself(node: Node) -> bool:
    return any(mark.name == MARKER for mark in node.own_markers)

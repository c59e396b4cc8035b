"""A run that was not asked for anything, with tests in it that have our marker: these are rerun, as if it had been asked."""

from __future__ import annotations

import pytest

from ftcheck.forked import Forks
from ftcheck.interpreter import GilWatch
from ftcheck.option_table import SettingsError
from ftcheck.plugin import run_parallel
from ftcheck.plugin.boundary import Boundary
from ftcheck.plugin.options import MARKER
from ftcheck.plugin.run_options import RunOptions
from ftcheck.plugin.selection import marker_settings
from ftcheck.plugin.session import SessionPlugin


def check(marked: list[pytest.Item], config: pytest.Config, run: RunOptions) -> None:
    """Complain of what cannot be.

    :raises pytest.UsageError: a marker is wrong, or pytest-run-parallel was asked to rerun tests, too.
    """
    refused = run_parallel.refusal(config)
    if refused:
        raise pytest.UsageError(f"{marked[0].nodeid} has the marker {MARKER}, and {refused}, or --no-ftcheck")
    for item in marked:
        try:
            marker_settings(item, run)
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from None


def rerun(config: pytest.Config, run: RunOptions) -> None:
    """Bring what reruns tests."""
    forks = Forks()
    plugin = SessionPlugin(run, None, GilWatch(), forks)
    plugin.begin()
    config.pluginmanager.register(plugin, "ftcheck-session")
    config.pluginmanager.register(Boundary(config, run, forks, None), "ftcheck-boundary")

"""pytest-sugar asks a function of its own for the status of each test, not pytest's hook, and would call a test passed that
was not checked. So that function asks us first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Status = tuple[str, str, str]


def teach(config: pytest.Config, ours: Callable[[Any], Status | None]) -> None:
    """Let pytest-sugar, where it is loaded, know the tests that were not checked.

    :param ours: our status of a report, or None where we have none.
    """
    sugar: Any = config.pluginmanager.getplugin("sugar") or config.pluginmanager.getplugin("pytest_sugar")
    theirs = getattr(sugar, "pytest_report_teststatus", None)
    if theirs is None:
        return

    def status(report: Any) -> Status | None:
        mine = ours(report)
        answer: Status | None = theirs(report=report)
        return mine if mine is not None and mine[0] == "not checked" and answer is not None else answer

    sugar.pytest_report_teststatus = status
    config.add_cleanup(lambda: setattr(sugar, "pytest_report_teststatus", theirs))

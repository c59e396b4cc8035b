"""What a test's code did to the process that it ran in, looked at where each of its phases ends.

As close to the test's code as a hook can be, inside of every other plugin's: a forked child that comes back from the test
must not run any of them (:mod:`ftcheck.forked`), and a worker whose connection the test has closed must say so before
anything is sent through it (:meth:`~ftcheck.plugin.guard.Guard.look_after_connection`).
"""

from __future__ import annotations

import warnings
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from ftcheck import settings
from ftcheck.forked import Forks
from ftcheck.plugin.run_options import RunOptions

if TYPE_CHECKING:
    from ftcheck.plugin.guard import Guard


class Boundary:
    """Registered as ``ftcheck-boundary`` in the process that runs tests.

    :param forks: the children that tests fork.
    :param guard: in a worker of ours, else None.
    """

    def __init__(self, config: pytest.Config, run: RunOptions, forks: Forks, guard: Guard | None) -> None:
        self._config, self._run, self._forks, self._guard = config, run, forks, guard

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None]:
        if self._guard is not None:
            self._guard.finish(settings.resolve(self._run.layers).timeout)
        return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        return (yield from self._around(collector.nodeid))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        return (yield from self._around(item.nodeid))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        return (yield from self._around(item.nodeid))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        return (yield from self._around(item.nodeid))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logfinish(self) -> None:
        """The test's reports are out: what happens from here on is no longer part of one of its phases."""
        if self._guard is not None:
            self._guard.between()

    def _around[T](self, subject: str) -> Generator[None, T, T]:
        self._forks.begin(subject)
        try:
            return (yield)
        except BaseException as failure:
            self._forks.end_child(failure)
            raise
        finally:
            self._forks.end_child()
            if self._guard is not None:
                self._guard.look_after_connection()
            self._tell_of_child()

    def _tell_of_child(self) -> None:
        note = self._forks.take_note()
        if note is None:
            return
        subject, how = note
        text = f"{subject}: a forked child {how}; it was ended there. A child that a test forks must end with os._exit()"
        # Recorded, not raised: under `-W error` it would become the failure of a test that has not failed.
        message = warnings.WarningMessage(pytest.PytestWarning(text), pytest.PytestWarning, subject.partition("::")[0], 0)
        arguments = {"warning_message": message, "when": "runtest", "nodeid": subject, "location": None}
        self._config.hook.pytest_warning_recorded.call_historic(kwargs=arguments)

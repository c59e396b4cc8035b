"""``--ftcheck-statics``: which test writes which static variable of an extension module.

Where tests run, :class:`StaticsPlugin` looks at the memory after each test and after its first rounds in threads, and puts
what has changed onto the report of the test's teardown. Where things are printed, :class:`StaticsBookPlugin` adds it up. A
run needs nothing else for it: no threads, no worker process.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from ftcheck.native import chosen
from ftcheck.native.chosen import ChoiceError
from ftcheck.native.statics import SUPPORTED, StaticWatch, process_name
from ftcheck.report.statics_book import StaticsBook
from ftcheck.static_state import writes_from_plain
from ftcheck.verdicts import to_plain

if TYPE_CHECKING:
    from ftcheck.static_state import StaticState

NAME, BOOK = "ftcheck-statics", "ftcheck-statics-book"
_PARTS = 8
"""Parts that are told apart in a test: its first rounds, and all the others. Each costs a look at the memory."""


def check(names: tuple[str, ...], where: str) -> None:
    """Complain of what is no extension module, as far as that is known before the tests are collected.

    :raises pytest.UsageError: there is one.
    """
    if not SUPPORTED:
        raise pytest.UsageError(f"{where}: static memory can be watched on Linux only")
    try:
        chosen.unknown(names)
    except ChoiceError as error:
        raise pytest.UsageError(f"{where}: {error}") from None


def parse(text: str, where: str) -> tuple[str, ...]:
    """The value of the option.

    :raises pytest.UsageError: it cannot be one.
    """
    try:
        return chosen.parse(text)
    except ChoiceError as error:
        raise pytest.UsageError(f"{where}: {error}") from None


def watch_here(config: pytest.Config, names: tuple[str, ...]) -> None:
    """In the process where tests run."""
    if not config.option.collectonly:
        config.pluginmanager.register(StaticsPlugin(names), NAME)


def round_begins(config: pytest.Config, number: int) -> None:
    """A round of a test in threads is about to begin.

    :param number: from 1; 0 before the test is run alone.
    """
    plugin = config.pluginmanager.getplugin(NAME)
    if isinstance(plugin, StaticsPlugin) and 1 < number <= _PARTS:
        plugin.watch.next_part()


class StaticsPlugin:
    """Registered as ``ftcheck-statics`` where tests run.

    :param names: names and patterns of modules.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self.watch = StaticWatch(names, process_name())
        self._wrong = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """What the files of the tests import is there. A worker must send no tests if it will run none: xdist waits."""
        try:
            if missing := chosen.unknown(self._names):
                names = ", ".join(missing)
                self._wrong = f"there is no module {names}. Is it installed, and built for this interpreter?"
        except ChoiceError as error:
            self._wrong = str(error)
        if self._wrong:
            items.clear()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not self._wrong:
            self.watch.begin()
            return
        text = f"--ftcheck-statics: {self._wrong}"
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["ftcheck_usage"] = [text]  # the controlling process says it
        raise pytest.UsageError(text)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.watch.start(item.nodeid)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "teardown":
            report.ftcheck_statics = to_plain(self.watch.finish())  # type: ignore[attr-defined]
        return report

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        self.watch.end()


class StaticsBookPlugin:
    """Registered as ``ftcheck-statics-book`` where things are printed.

    :param names: names and patterns of modules.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._book = StaticsBook(names)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._book.begun(report.nodeid)
        data: Any = getattr(report, "ftcheck_statics", None)
        if data is not None:
            self._book.note(writes_from_plain(data))

    def state(self) -> StaticState:
        """What there is to say."""
        return self._book.state()


def state_of(config: pytest.Config) -> StaticState | None:
    """What is known of static state; None: nobody asked for it."""
    plugin = config.pluginmanager.getplugin(BOOK)
    return plugin.state() if isinstance(plugin, StaticsBookPlugin) else None

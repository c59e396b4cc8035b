"""What each thread prints and logs, kept apart.

pytest captures the output of a process. Eight threads that print at once leave a text of which nobody can tell whose it
is. So while the rounds of a test run, ``sys.stdout``, ``sys.stderr`` and pytest's log handlers look who is writing (a
context variable, which threads started by a body inherit; what they write is kept under their names), and keep the text by
thread and round. Shown are the rounds
of the failures, all threads side by side; without a failure, the first round. Everything else is dropped: two hundred
times the same text helps nobody.

What C code or a child process writes goes to the file descriptors, past all this, and is captured by pytest as always.
So is all output under ``-s``, where nothing is captured.
"""

from __future__ import annotations

import contextlib
import contextvars
import io
import logging
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TextIO

import pytest

Kind = Literal["stdout", "stderr", "log"]
_KINDS: tuple[Kind, ...] = ("stdout", "stderr", "log")
_MOST = 64 * 1024
"""Characters that are kept of one thread in one round."""

_writer: contextvars.ContextVar[_Page | None] = contextvars.ContextVar("ftcheck_output", default=None)


@dataclass(slots=True)
class _Page:
    """What one thread, and those that it started, write in the current round.

    :ivar parts: in the order of writing: the name of the thread (empty for the one whose page it is), the kind, the text.
    """

    thread: int
    owner: int
    parts: list[tuple[str, Kind, str]] = field(default_factory=list)
    size: int = 0

    def sections(self) -> dict[tuple[str, Kind], str]:
        """Text by thread and kind."""
        texts: dict[tuple[str, Kind], str] = {}
        for name, kind, text in self.parts:
            texts[name, kind] = texts.get((name, kind), "") + text
        return dict(sorted(texts.items(), key=lambda pair: (pair[0][0], _KINDS.index(pair[0][1]))))


def _thread_and_round(thread: int, name: str, round: int) -> str:
    return f"thread {thread}{f', {name}' if name else ''}, round {round}"


class Output:
    """The output of one test's threads.

    :param note: told every piece at once: thread, round, kind, text. What a crash leaves of the output comes from there.
    :ivar round: the number of the current round.
    """

    def __init__(self, note: Callable[[int, int, Kind, str], object] | None = None) -> None:
        self._note = note
        self._pages: dict[int, _Page] = {}
        self._kept: dict[tuple[int, int], _Page] = {}
        self.round = 0

    def begin(self, thread: int) -> None:
        """In the current context, and in those that are made from it, this thread is the writer."""
        page = self._pages.get(thread)
        if page is None:
            page = self._pages[thread] = _Page(thread, threading.get_ident())
        _writer.set(page)

    def close_round(self, failing: Collection[int]) -> None:
        """The current round is over: keep what was written in it if it failed, or if it was the first.

        :param failing: numbers of the rounds that failed.
        """
        for thread, page in self._pages.items():
            if page.parts:
                if self.round == 1 or self.round in failing:
                    self._kept[thread, self.round] = _Page(thread, page.owner, list(page.parts))
                page.parts.clear()
                page.size = 0

    @contextlib.contextmanager
    def kept_apart(self, config: pytest.Config) -> Iterator[None]:
        """Within this context, threads that have called :meth:`begin` write for themselves."""
        if config.getoption("capture", "no") == "no":
            yield
            return
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = _Router(before[0], self, "stdout"), _Router(before[1], self, "stderr")
        handlers = _log_handlers(config)
        filters = [_LogFilter(self, handler if number == 0 else None) for number, handler in enumerate(handlers)]
        for handler, each in zip(handlers, filters, strict=True):
            handler.addFilter(each)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before
            for handler, each in zip(handlers, filters, strict=True):
                handler.removeFilter(each)

    def add_sections(
        self, item: pytest.Item, rounds: Collection[int], whose: Callable[[int, str, int], str] = _thread_and_round
    ) -> None:
        """Put what was kept onto the test's report.

        :param rounds: those to show; the first one if there are none.
        :param whose: called with the number of the thread, the name of the one that it started (or nothing), and the round.
        """
        for thread, number in sorted(self._kept, key=lambda key: (key[1], key[0])):
            if number in (rounds or (1,)):
                for (name, kind), text in self._kept[thread, number].sections().items():
                    item.add_report_section("call", f"{kind} ({whose(thread, name, number)})", text)

    def write(self, page: _Page, kind: Kind, text: str) -> None:
        """A thread has written something."""
        name = "" if threading.get_ident() == page.owner else threading.current_thread().name
        page.size += len(text)
        if page.size <= _MOST:
            page.parts.append((name, kind, text))
        elif page.size - len(text) <= _MOST:
            page.parts.append((name, kind, f"\n[... only the first {_MOST} characters of a thread's output are kept]\n"))
        if self._note is not None:
            self._note(page.thread, self.round, kind, text)


class _Router(io.TextIOBase):
    """Stands in for ``sys.stdout`` or ``sys.stderr``; whoever is no thread of ours writes to the stream behind it."""

    def __init__(self, behind: TextIO, output: Output, kind: Kind) -> None:
        self._behind, self._output, self._kind = behind, output, kind

    def write(self, text: str, /) -> int:
        page = _writer.get()
        if page is None:
            return self._behind.write(text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._output.write(page, self._kind, text)
        return len(text)

    def flush(self) -> None:
        self._behind.flush()

    def fileno(self) -> int:
        return self._behind.fileno()

    def isatty(self) -> bool:
        return self._behind.isatty()

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """The stream behind is not ours to close."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._behind.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._behind.errors

    @property
    def buffer(self) -> Any:
        return self._behind.buffer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)


class _LogFilter(logging.Filter):
    """Takes the records of our threads out of pytest's handlers, which would keep all of them until the test is over."""

    def __init__(self, output: Output, shown_by: logging.Handler | None) -> None:
        super().__init__()
        self._output, self._shown_by = output, shown_by

    def filter(self, record: logging.LogRecord) -> bool:
        page = _writer.get()
        if page is None:
            return True
        if self._shown_by is not None:
            self._output.write(page, "log", self._shown_by.format(record) + "\n")
        return False


def _log_handlers(config: pytest.Config) -> list[logging.Handler]:
    """Those of pytest's logging plugin; the first one makes the section of the report."""
    plugin = config.pluginmanager.getplugin("logging-plugin")
    found = [getattr(plugin, name, None) for name in ("report_handler", "caplog_handler")]
    return [handler for handler in found if isinstance(handler, logging.Handler)]

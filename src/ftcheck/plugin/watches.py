"""What two threads of a process must not do at a time, watched from the first test that is rerun in threads to the end."""

from __future__ import annotations

import warnings

import pytest

from ftcheck import stress
from ftcheck.plugin.run_options import RunOptions

_MONKEYPATCH = stress.Watched(
    "_pytest.monkeypatch.MonkeyPatch.__init__", "changes objects that all threads see", known_as="pytest.MonkeyPatch"
)
_HARNESS = ("ftcheck.plugin", "ftcheck.stress.noise", "pytest_asyncio.plugin")


class Watches:
    """The watches of a session, installed when they are first asked for."""

    def __init__(self, run: RunOptions) -> None:
        self._run = run
        self._calls: stress.ProcessWatch | None = None
        self._globals: stress.GlobalsWatch | None = None

    def calls(self) -> stress.ProcessWatch:
        """Calls that change the whole process."""
        if self._calls is None:
            named = "is named by thread_unsafe_functions"
            self._calls = stress.ProcessWatch(
                [_MONKEYPATCH, *(stress.Watched(name, named) for name in self._run.unsafe_functions)], _HARNESS
            )
            self._calls.install()
            if self._calls.unwatched:
                names = ", ".join(self._calls.unwatched)
                warnings.warn(pytest.PytestWarning(f"ftcheck: calls of these cannot be noticed here: {names}"), stacklevel=1)
        return self._calls

    def replaced(self) -> stress.GlobalsWatch:
        """Functions of modules being replaced."""
        if self._globals is None:
            self._globals = stress.GlobalsWatch()
            self._globals.install()
        self._globals.begin_test()
        return self._globals

    def uninstall(self) -> None:
        """Stop watching."""
        if self._calls is not None:
            self._calls.uninstall()
        if self._globals is not None:
            self._globals.uninstall()

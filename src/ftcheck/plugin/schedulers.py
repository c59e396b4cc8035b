"""xdist's schedulers by scope (``--dist=loadscope``, ``loadfile``, ``loadgroup``), fit for workers that die.

xdist's own put every unfinished test of a dead worker back into the queue, the one that killed it included. It kills the
next worker, and the next; with workers that are replaced for ever, so does the run. Nor can they take a single test back
(``mark_test_pending``), as is needed for a worker that ended between two tests; a new worker that is given one last test
waits for another one before it runs it; and work may be given to a worker that has not collected yet. (``load`` and
``worksteal`` know all that.)
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import (  # type: ignore[import-untyped]
    LoadFileScheduling,
    LoadGroupScheduling,
    LoadScopeScheduling,
)


class ByScope(LoadScopeScheduling):  # type: ignore[misc]
    """Knows a worker's tests by scope: ``{scope: {node id: done}}``."""

    def remove_node(self, node: Any) -> str | None:
        """A worker is gone; the test that it ran, or was to run next, is not given to another one by itself."""
        for unit in self.assigned_work.get(node, {}).values():
            for test, done in unit.items():
                if not done:
                    unit[test] = True
                    super().remove_node(node)  # the others go back
                    return str(test)
        super().remove_node(node)
        return None

    def mark_test_pending(self, item: str) -> None:
        """This one has not run, so it goes back, to the others of its scope where these are waiting."""
        self.workqueue.setdefault(self._split_scope(item), {})[item] = False
        for node in self.assigned_work:
            self._reschedule(node)

    def _reschedule(self, node: Any) -> None:
        """Give a worker more to do, or let it end: it runs a test when it knows what comes after."""
        if node not in self.registered_collections:
            return  # it is asked again when it has collected
        super()._reschedule(node)
        while not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
            if self.workqueue:
                self._assign_work_unit(node)
            else:
                node.shutdown()


class ByFile(ByScope, LoadFileScheduling):  # type: ignore[misc]
    """The scope of a test is its file."""


class ByGroup(ByScope, LoadGroupScheduling):  # type: ignore[misc]
    """The scope of a test is what its marker ``xdist_group`` says."""


_FIT = {"loadscope": ByScope, "loadfile": ByFile, "loadgroup": ByGroup}


class Schedulers:
    """Registered as ``ftcheck-schedulers`` where workers may die and are replaced."""

    @pytest.hookimpl
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> ByScope | None:
        kind = _FIT.get(str(config.getoption("dist")))
        return None if kind is None else kind(config, log)

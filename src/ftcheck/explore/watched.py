"""The code in scope: what of it is known, and that the interpreter tells of its scheduling points (PEP 669).

Code has its points from the first instruction on, so it is looked for before the first run. Code that begins to run and was
not found (a module that is imported in a run, a function that was made there) is noted, and gets its points behind that run.

Other tools may come and go meanwhile: coverage, a profiler that the code under test starts. With the first of them the
interpreter begins to keep, for each instruction, which tools want to hear of it, and begins with nobody
(``update_instrumentation_data()`` in ``Python/instrumentation.c``; 3.14.9): from then on no point of ours would be told. So
there are two tools from the beginning. The second one wants to hear nothing.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Collection

from ftcheck import _core
from ftcheck.explore import sites
from ftcheck.explore.scope import Scope, codes_in
from ftcheck.explore.sites import Granularity

_TOOLS, _SECOND = (4, 5, 3, 2, 0), (5, 4, 3)
"""Ids of ``sys.monitoring``, the best one first. 0 is for debuggers, 1 for coverage, 2 for profilers, 3 is Hypothesis': no
second one is taken of the first three, where somebody may want them later."""


class Watched:
    """While this is entered, code in scope tells of its scheduling points.

    As a container it holds the ``id()`` of each code object that has points.
    """

    def __init__(self, scope: Scope, granularity: Granularity) -> None:
        self._scope, self._granularity = scope, granularity
        self._known: dict[int, types.CodeType] = {}  # by identity: equal code may stand in two files
        self._cached: set[str] = set()
        self._tools: list[int] = []
        self._new = False

    def __contains__(self, code: object) -> bool:
        return code in self._known

    @property
    def codes(self) -> Collection[types.CodeType]:
        """The code in scope that is known by now."""
        return self._known.values()

    def check(self) -> None:
        """:raises RuntimeError: every tool id of ``sys.monitoring`` is taken."""
        if all(map(sys.monitoring.get_tool, _TOOLS)):
            raise RuntimeError("every tool id of sys.monitoring is in use (a debugger, coverage, a profiler)")

    def __enter__(self) -> None:
        monitoring = sys.monitoring
        first = next(number for number in _TOOLS if monitoring.get_tool(number) is None)
        second = next((number for number in _SECOND if number != first and monitoring.get_tool(number) is None), None)
        self._tools = [first] if second is None else [first, second]
        for tool, started in zip(self._tools, (self._started, _nothing), strict=False):
            monitoring.use_tool_id(tool, "ftcheck")
            monitoring.register_callback(tool, monitoring.events.PY_START, started)
            monitoring.set_events(tool, monitoring.events.PY_START)
        monitoring.register_callback(first, monitoring.events.INSTRUCTION, _core.instruction)
        for held in self._scope.modules():
            for value in list(held.values()):
                for code in codes_in(value):
                    self._watch(code)
                self._cached |= sites.cached_names(value) if isinstance(value, type) else set()
        self._place()

    def __exit__(self, *args: object) -> None:
        monitoring = sys.monitoring
        for tool in self._tools:
            monitoring.set_events(tool, 0)
        for code in [*self._known.values(), *sites.callers()]:
            monitoring.set_local_events(self._tools[0], code, 0)
        for tool in self._tools:
            monitoring.register_callback(tool, monitoring.events.INSTRUCTION, None)
            monitoring.register_callback(tool, monitoring.events.PY_START, None)
            monitoring.free_tool_id(tool)

    def see(self, value: object) -> None:
        """A function, a class or a code object that is about to run, and that no module may hold: it gets its points now."""
        before = len(self._known)
        for code in (value,) if isinstance(value, types.CodeType) else codes_in(value):
            self._watch(code)
        self._new |= len(self._known) > before

    def place_new(self) -> bool:
        """Give code that has come into scope its points; whether there was any."""
        if not self._new:
            return False
        self._place()
        return True

    def _started(self, code: types.CodeType, offset: int) -> object:
        if code.co_filename in self._scope and id(code) not in self._known:
            self._watch(code)
            self._new = True
        return sys.monitoring.DISABLE

    def _watch(self, code: types.CodeType) -> None:
        for one in sites.nested(code):
            if id(one) not in self._known and one.co_filename in self._scope:
                self._known[id(one)] = one

    def _place(self) -> None:
        """Tables for all known code; again when some was added, because it may set names that others read."""
        self._new = False
        instruction = sys.monitoring.events.INSTRUCTION
        stored = self._cached.union(*(sites.stored_names(code) for code in self._known.values()))
        for code in self._known.values():
            _core.watch_code(code, *sites.table(code, self._granularity, stored))
            sys.monitoring.set_local_events(self._tools[0], code, instruction)
        for code in sites.callers():
            _core.watch_code(code, *sites.calls_only(code))
            sys.monitoring.set_local_events(self._tools[0], code, instruction)
        sys.monitoring.restart_events()


def _nothing(code: types.CodeType, offset: int) -> object:
    return sys.monitoring.DISABLE

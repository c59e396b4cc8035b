"""Functions, classes and modules that a body replaces in a module: patching by hand.

``module.function = fake`` and ``setattr`` call nothing that could be watched, and two threads that each put back what they
found leave a fake there for good: every later test that uses it fails, and none of them is to blame. So the dicts of all
loaded modules are watched (``_core/globals.c``) for a value that can be called being replaced. That is seen, but cannot
be prevented; what was there first is put back between two rounds, and the test runs alone.

A global that is no function, class or module is left to the test: lazy initialisation and caches are just what is to be
checked.
"""

from __future__ import annotations

import sys

from ftcheck import _core
from ftcheck.stress.process_wide import Watched, in_charge

_WHAT = "replaces a global that all threads see"


class GlobalsWatch:
    """Watches the modules that are loaded, while it is :meth:`installed <install>`."""

    def __init__(self) -> None:
        self._dicts: dict[int, dict[str, object]] = {}
        self._loaded = 0

    def install(self) -> None:
        """Begin to watch."""
        _core.take_replaced()
        self.refresh()

    def uninstall(self) -> None:
        """Stop watching."""
        for one in self._dicts.values():
            _core.unwatch_globals(one)
        self._dicts.clear()

    def refresh(self) -> None:
        """Watch the modules that have been imported since, too."""
        if len(sys.modules) == self._loaded:
            return
        self._loaded = len(sys.modules)
        for module in list(sys.modules.values()):
            namespace = getattr(module, "__dict__", None)
            if type(namespace) is dict and id(namespace) not in self._dicts:
                self._dicts[id(namespace)] = namespace
                _core.watch_globals(namespace, in_charge)

    def take(self) -> list[tuple[Watched, dict[str, object], str, object]]:
        """What was replaced since the last call, each name once, with its module's dict and what was there first."""
        changes = _core.take_replaced()
        if not changes:
            return []
        first: dict[tuple[int, str], tuple[dict[str, object], object]] = {}
        for namespace, name, before in changes:
            first.setdefault((id(namespace), name), (namespace, before))
        return [
            (Watched(f"{namespace.get('__name__')}.{name}", _WHAT), namespace, name, before)
            for (_, name), (namespace, before) in first.items()
        ]

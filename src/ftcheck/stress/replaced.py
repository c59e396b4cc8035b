"""Functions, classes and modules that a body replaces in a module: patching by hand.

``module.function = fake`` and ``setattr`` call nothing that could be watched, and two threads that each put back what they
found leave a fake there for good: every later test that uses it fails, and none of them is to blame. So the dicts of all
loaded modules are watched (``_core/globals.c``) for a value that can be called being replaced. That is seen, but cannot
be prevented; what was there first is put back between two rounds, and the test runs alone. A name that was not there
before the test (a fake for a function that is missing on this platform) is removed.

A global that is no function, class or module is left to the test: lazy initialisation and caches are just what is to be
checked.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from ftcheck import _core
from ftcheck.stress.process_wide import Watched, in_charge

_WHAT = "replaces a global that all threads see"


_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Replacement:
    """A global that a body has replaced.

    :param before: what was there before the test.
    """

    what: Watched
    namespace: dict[str, object]
    name: str
    before: object

    def undo(self) -> None:
        """Put back what was there, or remove what was not."""
        if self.before is _ABSENT:
            self.namespace.pop(self.name, None)
        else:
            self.namespace[self.name] = self.before


class GlobalsWatch:
    """Watches the modules that are loaded, while it is :meth:`installed <install>`."""

    def __init__(self) -> None:
        self._dicts: dict[int, dict[str, object]] = {}
        self._new: set[tuple[int, str]] = set()
        self._loaded = 0

    def install(self) -> None:
        """Begin to watch."""
        _core.take_replaced()
        self.begin_test()

    def uninstall(self) -> None:
        """Stop watching."""
        for one in self._dicts.values():
            _core.unwatch_globals(one)
        self._dicts.clear()

    def begin_test(self) -> None:
        """Another test begins: watch the modules that have been imported since the last one, too."""
        self._new.clear()
        if len(sys.modules) == self._loaded:
            return
        self._loaded = len(sys.modules)
        for module in list(sys.modules.values()):
            namespace = getattr(module, "__dict__", None)
            if type(namespace) is dict and id(namespace) not in self._dicts:
                self._dicts[id(namespace)] = namespace
                _core.watch_globals(namespace, in_charge)

    def take(self) -> list[Replacement]:
        """What was replaced since the last call, each name once."""
        found: dict[tuple[int, str], Replacement] = {}
        for namespace, name, *before in _core.take_replaced():
            key = (id(namespace), name)
            if not before:
                self._new.add(key)
            elif key not in found:
                what = Watched(f"{namespace.get('__name__')}.{name}", _WHAT)
                found[key] = Replacement(what, namespace, name, _ABSENT if key in self._new else before[0])
        return list(found.values())

"""Names for objects: the expression by which the code calls them, and one name for one object.

The log knows objects by their address, and the code by expressions: ``self`` here and ``counter`` there may be one object,
and ``self`` in two threads may be two. An object is called by the first expression that named it; where two objects would
have one name they get ``#1`` and ``#2``, in the order in which they came up, those that several threads touch first. A
variable, what it holds, and the lock inside that are called the same without being mistaken for each other. Items are called
as the code does: two may be called ``prices[name]``.
"""

from __future__ import annotations

import collections
from collections.abc import Collection

from ftcheck.explore.expressions import Spot

_INDEXES = 1 << 20
"""Keys below this that a whole number has made: hashes of strings are far above, with hardly any exception."""


class Names:
    """First :meth:`see` all that will be named, then ask."""

    def __init__(self) -> None:
        self._first: dict[int, tuple[str, str]] = {}
        self._names: dict[int, str] = {}
        self._members: dict[tuple[int, int], str] = {}

    def see(self, object: int, spot: Spot, is_lock: bool) -> None:
        """Somebody touched this object here."""
        if spot.owner:
            sort = "lock" if is_lock else "variable" if spot.is_variable else "object"
            self._first.setdefault(object, (sort, spot.owner))

    def settle(self, shared: Collection[int]) -> None:
        """Everything has been seen; ``shared`` objects are those that several threads touch."""
        alike: dict[tuple[str, str], list[int]] = collections.defaultdict(list)
        for object, called in sorted(self._first.items(), key=lambda item: item[0] not in shared):  # stable
            alike[called].append(object)
        for (_, text), objects in alike.items():
            common = sum(object in shared for object in objects)
            for number, object in enumerate(objects, 1):
                plain = len(objects) == 1 or (number == 1 and common == 1)
                self._names[object] = text if plain else f"{text}#{number}"

    def of(self, object: int, spot: Spot) -> str:
        """The object's own name."""
        return self._names.get(object) or spot.owner or f"<{spot.place.function}, line {spot.place.line}>"

    def member(self, object: int, key: int, spot: Spot) -> str:
        """The name of an attribute, item or variable."""
        known = self._members.get((object, key))
        if known is None:
            owner = self.of(object, spot) if spot.owner else ""
            member = f"[{key >> 1}]" if spot.index and key and key >> 1 < _INDEXES else spot.member
            known = owner + member
            if key:
                self._members[object, key] = known
        return known

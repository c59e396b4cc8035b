"""Calls of which it is known what they do, for the report: methods of built-in containers, and builtin functions.

The engine takes every call of code that is not in scope for a write to its object. ``items.append(x)`` is one for certain;
``pattern.match(text)`` is only assumed to be (:mod:`ftcheck.explore.conflicts` says what becomes of that).
"""

from __future__ import annotations

import builtins
import collections
import inspect
import types
from collections.abc import Callable, Collection, Iterator, Sequence

from ftcheck.explore.expressions import Spot
from ftcheck.explore.log import Operation

_CONTAINERS = (list, dict, set, bytearray, collections.deque, collections.OrderedDict, collections.defaultdict)
_IN_C = (types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType)


def assumed(
    operations: Sequence[Operation], objects: Collection[int], spot_of: Callable[[Operation], Spot | None]
) -> set[int]:
    """The accesses that are only taken for ones because nobody knows better: their numbers.

    :param objects: look only at what is done to these.
    """
    kinds = {id(kind): kind for container in _CONTAINERS for kind in _derived(container)}  # as the log knows them
    called = [(number, one) for number, one in enumerate(operations) if one.typed and one.object in objects]
    spots = [(number, spot_of(one), kinds.get(one.alike)) for number, one in called]
    return {number for number, spot, kind in spots if spot is not None and _is_assumed(spot, kind)}


def _is_assumed(spot: Spot, kind: type | None) -> bool:
    """Of an access that was read off a call; **kind**: the container that it is made on, if it is one."""
    if spot.opcode.startswith("RETURN"):
        return True  # to code that is not in scope, which may store the result somewhere
    if not spot.callee:
        return spot.opcode.startswith("CALL")  # that the source does not show: of pytest's rewritten assertions, say
    if spot.callee in vars(builtins):
        return False
    return kind is None or not isinstance(inspect.getattr_static(kind, spot.callee, None), _IN_C)


def _derived(kind: type) -> Iterator[type]:
    yield kind
    subclasses: list[type] = type.__subclasses__(kind)
    for one in subclasses:
        yield from _derived(one)

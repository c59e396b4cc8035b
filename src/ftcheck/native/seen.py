"""What was looked at in extensions, and what was not: a verdict says both, or it would claim too much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """What one watch has looked at.

    :param modules: the paths of the extensions that were watched.
    :param accesses: to memory, that said something new: where one thread does the same to the same bytes again, before
        anything that orders, that counts once.
    :param limits: what was not looked at, or not in full, one sentence each; empty: nothing that is known.
    """

    modules: tuple[str, ...] = ()
    accesses: int = 0
    limits: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """What was looked at, and what was not."""
        return (str(self), *self.limits) if self.modules else ()

    def __str__(self) -> str:
        """``2 extensions watched, 1,204 accesses``; empty where none was."""
        if not self.modules:
            return ""
        many = "extension" if len(self.modules) == 1 else "extensions"
        return f"{len(self.modules)} {many} watched, {self.accesses:,} accesses"


_LIMITS = (
    ("unwatched_threads", "{} threads were not watched: {} at a time can be"),
    ("children", "{} child processes of fork() were not watched"),
    ("refused_modules", "{} extensions were not watched: there are too many, or their memory cannot be made writable"),
    ("unknown_imports", "{} imported functions could not be found before they are called: calls of them order nothing"),
    ("lost_calls", "{} calls are missing in stacks: there was no room for them"),
    ("dropped_races", "{} races were seen when there was no room for them, or in extensions that are not watched"),
)
_THREADS = 256
"""``FTC_WATCHED`` of _core/native.h."""


def seen(state: Mapping[str, object]) -> Seen:
    """What ``_core.native_state()`` says."""
    modules = state["modules"]
    assert isinstance(modules, list)
    limits = [text.format(f"{state[name]:,}", _THREADS) for name, text in _LIMITS if state[name]]
    accesses = state["accesses"]
    assert isinstance(accesses, int)
    return Seen(tuple(path for path, _ in modules), accesses, tuple(limits))

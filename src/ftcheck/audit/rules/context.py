"""What a rule is given: the files of an extension, and short ways to ask about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ftcheck.audit.rules.scanner.calls import Call, Span
from ftcheck.audit.rules.scanner.fresh import Origin, Origins
from ftcheck.audit.rules.scanner.functions import Function
from ftcheck.audit.rules.scanner.project import Project, Unit
from ftcheck.audit.rules.words import Hit, Tier


@dataclass(frozen=True, slots=True)
class Place:
    """A function, in its file, in its extension."""

    project: Project
    origins: Origins
    unit: Unit
    function: Function

    def locked(self, index: int) -> bool:
        """Whether a lock is held there that no other thread can have."""
        return self.project.locked(self.function, index)

    def detached(self, index: int) -> bool:
        """Whether the thread is detached there."""
        return self.project.scopes(self.function).is_detached(index)

    def origin(self, span: Span) -> Origin:
        """Where the value of an expression comes from."""
        return self.origins.of(self.unit, self.function, span)

    def words(self, span: Span) -> str:
        """The text of an expression."""
        return self.unit.words(span)

    def argument(self, call: Call, number: int) -> str:
        """The text of an argument of a call; empty where it has none there."""
        return self.unit.words(call.args[number]) if number < len(call.args) else ""

    def text(self, index: int) -> str:
        """The token at an index."""
        code = self.unit.code
        return code[index].text if 0 <= index < len(code) else ""

    def line(self, index: int) -> int:
        """The line of a token."""
        return self.unit.code[index].line

    def hit(self, rule: str, line: int, message: str, tier: Tier | None = None) -> Hit:
        """A finding in this function."""
        return Hit(rule, self.unit.path, line, self.function.qualified, message, tier)

    def asserted(self, call: Call) -> bool:
        """Whether it stands in an ``assert``, which a release does not compile."""
        around = ("assert", "_PyObject_ASSERT", "CYTHON_UNUSED_ASSERT", "static_assert")
        return any(one.name in around and one.index < call.index < one.end for one in self.function.calls)

    @property
    def roles(self) -> set[str]:
        """The slots that the function is in: ``tp_dealloc``."""
        return self.project.graph.roles.get(self.function, set())


@dataclass(frozen=True, slots=True)
class Extension:
    """The files of one extension."""

    project: Project
    origins: Origins

    def places(self) -> Iterator[Place]:
        """Every function, those that run at import only left out."""
        for place in self.everywhere():
            if not self.project.starts_up(place.function):
                yield place

    def everywhere(self) -> Iterator[Place]:
        """Every function."""
        for unit in self.project.units:
            for function in unit.shape.functions:
                yield Place(self.project, self.origins, unit, function)

"""Values of ``@pytest.mark.parametrize``: one copy for each thread and round, where a value can be changed.

A parameter is made once, when the tests are collected. A list that the test sorts, or an estimator that it fits, would
be changed by all threads at once, and the suite's own sharing would look like a race in the product. So each copy of
a test gets a deep copy. Shared are values that nobody can change (numbers, text, types, functions, ...), those that
``share`` names, and those that are globals already: an object that the test's module, or the module of its class,
keeps under a name, is shared by all threads whatever happens to the parameter, and is often known by its identity.
"""

from __future__ import annotations

import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import pathlib
import re
import sys
import types
import uuid
from typing import Any

from _pytest.python import CallSpec, Function
from _pytest.scope import Scope

from ftcheck.settings import Settings

_UNCHANGING = (
    type(None), bool, int, float, complex, str, bytes, range, slice, type, types.FunctionType,
    types.ModuleType, types.GenericAlias, types.UnionType, type(...), type(NotImplemented), enum.Enum, re.Pattern,
    pathlib.PurePath, decimal.Decimal, fractions.Fraction, datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo,
    uuid.UUID, types.CodeType, types.MemberDescriptorType, types.MethodDescriptorType, types.WrapperDescriptorType,
)  # fmt: skip


class Parameters:
    """The parameters of one test.

    :ivar copied: names of those that every copy of the test gets for itself.
    :ivar why_alone: why the test cannot run in several threads: a parameter that can neither be copied nor shared.
    """

    def __init__(self, item: Function, settings: Settings) -> None:
        self._callspec: CallSpec | None = getattr(item, "callspec", None)
        self._globals: dict[int, object] = {}
        self.copied: tuple[str, ...] = ()
        self.why_alone = ""
        if self._callspec is None:
            return
        values = self._callspec.params
        for module in {item.module, *(sys.modules.get(type(value).__module__) for value in values.values())}:
            if module is not None and module.__name__ != "builtins":
                self._globals |= {id(one): one for one in list(vars(module).values())}
        self.copied = tuple(
            name
            for name, value in values.items()
            if self._callspec._arg2scope.get(name) is Scope.Function
            and not settings.shares(name)
            and self._can_change(value)
        )
        for name in self.copied:
            self.why_alone = self.why_alone or self._try(name, values[name])

    def fresh(self) -> CallSpec | None:
        """The parameters for one copy of the test; None where there is nothing to copy."""
        if self._callspec is None or not self.copied:
            return None
        mine = copy.deepcopy({name: self._callspec.params[name] for name in self.copied}, dict(self._globals))
        return dataclasses.replace(self._callspec, params={**self._callspec.params, **mine})

    def _try(self, name: str, value: object) -> str:
        try:
            if copy.deepcopy(value, dict(self._globals)) is value and isinstance(value, types.BuiltinFunctionType):
                raise TypeError("a method written in C is not copied")
        except Exception as failure:
            return (
                f"parameter {name!r} ({type(value).__qualname__}) cannot be copied for each thread "
                f"({type(failure).__name__}); share={[name]!r} shares it"
            )
        return ""

    def _can_change(self, value: Any, depth: int = 20) -> bool:
        if isinstance(value, _UNCHANGING) or type(value) is object or id(value) in self._globals or depth == 0:
            return depth == 0
        parts: Any = None
        if isinstance(value, (tuple, frozenset)):
            parts = value
        elif isinstance(value, functools.partial):
            parts = (value.func, *value.args, *value.keywords.values())
        elif isinstance(value, (types.MethodType, types.BuiltinFunctionType)):
            parts = (value.__self__,)
        elif dataclasses.is_dataclass(value) and type(value).__dataclass_params__.frozen:  # type: ignore[union-attr]
            parts = [getattr(value, field.name, None) for field in dataclasses.fields(value)]
        return parts is None or any(self._can_change(part, depth - 1) for part in parts)

"""A test as simple calls: where all that pytest would do for each copy of a test is to call functions.

A copy made by :mod:`ftcheck.plugin.clones` is right for every test, and costs more than a short schedule: a request, copies
of the definitions, and two plugin hooks for each fixture and one for the body. For most tests all that decides always the
same: which fixtures, in which order, with which arguments. So it is decided once, and each copy only calls the functions.

The condition, checked once for each test (:func:`plain_test`): pytest itself runs the test and sets its fixtures up, no
plugin takes part in that; and no function-scoped fixture asks for ``request``, replaces one that it uses itself, is
asynchronous, or is one whose value depends on the copy. Everything else is a clone.
Fixtures of wider scope are what the original item has: they cannot change while its test runs.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from _pytest.compat import getimfunc
from _pytest.fixtures import call_fixture_func
from _pytest.outcomes import Skipped
from _pytest.python import Function, get_direct_param_fixture_func
from _pytest.python import pytest_pyfunc_call as pytests_own_call

from ftcheck.plugin import their_fixtures
from ftcheck.plugin.clones import Definition, is_per_test, is_replaced


@dataclass(frozen=True, slots=True)
class _Step:
    """A fixture that each copy sets up for itself.

    :param arguments: names of the fixtures that it is called with.
    :param method: it is one of the test's class: called on the copy's instance.
    """

    name: str
    function: Callable[..., Any]
    arguments: Sequence[str]
    method: bool


class PlainTest:
    """A test that consists of calls.

    :param steps: the function-scoped fixtures, in the order in which they are set up.
    :param given: the values of all other fixtures and parameters.
    :param arguments: names of the fixtures that the test is called with.
    :param new_instance: of its class; None: it has none, and ``function`` is called as it is.
    """

    def __init__(
        self,
        item: Function,
        steps: Sequence[_Step],
        given: Mapping[str, Any],
        new_instance: Callable[[], Any] | None,
    ) -> None:
        self.steps, self.given, self.new_instance = steps, given, new_instance
        self.function, self.name, self.nodeid = item.obj, item.originalname, item.nodeid
        self.arguments = item._fixtureinfo.argnames

    @property
    def body(self) -> Callable[[], object] | None:
        """The body of all copies: it can be called again and again without any set-up. None where each needs its own."""
        if self.steps:
            return None
        function, name, new_instance = self.function, self.name, self.new_instance
        arguments = {argument: self.given[argument] for argument in self.arguments}
        if new_instance is None:
            return lambda: function(**arguments)
        return lambda: getattr(new_instance(), name)(**arguments)


class PlainCopy:
    """What a :class:`ftcheck.plugin.clones.Clone` is, of a plain test.

    It is also all of a request that :func:`_pytest.fixtures.call_fixture_func` asks for: ``fixturename``, ``addfinalizer``.
    """

    __slots__ = ("_finalizers", "_function", "_plain", "_values", "addfinalizer", "fixturename")

    def __init__(self, plain: PlainTest) -> None:
        self._plain = plain
        self._values: dict[str, Any] = {}
        self._finalizers: list[Callable[[], object]] = []
        self.addfinalizer = self._finalizers.append

    def set_up(self) -> None:
        """Set up this copy's fixtures."""
        __tracebackhide__ = True
        plain = self._plain
        instance = None if plain.new_instance is None else plain.new_instance()
        self._function = plain.function if instance is None else getattr(instance, plain.name)
        values = self._values = {**plain.given}
        for step in plain.steps:
            self.fixturename = step.name
            function = step.function.__get__(instance) if step.method else step.function
            try:
                values[step.name] = call_fixture_func(function, self, {name: values[name] for name in step.arguments})  # type: ignore[arg-type]
            except Skipped as skipped:
                skipped._use_item_location = True  # as pytest does: the test was skipped, wherever that was called
                raise

    def run(self) -> None:
        """Run the test.

        :raises BaseException: what it raised.
        """
        __tracebackhide__ = True
        values = self._values
        result = self._function(**{name: values[name] for name in self._plain.arguments})
        if result is not None:
            _returned(result, self._plain.nodeid)

    def tear_down(self) -> None:
        """Undo :meth:`set_up`, in the opposite order, to the end even if something raises.

        :raises BaseException: what a finalizer raised; a group if there were several.
        """
        failed: list[BaseException] = []
        while self._finalizers:
            try:
                self._finalizers.pop()()
            except BaseException as failure:
                failed.append(failure)
        self._values = {}
        if failed:
            raise failed[0] if len(failed) == 1 else BaseExceptionGroup("errors during teardown", failed)


def _returned(result: object, nodeid: str) -> None:
    """What pytest says of a test that returns something."""
    again: Any = types.SimpleNamespace(
        obj=lambda: result, funcargs={}, _fixtureinfo=types.SimpleNamespace(argnames=()), nodeid=nodeid
    )
    pytests_own_call(again)


def plain_test(item: Function) -> PlainTest | None:
    """The test as calls; None where a copy of it needs more than that. To be asked when the item has been set up."""
    needed = item._fixtureinfo.argnames
    if type(item).runtest is not Function.runtest or "request" in needed or not _only(item, "pytest_pyfunc_call", _CALLERS):
        return None
    function = item.obj
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if code is None or code.co_flags & _NOT_PLAIN or hasattr(function, "is_hypothesis_test"):
        return None
    new_instance = None
    if item.instance is not None:
        if getattr(function, "__self__", None) is not item.instance or not isinstance(item.parent, pytest.Class):
            return None
        new_instance = item.parent.newinstance
    order = _Order(item)
    try:
        for name in item.fixturenames:
            if name in needed or order.is_step(name):  # others are of wider scope, and wanted by such
                order.add(name)
    except _NotPlainError:
        return None
    return PlainTest(item, order.steps, order.given, new_instance)


class _NotPlainError(Exception):
    """A fixture needs more than to be called."""


class _Order:
    """The order in which pytest sets up the fixtures of a test: each after those that it is called with, from left to right.

    :ivar given: values of the fixtures that are not set up anew.
    """

    def __init__(self, item: Function) -> None:
        self._item = item
        self._entered: set[str] = set()
        self._setup_is_plain = (
            type(item).setup is Function.setup
            and type(item).teardown is Function.teardown
            and not item.config.getoption("setupshow", False)
            and _only(item, "pytest_fixture_setup", _SETTERS)
            and _only(item, "pytest_fixture_post_finalizer", _SETTERS)
        )
        self.steps: list[_Step] = []
        self.given: dict[str, Any] = {}

    def is_step(self, name: str) -> bool:
        """Whether this is a fixture, and a function-scoped one."""
        definitions = self._item._fixtureinfo.name2fixturedefs.get(name)
        return definitions is not None and is_per_test(self._item, definitions[-1])

    def add(self, name: str) -> None:
        """This fixture, and before it those that it needs.

        :raises _NotPlainError: one of them needs more than to be called.
        """
        if name in self.given or any(step.name == name for step in self.steps):
            return
        definitions = self._item._fixtureinfo.name2fixturedefs.get(name)
        if name in self._entered or not definitions:  # the first: it asks for the one that it replaces
            raise _NotPlainError(name)
        self._entered.add(name)
        definition = definitions[-1]
        if definition.func is get_direct_param_fixture_func:
            self.given[name] = self._item.callspec.params[name]
        elif is_per_test(self._item, definition):
            self._add_step(name, definition)
        else:
            result = definition.cached_result
            if is_replaced(definition) or result is None or result[2] is not None:
                raise _NotPlainError(name)
            self.given[name] = result[0]

    def _add_step(self, name: str, definition: Definition) -> None:
        function, instance = definition.func, self._item.instance
        if instance is not None and hasattr(function, "__self__") and isinstance(instance, type(function.__self__)):
            function = getimfunc(function)  # type: ignore[no-untyped-call]
        if (
            not self._setup_is_plain
            or name in their_fixtures.NAMES
            or is_replaced(definition)
            or inspect.iscoroutinefunction(function)
            or inspect.isasyncgenfunction(function)
            or hasattr(function, "_force_asyncio_fixture")
        ):
            raise _NotPlainError(name)
        for argument in definition.argnames:
            self.add(argument)
        self.steps.append(_Step(name, function, definition.argnames, function is not definition.func))


def _only(item: Function, hook: str, modules: Collection[str]) -> bool:
    """Whether no others than these implement a hook for this test."""
    return all(one.function.__module__ in modules for one in getattr(item.ihook, hook).get_hookimpls())


_CALLERS = {"_pytest.python", "anyio.pytest_plugin", "pytest_asyncio.plugin"}
"""Modules whose ``pytest_pyfunc_call`` is known to do nothing, or nothing special, with a plain function."""
_SETTERS = {
    "_pytest.fixtures",
    "_pytest.setuponly",
    "_pytest.setupplan",
    "ftcheck.plugin.session",
    "anyio.pytest_plugin",
    "pytest_asyncio.plugin",
}
"""The same for ``pytest_fixture_setup`` and ``pytest_fixture_post_finalizer``, with a plain function-scoped fixture."""
_NOT_PLAIN = 0x20 | 0x80 | 0x100 | 0x200  # generator, coroutine, iterable coroutine, async generator (inspect.CO_*)

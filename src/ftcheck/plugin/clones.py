"""A copy of a test item for each thread and round, with function-scoped fixtures of its own.

pytest has one request, one instance and one set of function-scoped fixtures per item. Handing these to several threads
makes a suite's own sharing look like a race in the product. So a thread gets a copy of the item: new instance of the
test class, new request, new copies of the function-scoped fixture definitions (a definition holds its cached value) and
a finalizer list of its own. Fixtures of wider scope stay those of the original item, as do those that the user shares.

Only this file and :mod:`ftcheck.plugin.plain` reach into pytest's private parts. What it relies on, all of pytest 9:
``FixtureDef`` keeps its value in ``cached_result`` and its finalizers in ``_finalizers``; a request finds definitions in
``item._fixtureinfo.name2fixturedefs``, or through ``session._fixturemanager`` when asked at run time; finalizers are
registered through ``session._setupstate``.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from _pytest.fixtures import FixtureDef, FixtureManager, FuncFixtureInfo, TopRequest
from _pytest.nodes import Node
from _pytest.python import CallSpec, Function, get_direct_param_fixture_func
from _pytest.runner import SetupState
from _pytest.scope import Scope

from ftcheck.plugin.own_fixtures import OwnFolders, OwnSubtests, legacy

Definition = FixtureDef[Any]


def is_per_test(item: Function, definition: Definition) -> bool:
    """Whether this fixture is set up anew for each test, and so anew for each thread."""
    callspec = getattr(item, "callspec", None)
    scope = definition._scope
    if callspec is not None and definition.argname in callspec.params:
        scope = callspec._arg2scope.get(definition.argname, scope)
    return scope is Scope.Function and definition._scope is Scope.Function


def per_test_fixtures(item: Function) -> list[str]:
    """Names of the function-scoped fixtures that this test is known to use; direct parameters are not fixtures."""
    return [
        name
        for name, definitions in item._fixtureinfo.name2fixturedefs.items()
        if any(is_per_test(item, one) and one.func is not get_direct_param_fixture_func for one in definitions)
    ]


def finish_per_test_fixtures(item: Function) -> None:
    """Tear down the original item's own function-scoped fixtures: from here on the copies have theirs.

    Two of them at a time is one more than the number of threads that the user asked for, and for a test that brings its
    own threads it is one too many.
    """
    finalizers = item.session._setupstate.stack[item][0]
    failed: list[BaseException] = []
    while len(finalizers) > 1:  # the first one is the item's own teardown
        try:
            finalizers.pop()()
        except BaseException as failure:
            failed.append(failure)

    def fail_again() -> None:
        raise failed[0] if len(failed) == 1 else BaseExceptionGroup("errors during test teardown", failed)

    if failed:
        finalizers.append(fail_again)


class Clone:
    """A copy of ``item`` that can be set up, run and torn down on a thread of its own.

    :param shared: fixture definitions that are used as they are, by name: the round's shared ones.
    :param stash: what plugins have put on the original for this test; the copy has its own.
    :param lock: held while any fixture of any copy is set up; pytest's own machinery is not made for threads.
    :param label: how its temporary folder's name begins.
    :param callspec: its parameters, where they are not those of the original.
    """

    def __init__(
        self,
        item: Function,
        shared: Mapping[str, Definition],
        stash: pytest.Stash,
        lock: threading.RLock,
        label: str,
        callspec: CallSpec | None = None,
    ) -> None:
        self.item: Function = copy.copy(item)
        self.item.stash = copy_of(stash)
        self._shared, self._original, self._lock = shared, item, lock
        self._finalizers: list[Callable[[], object]] = []
        self._copies: dict[int, Definition] = {}
        self._folders: OwnFolders | None = None
        self._label = label
        self._subtests = OwnSubtests()
        self._failed = False
        if callspec is not None:
            self.item.callspec = callspec
        state = self.item.__dict__
        for name in ("runtest", "repr_failure"):
            state.pop(name, None)
        if state.get("_instance") is not None:
            bound = state.get("_obj")
            del state["_instance"]
            if getattr(bound, "__self__", None) is not None:
                state.pop("_obj", None)
        info = item._fixtureinfo
        self.item._fixtureinfo = FuncFixtureInfo(
            argnames=info.argnames,
            initialnames=info.initialnames,
            names_closure=info.names_closure,
            name2fixturedefs={name: self.own(entries) for name, entries in info.name2fixturedefs.items()},
        )
        self.item.session = copy.copy(item.session)
        self.item.session._setupstate = _CloneSetupState(item.session._setupstate, self.item, self._finalizers)
        self.item.session._fixturemanager = _CloneFixtureManager(item.session._fixturemanager, self)  # type: ignore[assignment]
        self.item._request = _LockedRequest(self.item, lock)
        self.item.funcargs = {}
        if "request" in self.item.fixturenames:  # pytest makes a definition, signature and all, to find it
            self.item.funcargs["request"] = self.item._request

    def own(self, definitions: Sequence[Definition]) -> list[Definition]:
        """These definitions with the function-scoped ones replaced by this copy's own, or by the shared ones."""
        return [self._own(one) for one in definitions]

    def _own(self, definition: Definition) -> Definition:
        if is_replaced(definition):
            if id(definition) not in self._copies:
                mine = self._copies[id(definition)] = copy.copy(definition)
                mine.cached_result = (self._replacement(definition.argname), None, None)
                mine._finalizers = []  # type: ignore[misc]
            return self._copies[id(definition)]
        if not is_per_test(self._original, definition):
            return definition
        shared = self._shared.get(definition.argname)
        if shared is not None and shared.func is definition.func:
            return shared
        if id(definition) not in self._copies:
            mine = copy.copy(definition)
            mine.cached_result = None
            mine._finalizers = []  # type: ignore[misc]
            self._copies[id(definition)] = mine
        return self._copies[id(definition)]

    def _replacement(self, name: str) -> object:
        if name == "subtests":
            return self._subtests
        if self._folders is None:
            self._folders = OwnFolders(self._original.config._tmp_path_factory, self._label)  # type: ignore[attr-defined]
        return self._folders if name == "tmp_path_factory" else legacy(self._folders)

    def share(self, names: Sequence[str]) -> dict[str, Definition]:
        """Set these fixtures up on this copy; the result is the ``shared`` of the copies that are to use them."""
        return {name: self.item._request._get_active_fixturedef(name) for name in names}

    def set_up(self) -> None:
        """Set up this copy's fixtures."""
        self.item.setup()

    def run(self) -> None:
        """Run the test, as its own class and the plugins that hook into it do.

        :raises BaseException: what the test raised.
        """
        self._subtests.take_over(self.item)
        failure: BaseException | None = None
        try:
            self.item.runtest()
            caught = self.item.__dict__.get("_excinfo")  # unittest: reported to the item instead of raised
            failure = caught[0].value if caught else None
        except BaseException as raised:
            failure = raised
        self._failed = failure is not None or bool(self._subtests.failures)
        self._subtests.raise_failures(failure)

    def tear_down(self) -> None:
        """Undo :meth:`set_up`, in the opposite order, to the end even if something raises.

        :raises BaseException: what a finalizer raised; a group if there were several.
        """
        failed: list[BaseException] = []
        if "_instance" in self.item.__dict__ or not hasattr(self.item, "_explicit_tearDown"):
            self._finalizers.insert(0, self.item.teardown)
        while self._finalizers:
            try:
                self._finalizers.pop()()
            except BaseException as failure:
                failed.append(failure)
        if self._folders is not None and not failed and not self._failed:
            self._folders.remove()
        self._let_go()
        self.item._request = False  # type: ignore[assignment]
        self.item.funcargs = {}
        if failed:
            raise failed[0] if len(failed) == 1 else BaseExceptionGroup("errors during teardown", failed)

    def _let_go(self) -> None:
        """A fixture of wider scope keeps a finalizer for each fixture that used it: without this, of every copy."""
        mine = {id(one) for one in self._copies.values()}
        with self._lock:
            for definition in self.item._request._fixture_defs.values():
                if id(definition) not in mine:
                    definition._finalizers[:] = [
                        one
                        for one in definition._finalizers
                        if id(getattr(getattr(one, "func", None), "__self__", None)) not in mine
                    ]


def is_replaced(definition: Definition) -> bool:
    """Whether each copy has its own in place of pytest's, though it is of wider scope."""
    return definition.func.__module__ in _PYTESTS_OWN and definition.argname in (
        "tmp_path_factory",
        "tmpdir_factory",
        "subtests",
    )


_PYTESTS_OWN = ("_pytest.tmpdir", "_pytest.legacypath", "_pytest.subtests")


def copy_of(stash: pytest.Stash) -> pytest.Stash:
    """A stash with the same entries."""
    result = pytest.Stash()
    result._storage = dict(stash._storage)
    return result


class _CloneSetupState(SetupState):
    """Finalizers of the copy go to its own list, all others where they belong."""

    def __init__(self, real: SetupState, clone: Node, finalizers: list[Callable[[], object]]) -> None:
        self.stack = real.stack
        self._real, self._clone, self._finalizers = real, clone, finalizers

    def is_node_active(self, node: Node) -> bool:
        return node is self._clone or self._real.is_node_active(node)

    def addfinalizer(self, finalizer: Callable[[], object], node: Node) -> None:
        if node is self._clone:
            self._finalizers.append(finalizer)
        else:
            self._real.addfinalizer(finalizer, node)


class _CloneFixtureManager:
    """The session's fixture manager, but a fixture that is first asked for at run time is the copy's own as well."""

    def __init__(self, real: FixtureManager, clone: Clone) -> None:
        self._real, self._clone = real, clone

    def getfixturedefs(self, argname: str, node: Node) -> Sequence[Definition] | None:
        found = self._real.getfixturedefs(argname, node)
        return found and self._clone.own(found)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _LockedRequest(TopRequest):  # type: ignore[misc]  # final to others; see the top of this file
    """A request that sets up one fixture at a time, also when a body asks for it at run time."""

    def __init__(self, item: Function, lock: threading.RLock) -> None:
        super().__init__(item, _ispytest=True)
        self._lock = lock

    def _get_active_fixturedef(self, argname: str) -> FixtureDef[object]:
        with self._lock:
            return super()._get_active_fixturedef(argname)

"""Who used a fixture of wider scope, so that its teardown can accuse them.

A module's fixture whose teardown checks an invariant of the whole run ("every item was processed once") is torn down
with whatever test happens to be last. pytest reports it as an error of that test; the ones to look at are all that used
the fixture since it was set up.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Mapping
from typing import Any

import pytest
from _pytest.fixtures import FixtureDef
from _pytest.python import Function
from _pytest.scope import Scope

from ftcheck.verdicts import Finding, ThreadFailure, Verdict, group_failures

OUR_FOLDERS = (__file__.rpartition("plugin")[0], threading.__file__)


class FixtureUsers:
    """The tests that used each fixture of wider scope, since it was last set up."""

    def __init__(self) -> None:
        self._users: dict[int, list[str]] = {}
        self._finished: dict[int, FixtureDef[Any]] = {}

    def set_up(self, definition: FixtureDef[Any]) -> None:
        """A fixture is set up: its users are counted from here."""
        if definition._scope is not Scope.Function:
            self._users[id(definition)] = []

    def torn_down(self, definition: FixtureDef[Any]) -> None:
        """A fixture was torn down, without or with an exception."""
        if definition._scope is not Scope.Function:
            self._finished[id(definition)] = definition

    def next_phase(self) -> None:
        """What was torn down before this has nothing to do with what fails after it."""
        self._finished.clear()

    def note(self, item: pytest.Item, also: Mapping[int, FixtureDef[Any]]) -> None:
        """A test has run: it used its fixtures, and those that its copies asked for at run time."""
        used = dict(also)
        if isinstance(item, Function) and item._request:
            used |= {id(one): one for one in item._request._fixture_defs.values()}
        for key in used:
            users = self._users.get(key)
            if users is not None and item.nodeid not in users:
                users.append(item.nodeid)

    def accused(self, exception: BaseException) -> list[Finding]:
        """One finding for each leaf of an exception that came out of the teardown of a fixture of wider scope."""
        findings = []
        for leaf in leaves_of(exception):
            codes = {frame.f_code for frame, _ in traceback.walk_tb(leaf.__traceback__)}
            for key, definition in self._finished.items():
                users = self._users.get(key)
                if users and getattr(definition.func, "__code__", None) in codes:
                    findings.append(_finding(definition, tuple(users), leaf))
                    break
        return findings


def _finding(definition: FixtureDef[Any], users: tuple[str, ...], exception: BaseException) -> Finding:
    [(group, _)] = group_failures([ThreadFailure(-1, 0, "teardown", exception)], OUR_FOLDERS)
    return Finding(
        Verdict.FAILURE,
        users,
        f"teardown of {definition.scope} fixture {_name(definition)!r}, which these tests used: {group.headline}",
        phase="teardown",
        groups=(group,),
    )


def _name(definition: FixtureDef[Any]) -> str:
    """The name a user knows it by: pytest wraps ``teardown_module`` and its like in fixtures of its own."""
    for known in ("setup_module", "setup_class", "setUpClass", "setUpModule"):
        if definition.argname.startswith("_") and known in definition.argname:
            return known.replace("setup", "teardown").replace("setUp", "tearDown")
    return definition.argname


def leaves_of(exception: BaseException) -> list[BaseException]:
    """The exceptions of a group, of its groups, and so on; of any other exception itself."""
    if isinstance(exception, BaseExceptionGroup):
        return [leaf for part in exception.exceptions for leaf in leaves_of(part)]
    return [exception]

"""A test item as an engine sees it: a workload that makes a copy of the test for each thread and round."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping

from _pytest.python import Function

from ftcheck.plugin import clones, their_fixtures
from ftcheck.plugin.output import Output
from ftcheck.plugin.parameters import Parameters
from ftcheck.plugin.plain import PlainCopy, plain_test
from ftcheck.settings import Settings


class ItemWorkload:
    """A test item as an engine sees it (:class:`ftcheck.workload.Workload`)."""

    def __init__(
        self, item: Function, settings: Settings, heartbeat: Callable[[int], object], parameters: Parameters, output: Output
    ) -> None:
        self._item, self._settings, self._heartbeat = item, settings, heartbeat
        self._parameters, self._output = parameters, output
        self._lock = threading.RLock()
        self._copies: dict[int, clones.Clone | PlainCopy] = {}
        self._round_clone: clones.Clone | None = None
        self._shared: dict[str, clones.Definition] = {}
        self.used: dict[int, clones.Definition] = {}
        self._stash = clones.copy_of(item.stash)
        self._to_share = [
            name
            for name in clones.per_test_fixtures(item)
            if name in their_fixtures.PER_ROUND or (settings.shares(name) and name not in their_fixtures.PER_THREAD)
        ]
        self._plain = None if parameters.copied or self._to_share else plain_test(item)
        self._body = None if self._plain is None else self._plain.body

    @property
    def repeatable(self) -> bool:
        return self._body is not None

    def open_round(self, round: int) -> None:
        self._heartbeat(round)
        self._output.round = round
        if self._to_share:
            self._round_clone = self._clone(f"r{round}-", {})
            self._round_clone.item.stash[their_fixtures.POSITION] = their_fixtures.position(self._settings, 0, round)
            self._shared = self._round_clone.share(self._to_share)

    def prepare(self, thread: int, round: int) -> Callable[[], object]:
        self._output.begin(thread)
        if self._body is not None:
            return self._body
        copy = self._copies[thread] = self._copy(thread, round)
        copy.set_up()
        return copy.run

    def cleanup(self, thread: int, round: int) -> None:
        copy = self._copies.pop(thread, None)
        if copy is not None:
            if isinstance(copy, clones.Clone):
                self.used |= {id(one): one for one in copy.item._request._fixture_defs.values()}
            copy.tear_down()

    def close_round(self, round: int) -> None:
        clone, self._round_clone, self._shared = self._round_clone, None, {}
        if clone is not None:
            clone.tear_down()

    def _copy(self, thread: int, round: int) -> clones.Clone | PlainCopy:
        if self._plain is not None:
            return PlainCopy(self._plain)
        clone = self._clone(f"t{thread}r{round}-", self._shared)
        clone.item.stash[their_fixtures.POSITION] = their_fixtures.position(self._settings, thread, round)
        return clone

    def _clone(self, label: str, shared: Mapping[str, clones.Definition], alone: bool = False) -> clones.Clone:
        callspec = None if alone else self._parameters.fresh()
        return clones.Clone(self._item, shared, self._stash, self._lock, label, callspec)

    def run_alone(self) -> None:
        """Run the test once, on the calling thread.

        :raises BaseException: what the test raised.
        """
        clone = self._clone("alone-", {}, alone=True)
        clone.item.stash[their_fixtures.POSITION] = their_fixtures.ALONE
        with contextlib.ExitStack() as stack:
            stack.callback(clone.tear_down)
            clone.set_up()
            clone.run()

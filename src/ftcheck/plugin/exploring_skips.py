"""What the copies of an explored test end with, sorted: the engine takes every exception for a bug, and some are none.

A skip or ``pytest.xfail()`` in one interleaving must not end the search before one is found that fails, so the engine does
not see it; it is kept, and holds if nothing failed. Where the test does nothing else but skip there is nothing to explore,
and ``pytest.exit()`` means now: both end the search (:class:`SettledError`). Output is kept as it is for rerun tests, but
only of the first interleaving and of the last one, which is the failing one if there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from _pytest.outcomes import Exit

from ftcheck import _core
from ftcheck.plugin.output import Output
from ftcheck.plugin.subject import ItemWorkload


class SettledError(BaseException):
    """Nothing more is to be run. No :exc:`Exception`: the engine lets it through.

    :ivar outcome: what the test has raised.
    """

    def __init__(self, outcome: BaseException) -> None:
        super().__init__()
        self.outcome = outcome


class SortedOutcomes:
    """The test as the engine sees it (:class:`ftcheck.workload.Workload`).

    :param outcome_in: what an exception says of how a test ended, if it is no failure: a skip, an expected failure, an exit.
    :ivar outcomes: those there were, the first ones first.
    :ivar failures: what bodies of the latest interleaving have raised, with the number of the copy.
    :ivar round: how many interleavings there were, those that were run again to make a schedule small included.
    """

    def __init__(
        self, subject: ItemWorkload, output: Output, outcome_in: Callable[[BaseException], BaseException | None]
    ) -> None:
        self._subject, self._output, self._outcome_in = subject, output, outcome_in
        self._bodies = 0
        self.outcomes: list[BaseException] = []
        self.failures: list[tuple[int, BaseException]] = []
        self.round = 0

    @property
    def repeatable(self) -> bool:
        return self._subject.repeatable

    def open_round(self, round: int) -> None:
        leaving = [one for one in self.outcomes if isinstance(one, Exit)]
        if leaving or (self.round == _ENOUGH and len(self.outcomes) >= self._bodies):
            raise SettledError((leaving or self.outcomes)[0])
        self._output.close_round(())
        self.round, self.failures = round, []
        self._subject.open_round(round)

    def prepare(self, thread: int, round: int) -> Callable[[], object]:
        body = self._subject.prepare(thread, round)
        self._bodies += 1

        def run() -> None:
            __tracebackhide__ = True
            try:
                body()
            except _core.Abandoned:
                raise  # the run is given up
            except BaseException as raised:
                outcome = self._outcome_in(raised)
                if outcome is None:
                    self.failures.append((thread, raised))
                    raise
                self.outcomes.append(outcome)

        return run

    def cleanup(self, thread: int, round: int) -> None:
        self._subject.cleanup(thread, round)

    def close_round(self, round: int) -> None:
        self._subject.close_round(round)

    def in_order(self) -> Sequence[BaseException]:
        """The outcomes, when all is over: an exit first."""
        return sorted(self.outcomes, key=lambda one: not isinstance(one, Exit))

    def keep_output(self, failed: bool) -> int:
        """Keep the output of the latest interleaving.

        :returns: which one is to be shown: the latest if it failed, else the first.
        """
        self._output.close_round({self.round} if failed else ())
        return self.round if failed else 1


_ENOUGH = 20
"""Interleavings after which a test that has done nothing but skip will not do anything else."""

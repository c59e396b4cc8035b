"""What the copies of an explored test end with, sorted: the engine takes every exception for a bug, and some are none.

A skip or ``pytest.xfail()`` in one interleaving must not end the search before one is found that fails, so the engine does
not see it; it is kept, and holds if nothing failed. With ``unittest.expectedFailure`` it is the other way round: what holds
raises ("Unexpected success"), and that counts only if nothing has failed in any interleaving.

Where the test does nothing else but skip there is nothing to explore,
and ``pytest.exit()`` means now: both end the search (:class:`SettledError`). Output is kept as it is for rerun tests, but
only of the first interleaving and of the last one, which is the failing one if there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from _pytest.outcomes import Exit, Failed

from ftcheck import _core
from ftcheck.plugin.exploring_alone import Alone
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

    The engine opens each round in a context of its own, of which every copy has a copy: what is set there is there in all
    of the round, and gone with it.

    :param outcome_in: what an exception says of how a test ended, if it is no failure: a skip, an expected failure, an exit.
    :param alone: sees whether it has to run alone; then nothing else counts.
    :param expects_failure: it is marked with ``unittest.expectedFailure``.
    :ivar outcomes: those there were, the first ones first.
    :ivar failures: what bodies of the latest interleaving have raised, with the number of the copy.
    :ivar round: how many interleavings there were, those that were run again to make a schedule small included.
    """

    def __init__(
        self,
        subject: ItemWorkload,
        output: Output,
        outcome_in: Callable[[BaseException], BaseException | None],
        alone: Alone,
        expects_failure: bool = False,
    ) -> None:
        self._subject, self._output, self._outcome_in, self._alone = subject, output, outcome_in, alone
        self._expects_failure = expects_failure
        self._bodies = 0
        self._held: list[BaseException] = []
        self._leaving: list[Exit] = []
        self.outcomes: list[BaseException] = []
        self.failures: list[tuple[int, BaseException]] = []
        self.round = 0

    @property
    def repeatable(self) -> bool:
        return self._subject.repeatable

    def open_round(self, round: int) -> None:
        self._alone.begin()
        self._alone.copies = 1
        if self._leaving or (self.round == _ENOUGH and len(self.outcomes) >= self._bodies):
            raise SettledError((self._leaving or self.outcomes)[0])
        self._output.close_round(())
        self.round, self.failures = round, []
        self._alone.watch()
        self._subject.open_round(round)

    def prepare(self, thread: int, round: int) -> Callable[[], object]:
        if thread:
            self._alone.copies = max(self._alone.copies, thread + 1)
        body = self._subject.prepare(thread, round)
        self._bodies += 1

        def run() -> None:
            __tracebackhide__ = True
            try:
                body()
            except _core.Abandoned:
                raise  # the run is given up
            except BaseException as raised:
                if self._alone.reason:
                    return
                outcome = self._outcome_in(raised)
                if outcome is None and self._expects_failure and isinstance(raised, Failed):
                    self._held.append(raised)
                    return
                if outcome is None:
                    self.failures.append((thread, raised))
                    raise
                self.outcomes.append(outcome)
                if isinstance(outcome, Exit):
                    self._leaving.append(outcome)

        return run

    def cleanup(self, thread: int, round: int) -> None:
        self._subject.cleanup(thread, round)

    def close_round(self, round: int) -> None:
        self._subject.close_round(round)

    def in_order(self) -> Sequence[BaseException]:
        """The outcomes, when all is over: an exit first."""
        return sorted(self.outcomes or self._held[:1], key=lambda one: not isinstance(one, Exit))

    def keep_output(self, failed: bool) -> int:
        """Keep the output of the latest interleaving.

        :returns: which one is to be shown: the latest if it failed, else the first.
        """
        self._output.close_round({self.round} if failed else ())
        return self.round if failed else 1


_ENOUGH = 20
"""Interleavings after which a test that has done nothing but skip will not do anything else."""

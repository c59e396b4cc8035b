"""One example of a ``@given`` test, though the test is run many times in it: what Hypothesis is to see of that, once.

``note()`` is heard from the run that is reported, ``target()`` has the best score of all runs (Hypothesis takes one for each
label), ``event()`` needs no help. Interactive draws are made in the first run and given again, as copies, to the others: all
runs of an example see the same data. ``assume()`` that fails in the first run rejects the example; in a later one, that
interleaving. In copies of a test, on threads that Hypothesis knows nothing of, all these work as well: one thread runs at a
time, so that the example's own context can be lent to them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import errors, reporting
from hypothesis import strategies as st
from hypothesis.control import _current_build_context, current_build_context

_SEEDS = 2**32
_UNCHANGING = frozenset({int, str, bytes, float, bool, complex, type(None)})
"""What needs no copy."""


class OneExample:
    """The example that Hypothesis is running on this thread.

    :param otherwise: the seed, where the example has none: Hypothesis draws nothing for an ``@example()``.
    """

    def __init__(self, otherwise: int) -> None:
        self._context = current_build_context()
        self._data = self._context.data
        self._data.target_observations = _Best(self._data.target_observations)
        self._drawn: list[Any] = []
        self._next = 0
        self._drawing: list[object] = []
        self._notes: list[object] = []
        self._stopped: BaseException | None = None
        self._rejected: BaseException | None = None
        self.runs, self.rejections = 0, 0
        self.seed = self._seed(otherwise)

    def _seed(self, otherwise: int) -> int:
        """A seed that belongs to the example: Hypothesis draws it, stores it, and gives it again."""
        if getattr(self._data, "max_choices", None) == 0:  # an @example(): nothing can be drawn
            return otherwise
        try:
            drawn: int = self._context.data.draw(st.integers(0, _SEEDS - 1))
        except errors.StopTest:
            if self._context.is_final:  # a @reproduce_failure() of a run without us
                return otherwise
            raise
        return drawn

    def before_run(self) -> None:
        """Called before each run.

        :raises BaseException: Hypothesis has ended the example, or the test has rejected it at once.
        """
        if self._stopped is not None:
            raise self._stopped
        if self.runs == 1 and self._rejected is not None:
            raise self._rejected
        self.runs += 1
        self._next = 0
        self._notes.clear()

    @property
    def interactive(self) -> str:
        """What was drawn in the test itself, as text."""
        return repr(self._drawn) if self._drawn else ""

    def call(self, test: Callable[[], object]) -> object:
        """Run the test, on whichever thread."""
        __tracebackhide__ = True
        context, reporter = _current_build_context.value, reporting.reporter.value
        _current_build_context.value, reporting.reporter.value = self._context, self._notes.append
        try:
            return test()
        except errors.StopTest as stopped:
            self._stopped = stopped
        except errors.UnsatisfiedAssumption as rejected:
            self._rejected = rejected
            self.rejections += 1
        finally:
            _current_build_context.value, reporting.reporter.value = context, reporter
        return None

    def end(self) -> None:
        """Give Hypothesis what it is to see of all this.

        :raises BaseException: the example was ended or rejected in every run.
        """
        self._data.target_observations = dict(self._data.target_observations)
        for one in [*self._drawing, *self._notes]:
            reporting.report(str(one))
        if self._stopped is not None:
            raise self._stopped
        if self._rejected is not None and self.rejections == self.runs:
            raise self._rejected

    def own(self, value: Any) -> Any:
        """For one run: a copy of what was drawn, or what draws."""
        if type(value) in _UNCHANGING:
            return value
        if type(value).__name__ == "DataObject" and type(value).__module__.startswith("hypothesis."):
            return _Draws(self, value)
        try:
            return copy.deepcopy(value)
        except Exception:
            return value  # what cannot be copied all runs have to share

    def draw(self, data: Any, strategy: Any, label: Any) -> Any:
        """An interactive draw: of this example the n-th, in whichever run."""
        if self._next == len(self._drawn):
            with reporting.with_reporter(self._drawing.append):
                self._drawn.append(data.draw(strategy, label))
        self._next += 1
        return self.own(self._drawn[self._next - 1])


class _Best(dict[str, Any]):
    """Scores by label, of which the best is kept, though Hypothesis takes none twice."""

    def __contains__(self, label: object) -> bool:
        return False

    def __setitem__(self, label: str, score: Any) -> None:
        super().__setitem__(label, max(score, self.get(label, score)))


class _Draws:
    """Stands in for what ``st.data()`` gives."""

    def __init__(self, example: OneExample, data: Any) -> None:
        self._example, self._data = example, data

    def __repr__(self) -> str:
        return repr(self._data)

    def draw(self, strategy: Any, label: Any = None) -> Any:
        """As :meth:`hypothesis.strategies.DataObject.draw`."""
        return self._example.draw(self._data, strategy, label)

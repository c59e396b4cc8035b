"""``@given`` tests, explored: Hypothesis draws and shrinks the data, each example runs under a batch of schedules.

Hypothesis keeps the body of a ``@given`` test in ``test.hypothesis.inner_test``, which plugins may replace (that is how
pytest-asyncio and others work). Ours calls the real one under control. Whatever the body is given and may change is copied
for each run, so that all runs of an example see the same data; fixtures are passed as they are.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from _pytest.python import Function

from ftcheck import composing

if TYPE_CHECKING:
    from ftcheck.explore.examples import Examples

_SEEDS = 2**32


def is_given(item: Function) -> bool:
    """Whether this is a ``@given`` test."""
    return hasattr(_function(item), "hypothesis") and hasattr(_function(item), "_hypothesis_internal_use_settings")


def _function(item: Function) -> Any:
    return getattr(item.obj, "__func__", item.obj)


@contextmanager
def replaced_body(item: Function, examples: Examples, seed: int) -> Iterator[None]:
    """While this is entered, calling the test explores the interleavings of each example.

    :param seed: of the schedules, where Hypothesis gives none.
    """
    from hypothesis import HealthCheck, Phase, settings

    test = _function(item)
    inner, before = test.hypothesis.inner_test, test._hypothesis_internal_use_settings
    fixtures = frozenset(item._fixtureinfo.argnames)

    @functools.wraps(inner)
    def explored(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True

        def body(number: int) -> object:
            drawn = {name: value if name in fixtures else _own(value) for name, value in kwargs.items()}
            return inner(*(args[:1] if args else ()), *map(_own, args[1:]), **drawn)

        examples.run(body, _drawn_seed(seed))

    test.hypothesis.inner_test = explored
    test._hypothesis_internal_use_settings = settings(
        before,
        deadline=None,
        suppress_health_check={*before.suppress_health_check, HealthCheck.too_slow, HealthCheck.differing_executors},
        phases=[phase for phase in before.phases if phase is not Phase.explain],
    )
    try:
        with composing.kept(None):
            yield
    finally:
        test.hypothesis.inner_test = inner
        test._hypothesis_internal_use_settings = before


def _own(value: object) -> object:
    try:
        return copy.deepcopy(value)
    except Exception:
        return value  # what cannot be copied all runs have to share


def _drawn_seed(otherwise: int) -> int:
    """A seed that belongs to the example: Hypothesis draws it, stores it, and gives it again."""
    try:
        from hypothesis import strategies
        from hypothesis.control import current_build_context

        draw: Callable[[Any], int] = current_build_context().data.draw
        return draw(strategies.integers(0, _SEEDS - 1))
    except ImportError, AttributeError:
        return otherwise

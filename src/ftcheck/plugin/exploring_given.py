"""``@given`` tests, explored: Hypothesis draws and shrinks the data, each example runs under a batch of schedules.

Hypothesis keeps the body of a ``@given`` test in ``test.hypothesis.inner_test``, which plugins may replace (that is how
pytest-asyncio and others work). Ours calls the real one under control. Whatever the body is given and may change is copied
for each run, so that all runs of an example see the same data; fixtures are passed as they are.

A replay token of such a test carries the data as well, in Hypothesis' own writing: that of ``@reproduce_failure``, which is
how it is brought back. Where there is none (an ``@example()``, or too much of it), the explicit examples and those of
Hypothesis' database are tried.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from _pytest.python import Function

from ftcheck import composing

if TYPE_CHECKING:
    from ftcheck.explore.engine import Found
    from ftcheck.explore.examples import Examples

_BLOB = re.compile(r"\n?You can reproduce this test case by .*@reproduce_failure\('([^']+)', b'([^']+)'\).*", re.DOTALL)
_MOST_DATA = 2_000
"""Characters of data in a token: a command line that people copy."""


def is_given(item: Function) -> bool:
    """Whether this is a ``@given`` test."""
    return hasattr(_function(item), "hypothesis") and hasattr(_function(item), "_hypothesis_internal_use_settings")


def _function(item: Function) -> Any:
    return getattr(item.obj, "__func__", item.obj)


@contextmanager
def replaced_body(
    item: Function, examples: Examples, seed: int, replay: bool, data: tuple[str, str] | None = None
) -> Iterator[None]:
    """While this is entered, calling the test explores the interleavings of each example.

    :param seed: of the schedules, where Hypothesis gives none.
    :param replay: one interleaving is to be run again: no new examples are generated.
    :param data: the version of Hypothesis and the one example to run, as it writes it.
    """
    from hypothesis import HealthCheck, Phase, reproduce_failure, settings

    from ftcheck.explore.examples import NotAgainError
    from ftcheck.plugin.exploring_example import OneExample

    test = _function(item)
    inner, before = test.hypothesis.inner_test, test._hypothesis_internal_use_settings
    reproducing = getattr(test, "_hypothesis_internal_use_reproduce_failure", None)
    fixtures = frozenset(item._fixtureinfo.argnames)

    @functools.wraps(inner)
    def explored(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        example = OneExample(seed)

        def body(number: int) -> object:
            __tracebackhide__ = True
            drawn = {name: value if name in fixtures else example.own(value) for name, value in kwargs.items()}
            return example.call(functools.partial(inner, *args[:1], *map(example.own, args[1:]), **drawn))

        def data() -> str:
            return f"{_shown(kwargs, fixtures)}{example.interactive}"

        try:
            examples.run(body, example.seed, data, example.before_run)
        except NotAgainError as error:
            if error.found.run.failure is not None:
                error.found.run.failure.add_note(f"the data, which is not made small: {data()}")
            raise
        finally:
            if example.runs and example.rejections == example.runs:
                examples.not_counted()
            example.end()

    without = (Phase.explain,) if not replay or data is not None else (Phase.explain, Phase.generate, Phase.shrink)
    test.hypothesis.inner_test = explored
    test._hypothesis_internal_use_settings = settings(
        before,
        deadline=None,
        suppress_health_check={*before.suppress_health_check, HealthCheck.too_slow, HealthCheck.differing_executors},
        phases=[phase for phase in before.phases if phase not in without],
        report_multiple_bugs=False,  # one interleaving is shown, and it belongs to one example
        print_blob=True,
    )
    if data is not None:
        reproduce_failure(data[0], data[1].encode("ascii"))(test)
    try:
        with composing.kept(None):
            yield
    finally:
        test.hypothesis.inner_test = inner
        test._hypothesis_internal_use_settings = before
        test._hypothesis_internal_use_reproduce_failure = reproducing


def data_of(item: Function, failure: BaseException) -> tuple[str, str] | None:
    """The failing example as Hypothesis writes it, for the token; its own note is left where it was asked for."""
    notes: list[str] = getattr(failure, "__notes__", [])
    for note in notes:
        if found := _BLOB.fullmatch(note):
            if not _function(item)._hypothesis_internal_use_settings.print_blob:
                notes.remove(note)
            return (found[1], found[2]) if len(found[2]) <= _MOST_DATA else None
    return None


def spread_notes(failure: BaseException) -> None:
    """What Hypothesis has noted on a group (the data, above all), on each failure in it: these are shown, one by one."""
    if isinstance(failure, BaseExceptionGroup):
        for inside in failure.exceptions:
            for note in getattr(failure, "__notes__", ()):
                if note not in getattr(inside, "__notes__", ()):
                    inside.add_note(note)
            spread_notes(inside)


def why_no_data(data: tuple[str, str] | None) -> str:
    """Why this data cannot be brought back here; empty if it can."""
    from hypothesis import __version__

    if data is not None and data[0] != __version__:
        return f"its data was written by Hypothesis {data[0]}, and this is {__version__}"
    return ""


def came_back(examples: Examples, failure: BaseException | None, data: tuple[str, str] | None) -> BaseException | None:
    """What failed in a replay; None if it passed.

    :raises TokenError: nothing fits: neither the code, nor the data, or there is no data.
    """
    from hypothesis import errors

    from ftcheck.explore.token import TokenError

    if examples.found is not None:
        return failure
    nothing = (errors.DidNotReproduce, unittest.SkipTest)  # the latter where there is no example at all
    if failure is not None and not isinstance(failure, nothing):
        return failure
    if examples.explored(failed=False) is not None:
        return None
    if examples.tried:
        what = examples.stale if data is not None else f"{examples.stale}, or the data that it failed with did not come up"
    elif data is not None:
        what = "the strategies of the test draw other data than when it was made"
    else:
        what = "it has no data in it, and neither an @example() nor Hypothesis' database had any for this test"
    raise TokenError(f"the replay token does not fit: {what}. Explore again for a new one")


def flaky(examples: Examples, failure: BaseException | None) -> Found | None:
    """What was found, where Hypothesis says that the test is flaky: it has failed, and not again."""
    from hypothesis import errors

    if not isinstance(failure, errors.Flaky) or examples.found is None:
        return None
    said = str(failure).partition("\n")[0]
    differs = f"with the same data it went another way, which Hypothesis saw as: {said}"
    return dataclasses.replace(examples.found, token=None, interleaving=None, minimised=None, differs=differs)


def _shown(values: dict[str, Any], fixtures: frozenset[str]) -> str:
    try:
        return ", ".join(f"{name}={value!r}" for name, value in values.items() if name not in fixtures)
    except Exception:
        return ""

"""Fixtures of pytest that a copy of a test must not share with the others: temporary folders and subtests.

``tmp_path_factory`` belongs to the session. Two threads that ask it for the folder ``"data"`` get into each other's way,
and so do two rounds. A copy has a factory of its own, in a folder of its own, which goes away with it unless
something failed there.

``subtests`` and ``TestCase.subTest`` report every subtest to pytest at once, under the node id of the test. From eight
threads and two hundred rounds that would be thousands of reports; here a failing subtest is a failure of its thread,
and the test has one verdict.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.legacypath import TempdirFactory
from _pytest.python import Function
from _pytest.subtests import Subtests
from _pytest.tmpdir import TempPathFactory
from _pytest.unittest import TestCaseFunction


class OwnFolders(TempPathFactory):  # type: ignore[misc]  # final to others; a copy's own is one nevertheless
    """The ``tmp_path_factory`` of one copy of a test.

    :param real: the session's.
    :param name: how the folder's name begins.
    """

    def __init__(self, real: TempPathFactory, name: str) -> None:
        super().__init__(None, real._retention_count, real._retention_policy, real._trace, _ispytest=True)
        self._real, self._name = real, name

    def getbasetemp(self) -> Path:
        """The folder of this copy, made when it is first asked for."""
        if self._basetemp is None:
            self._basetemp = self._real.mktemp(self._name, numbered=True)
        return self._basetemp

    def remove(self) -> None:
        """Remove the folder, if there is one."""
        if self._basetemp is not None:
            shutil.rmtree(self._basetemp, ignore_errors=True)


class SubtestFailures(BaseExceptionGroup[BaseException]):
    """The failing subtests of one run of a test."""


class OwnSubtests(Subtests):
    """The ``subtests`` of one copy of a test: collects what fails."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []

    @contextlib.contextmanager
    def test(self, msg: str | None = None, **kwargs: Any) -> Iterator[None]:  # type: ignore[override]
        """A subtest; a failure is kept, and the test goes on."""
        try:
            yield
        except pytest.skip.Exception, pytest.xfail.Exception:
            pass
        except (Exception, pytest.fail.Exception) as failure:
            self.add(failure, msg, kwargs)

    def add(self, failure: BaseException, msg: object, kwargs: dict[str, Any]) -> None:
        """Note a failing subtest."""
        words = [f"[{msg}]"] if msg is not None else []
        words += [f"({', '.join(f'{name}={value!r}' for name, value in kwargs.items())})"] if kwargs else []
        failure.add_note(f"in subtest {' '.join(words)}".rstrip())
        self.failures.append(failure)

    def raise_failures(self, also: BaseException | None) -> None:
        """Raise what was collected.

        :param also: what ended the test itself.
        :raises BaseException: that, or a :class:`SubtestFailures` with it as the last of several.
        """
        failures = [*self.failures, *([also] if also is not None else [])]
        if self.failures:
            raise SubtestFailures(f"{len(self.failures)} subtests failed", failures)
        if also is not None:
            raise also

    def take_over(self, item: Function) -> None:
        """Be told of the subtests of a ``TestCase``, in the place of pytest's own reporting."""
        if isinstance(item, TestCaseFunction):
            item.addSubTest = self._from_unittest  # type: ignore[method-assign]
            item.addSkip = _not_of_a_subtest(item.addSkip)  # type: ignore[method-assign]

    def _from_unittest(self, test_case: object, test: Any, exc_info: Any) -> None:
        failure = exc_info[1] if isinstance(exc_info, tuple) else getattr(exc_info, "value", None)
        if failure is not None:
            from unittest.case import _subtest_msg_sentinel  # type: ignore[attr-defined]

            self.add(failure, None if test._message is _subtest_msg_sentinel else test._message, dict(test.params))


def _not_of_a_subtest(skip: Callable[..., None]) -> Callable[..., None]:
    def add_skip(testcase: Any, reason: str, **kwargs: Any) -> None:
        if not hasattr(testcase, "test_case"):  # unittest.case._SubTest: the rest of the test goes on
            skip(testcase, reason, **kwargs)

    return add_skip


def legacy(factory: TempPathFactory) -> TempdirFactory:
    """``tmpdir_factory``, which is the same for ``py.path``."""
    return TempdirFactory(factory, _ispytest=True)

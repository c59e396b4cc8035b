"""What Hypothesis has to say about the search of a plain test: its profile, its seed, its example database.

A ``@given`` test is Hypothesis' own. Of a plain test it knows nothing; but where it is installed, one set of words is enough
for both. The loaded profile's ``max_examples`` scales the number of schedules, ``derandomize`` makes the seed a digest of
the test, ``--hypothesis-seed`` seeds the search, and what failed is kept in ``settings().database``, to be tried first in
the next run. Only the public interface of :class:`hypothesis.database.ExampleDatabase` is used, under keys that no test of
Hypothesis has. As there, a run with a seed of its own leaves the database alone: it is to repeat a run.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.python import Function

from ftcheck.settings import Settings

if TYPE_CHECKING:
    from ftcheck.explore.token import Token

PER_EXAMPLE = 4
"""Schedules for each of the profile's ``max_examples``."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What the loaded Hypothesis profile says; where Hypothesis is not installed, that nothing is said.

    :param database: an ``ExampleDatabase``, or None.
    :param max_examples: None: it is not installed.
    """

    database: Any = None
    derandomize: bool = False
    max_examples: int | None = None


def profile(load: bool = True) -> Profile:
    """The profile that is loaded now.

    :param load: import Hypothesis for it; False: only look if somebody else has.
    """
    if not load and "hypothesis" not in sys.modules:
        return Profile()
    try:
        from hypothesis import settings
    except ImportError:
        return Profile()
    now = settings()
    return Profile(now.database, now.derandomize, now.max_examples)


def hypothesis_seed(config: pytest.Config) -> str | None:
    """The text behind ``--hypothesis-seed``, if it was given."""
    text = config.getoption("--hypothesis-seed", None)
    return None if text is None else str(text)


def _is_repeated(config: pytest.Config) -> bool:
    """Somebody has said which seed."""
    return config.getoption("ftcheck_seed", None) is not None or hypothesis_seed(config) is not None


def schedules(config: pytest.Config, chosen: Settings, known: Profile, item: pytest.Item | None = None) -> int:
    """How many schedules a test gets: what somebody has set, or else what the profile makes of it."""
    marks = item.iter_markers("ftcheck") if item is not None else ()
    asked = config.getoption("ftcheck_schedules", None) or config.getini("ftcheck_schedules")
    if known.max_examples is None or asked or any("schedules" in mark.kwargs for mark in marks):
        return chosen.schedules
    return PER_EXAMPLE * known.max_examples


def seed(item: Function, otherwise: int, known: Profile) -> int:
    """The seed of a test's search: under ``derandomize`` one that changes with the test, its Python and ftcheck only."""
    config = item.config
    if not known.derandomize or _is_repeated(config):
        return otherwise
    from ftcheck.explore.token import digest

    code = getattr(getattr(item.obj, "__func__", item.obj), "__code__", None)
    return zlib.crc32(f"{_versions()}/{item.nodeid}/{digest([code]) if code is not None else ''}".encode())


class Failures:
    """The failing interleavings of one test, as far as the database has them."""

    def __init__(self, item: Function, known: Profile) -> None:
        self._database = None if _is_repeated(item.config) else known.database
        self._key = b"ftcheck." + hashlib.sha256(f"{_versions()}/{item.nodeid}".encode()).digest()

    def tokens(self) -> Sequence[Token]:
        """Those there are, the shortest first. What is no token is deleted."""
        from ftcheck.explore.token import Token, TokenError

        found: list[Token] = []
        for value in sorted(self._values(), key=lambda value: (len(value), value)):
            try:
                found.append(Token.parse(value.decode("ascii")))
            except TokenError, UnicodeDecodeError:
                self._call("delete", value)
        return found

    def keep(self, token: Token) -> None:
        """It failed."""
        self._call("save", str(token).encode("ascii"))

    def drop(self, token: Token) -> None:
        """It does not fail any more, or belongs to code that has changed."""
        self._call("delete", str(token).encode("ascii"))

    def _values(self) -> list[bytes]:
        if self._database is None:
            return []
        with contextlib.suppress(OSError):
            return list(self._database.fetch(self._key))
        return []

    def _call(self, method: str, value: bytes) -> None:
        if self._database is not None:
            with contextlib.suppress(OSError):
                getattr(self._database, method)(self._key, value)


def _versions() -> str:
    from ftcheck import __version__
    from ftcheck.explore.token import python_tag

    return f"{__version__}/{python_tag()}"

"""Replay tokens: one interleaving of one test, as text that can be typed behind ``--ftcheck-replay=``.

A token says which schedule, of how many copies of the test, and what it was found with: the version of Python and a digest
of the code whose instructions the schedule counts. Another version, or changed code, counts differently, so such a token is
refused with what has changed, and never followed blindly. Nothing in it is executed or unpickled: it is read by one regular
expression.
"""

from __future__ import annotations

import hashlib
import re
import sys
import sysconfig
import types
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ftcheck.explore.schedule import Schedule
from ftcheck.explore.sites import Granularity

_VERSION = 1
_LETTERS = {Granularity.ACCESSES: "a", Granularity.INSTRUCTIONS: "i", Granularity.LINES: "l"}
_TOKEN = re.compile(
    r"ft(\d{1,4})\.(\d{2,4}[a-z]?)\.([ail])\.(\d{1,2})\.([0-9a-f]{8})~([0-9a-z.\-]*)"
    r"(?:~(\d[0-9a-z.]*)~([A-Za-z0-9+/=]+))?",
    re.ASCII,
)


class TokenError(ValueError):
    """It is no token, or it does not fit. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Token:
    """One interleaving.

    :param copies: how many copies of the test ran at once; 0: the test brings its own threads.
    :param python: version and build, such as ``314t``.
    :param code: digest of the code in scope.
    :param data: of a ``@given`` test: the version of Hypothesis, and the failing example as it writes it; or None.
    """

    schedule: Schedule
    copies: int
    granularity: Granularity
    python: str
    code: str
    data: tuple[str, str] | None = None

    def __str__(self) -> str:
        letter = _LETTERS[self.granularity]
        data = "".join(f"~{part}" for part in self.data or ())
        return f"ft{_VERSION}.{self.python}.{letter}.{self.copies}.{self.code}~{self.schedule}{data}"

    def with_data(self, data: tuple[str, str] | None) -> Token:
        """The same, with the example in it."""
        return replace(self, data=data)

    @classmethod
    def parse(cls, text: str) -> Token:
        """Read a token.

        :raises TokenError: it is none.
        """
        found = _TOKEN.fullmatch(text.strip())
        if found is None:
            raise TokenError(
                f"{_short(text)} is no replay token. Copy the whole of it from the line 'run it again' of a report, such as "
                "ft1.314t.a.2.0123abcd~1p12-2"
            )
        version, python, letter, copies, code, schedule, hypothesis, data = found.groups()
        if int(version) != _VERSION:
            raise TokenError(
                f"{_short(text)} has format {version}, and this version of ftcheck reads format {_VERSION}: explore again"
            )
        try:
            read = Schedule.parse(schedule)
        except ValueError as error:
            raise TokenError(f"{_short(text)} is no replay token: {error}") from None
        granularity = next(one for one, known in _LETTERS.items() if known == letter)
        return cls(read, int(copies), granularity, python, code, (hypothesis, data) if data else None)

    def changed(self, code: str) -> str:
        """What is not as it was when this token was made; empty if everything is.

        :param code: the digest of the code in scope now.
        """
        if self.python != python_tag():
            return f"it was made with Python {_readable(self.python)}, and this is {_readable(python_tag())}"
        if self.code != code:
            return "the code under test has changed since it was made"
        return ""


def python_tag() -> str:
    """``314t``: the version whose bytecode the schedules count, and whether it is free-threaded."""
    return f"{sys.version_info.major}{sys.version_info.minor}{'t' if sysconfig.get_config_var('Py_GIL_DISABLED') else ''}"


def _readable(tag: str) -> str:
    return f"{tag[0]}.{tag[1:]}"


def digest(codes: Iterable[types.CodeType]) -> str:
    """Eight hexadecimal digits for the instructions, names and constants of some code objects, in any order."""
    parts = sorted(_content(code) for code in codes)
    return hashlib.sha256("\n".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:8]


def digest_of(operations: Iterable[tuple[Any, ...]]) -> str:
    """The same for the code that a run's log of operations names: all that took part in it."""
    return digest({operation[9] for operation in operations if operation[9] is not None})


def _content(code: types.CodeType) -> str:
    constants = [repr(one) for one in code.co_consts if isinstance(one, (int, str, bytes, float, type(None)))]
    return f"{code.co_qualname} {code.co_code.hex()} {code.co_names} {code.co_varnames} {constants}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")

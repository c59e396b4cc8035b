"""Replay tokens: one interleaving of one test, as text that can be typed behind ``--ftcheck-replay=``.

A token says which schedule, of how many copies of the test, and what it was found with: the version of Python and a digest
of the code whose instructions the schedule counts. Another version, or changed code, counts differently, so such a token is
refused with what has changed, and never followed blindly. Two more things are there to explain a replay that goes another
way: how strings were hashed, which decides the order of sets, and where in the code each decision was made. Nothing in it
is executed or unpickled: it is read by one regular expression.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import sys
import sysconfig
import types
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ftcheck.explore import native
from ftcheck.explore.schedule import Schedule
from ftcheck.explore.sites import Granularity

_VERSION = 2
"""Format 1 had neither the hashes nor the places, and is read as well."""
_LETTERS = {Granularity.ACCESSES: "a", Granularity.INSTRUCTIONS: "i", Granularity.LINES: "l"}
_TOKEN = re.compile(
    r"ft(\d{1,4})\.(\d{2,4}[a-z]?)\.([ail])\.(\d{1,2})\.([0-9a-f]{8})(?:\.(\d{1,10}|x))?"
    r"~([0-9a-z.\-]*)(?:~((?:[0-9a-f]{6})*))?(?:~(\d[0-9a-z.]*)~([A-Za-z0-9+/=]+))?",
    re.ASCII,
)
_PLACE = 6
"""Digits of a place."""
_BY_CHANCE = "x"
CODE_CHANGED = "the code under test has changed since it was made"


class TokenError(ValueError):
    """It is no token, or it does not fit. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Token:
    """One interleaving.

    :param copies: how many copies of the test ran at once; 0: the test brings its own threads.
    :param python: version and build, such as ``314t``.
    :param code: digest of the code in scope.
    :param hashes: how strings were hashed (:func:`hash_tag`); empty: not known.
    :param places: of each decision (:func:`ftcheck.explore.divergence.place_of`); empty: not known.
    :param data: of a ``@given`` test: the version of Hypothesis, and the failing example as it writes it; or None.
    """

    schedule: Schedule
    copies: int
    granularity: Granularity
    python: str
    code: str
    hashes: str = ""
    places: tuple[str, ...] = ()
    data: tuple[str, str] | None = None

    def __str__(self) -> str:
        head = f"{self.python}.{_LETTERS[self.granularity]}.{self.copies}.{self.code}"
        data = "".join(f"~{part}" for part in self.data or ())
        if not self.hashes:
            return f"ft1.{head}~{self.schedule}{data}"
        return f"ft{_VERSION}.{head}.{self.hashes}~{self.schedule}~{''.join(self.places)}{data}"

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
                "ft2.314t.a.2.0123abcd.x~1p12-2~07c1d2"
            )
        version, python, letter, copies, code, hashes, schedule, places, hypothesis, data = found.groups()
        if int(version) not in (1, _VERSION):
            raise TokenError(
                f"{_short(text)} has format {version}, and this version of ftcheck reads formats 1 and {_VERSION}: "
                "explore again"
            )
        try:
            read = Schedule.parse(schedule)
        except ValueError as error:
            raise TokenError(f"{_short(text)} is no replay token: {error}") from None
        whole = (hashes is not None) == (places is not None) == (int(version) == _VERSION)
        if not whole or len(places or "") not in (0, _PLACE * len(read.choices)):
            raise TokenError(f"{_short(text)} is no replay token: a part of it is missing. Copy the whole of it")
        granularity = next(one for one, known in _LETTERS.items() if known == letter)
        apart = tuple("".join(digits) for digits in itertools.batched(places or "", _PLACE, strict=True))
        example = (hypothesis, data) if data else None
        return cls(read, int(copies), granularity, python, code, hashes or "", apart, example)

    def changed(self, code: str) -> str:
        """What is not as it was when this token was made; empty if everything is.

        :param code: the digest of the code in scope now.
        """
        if self.python != python_tag():
            return f"it was made with Python {_readable(self.python)}, and this is {_readable(python_tag())}"
        if self.code != code:
            return CODE_CHANGED
        return ""

    @property
    def hashed(self) -> str:
        """What to do if strings may be hashed otherwise than where the token was made; empty if they are not."""
        if not self.hashes or (self.hashes == hash_tag() != _BY_CHANCE):
            return ""
        if self.hashes == _BY_CHANCE:
            return (
                "Sets of strings may have had another order (PYTHONHASHSEED was not set): if that matters to the test, "
                "explore and replay with PYTHONHASHSEED=0"
            )
        return f"Sets of strings have another order here: it was found with PYTHONHASHSEED={self.hashes}, so set that"


def hash_tag() -> str:
    """How this process hashes strings: ``PYTHONHASHSEED``, or ``x`` where the seed comes from chance."""
    seed = os.environ.get("PYTHONHASHSEED", "")
    known = seed.isdecimal() and seed.isascii() and len(seed) <= 10 and not sys.flags.ignore_environment
    return seed if known else _BY_CHANCE


def python_tag() -> str:
    """``314t``: the version whose bytecode the schedules count, and whether it is free-threaded."""
    return f"{sys.version_info.major}{sys.version_info.minor}{'t' if sysconfig.get_config_var('Py_GIL_DISABLED') else ''}"


def _readable(tag: str) -> str:
    return f"{tag[0]}.{tag[1:]}"


def digest(codes: Iterable[types.CodeType]) -> str:
    """Eight hexadecimal digits for the instructions, names and constants of some code objects, in any order."""
    return _digest([_content(code) for code in codes])


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(parts)).encode("utf-8", "backslashreplace")).hexdigest()[:8]


def digest_of(operations: Iterable[tuple[Any, ...]]) -> str:
    """The same for the code that a run's log of operations names: all that took part in it, extensions included."""
    codes = {operation[9] for operation in operations if operation[9] is not None}
    places = {native.place(operation[10]) for operation in operations if operation[9] is None}
    builds = [f"{os.path.basename(at[0])} {native.build_of(at[0])}" for at in places if at is not None]
    return _digest([*map(_content, codes), *sorted({*builds})])


def _content(code: types.CodeType) -> str:
    constants = [repr(one) for one in code.co_consts if isinstance(one, (int, str, bytes, float, type(None)))]
    return f"{code.co_qualname} {code.co_code.hex()} {code.co_names} {code.co_varnames} {constants}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")

"""The catalogue (``catalog.toml``): which releases are tried, how, what must come out, and why."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Bug:
    """A released bug, and the test in ``cases/NAME`` that shows it.

    :param release: requirement of the release that has it; ``fixed``: of one that has not, or empty.
    :param verdicts: the verdicts that count as found.
    :param why: what is wrong in its source.
    :param upstream: where its project says so; empty where nothing was found.
    :param words: further options for pytest.
    """

    name: str
    release: str
    kind: str
    verdicts: tuple[str, ...]
    why: str
    upstream: str = ""
    fixed: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """A release whose own, unmodified test suite is run.

    :param kind: ``C``, ``Cython``, ``cffi``, ``Rust`` or ``Python``.
    :param extra: what its tests need besides pytest.
    :param tests: the folder or files given to pytest, relative to the unpacked sdist.
    :param words: further options for pytest, needed without ftcheck as well.
    :param own: options that ftcheck's run gets besides: what cannot be run in threads, and why, is in ``explained``.
    :param explained: for each test (or prefix of its name) that does not pass: the reason, and whose it is.
    """

    name: str
    version: str
    kind: str
    tests: tuple[str, ...] = ("tests",)
    extra: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    explained: dict[str, str] = field(default_factory=dict)

    def explanation(self, test: str) -> str:
        """Why this test does not pass; empty where nobody has said so."""
        return next((text for prefix, text in self.explained.items() if prefix in test), "")


def load() -> tuple[list[Bug], list[Suite]]:
    """Everything in the catalogue.

    :raises TypeError: an entry has a key that does not exist, or lacks one.
    """
    data = tomllib.loads((HERE / "catalog.toml").read_text())
    return [Bug(**_tuples(entry)) for entry in data["bug"]], [Suite(**_tuples(entry)) for entry in data["suite"]]


def _tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}

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
    :param words: further options for pytest: where the default settings find it too rarely.
    :param runs: how many fresh processes it may take: a bug at the first use of something shows once in a process or never.
    """

    name: str
    release: str
    kind: str
    verdicts: tuple[str, ...]
    why: str
    upstream: str = ""
    fixed: str = ""
    words: tuple[str, ...] = ()
    runs: int = 1


@dataclass(frozen=True)
class Explored:
    """A released bug, and the test in ``explored/NAME`` by which the explorer finds it.

    :param release: requirement of the release that has it; ``fixed``: of one that has not, or empty.
    :param scope: what is explored: the import names of the package, and of what else has a part in the bug.
    :param verdicts: the verdicts that count as found.
    :param why: what is wrong in its source.
    :param upstream: where its project says so, with addresses; empty where nothing was found.
    :param words: further options for pytest.
    """

    name: str
    release: str
    scope: tuple[str, ...]
    why: str
    upstream: str = ""
    fixed: str = ""
    verdicts: tuple[str, ...] = ("failure",)
    words: tuple[str, ...] = ()
    kind: str = "Python, explored"


@dataclass(frozen=True)
class Suite:
    """A release whose own, unmodified test suite is run.

    :param kind: ``C``, ``Cython``, ``cffi``, ``Rust`` or ``Python``.
    :param copy: the files and folders of the sdist that it is run from (see :func:`packages.workplace`); not given: all.
    :param tests: what is given to pytest, relative to that copy.
    :param extra: what its tests need besides pytest.
    :param words: further options for pytest, in both runs: what the project's configuration or tests need or cannot bear.
    :param why_words: what they are for, and what they leave out.
    :param limits: options for the run under ftcheck: how much is run of each test, where it is less than by default. A
        second for each test, which is the default, is too much for a suite of thousands.
    :param big: too long for every run: only when it is named, or with ``--all``.
    :param left_out: why it is not among the results although it was tried.
    :param explained: for each test (or prefix of its name) that does not pass: the reason, and whose it is.
    """

    name: str
    version: str
    kind: str
    copy: tuple[str, ...] | None = None
    tests: tuple[str, ...] = ("tests",)
    extra: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    why_words: str = ""
    limits: tuple[str, ...] = ()
    big: bool = False
    left_out: str = ""
    explained: dict[str, str] = field(default_factory=dict)

    def explanation(self, test: str) -> str:
        """Why this test does not pass; empty where nobody has said so."""
        return next((text for prefix, text in self.explained.items() if prefix in test), "")


def load() -> tuple[list[Bug], list[Explored], list[Suite]]:
    """Everything in the catalogue.

    :raises TypeError: an entry has a key that does not exist, or lacks one.
    """
    data = tomllib.loads((HERE / "catalog.toml").read_text())
    return (
        [Bug(**_tuples(entry)) for entry in data["bug"]],
        [Explored(**_tuples(entry)) for entry in data["explored"]],
        [Suite(**_tuples(entry)) for entry in data["suite"]],
    )


def _tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}

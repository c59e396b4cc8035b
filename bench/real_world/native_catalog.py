"""The catalogue of extensions that are built with ``ftcheck-cc`` (``native_catalog.toml``), and what must come out."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import Any

from bench.real_world.catalog import HERE, _tuples

CASES = HERE / "cases" / "native"


@dataclass(frozen=True)
class Extension:
    """A released extension, built from its unmodified sdist, and the concurrent use it is put to.

    :param key: what the row is called; ``name``, ``version``: what is downloaded.
    :param kind: the language it is written in.
    :param expect: ``"nothing"``: well kept, each report must be explained; ``"races"``: a mutant or a release with a bug.
    :param tests: test files of the sdist; not given: the case of ours, ``cases/native/CASE``.
    :param case: its folder; not given: ``name``.
    :param copy: further files and folders of the sdist that its tests need.
    :param needs: what it is built with, besides setuptools.
    :param header: of ``cases/native``: given to the compiler by ``-include``, and the only thing a mutant is made by.
    :param words: further options for pytest.
    :param environment: variables of the build and of the run.
    :param gil: it does not declare that it needs no GIL, so it is run with ``PYTHON_GIL=0``.
    :param why: of a mutant what is taken away; of a bug what is wrong, with the lines; else where its use is promised.
    :param upstream: what its project says of the bug.
    :param explained: for a part of the text of a report: why that is right.
    """

    key: str
    name: str
    version: str
    kind: str
    expect: str = "nothing"
    tests: tuple[str, ...] = ()
    case: str = ""
    copy: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    header: str = ""
    words: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    gil: bool = False
    why: str = ""
    upstream: str = ""
    explained: dict[str, str] = field(default_factory=dict)

    def explanation(self, race: str, said: str = "") -> str:
        """Why this race is reported; empty where nobody has said so.

        :param said: all that the report says of it: that may be named as well, the test it came from, say.
        """
        return next((text for part, text in self.explained.items() if part in race or part in said), "")


def load() -> list[Extension]:
    """Everything in the catalogue.

    :raises TypeError: an entry has a key that does not exist, or lacks one.
    """
    data: dict[str, Any] = tomllib.loads((HERE / "native_catalog.toml").read_text())
    return [Extension(**_tuples(entry)) for entry in data["extension"]]

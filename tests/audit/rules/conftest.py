"""Small source files, scanned."""

import textwrap

import pytest

from ftcheck.audit.rules import scan


@pytest.fixture
def scanned(tmp_path):
    """Scans source text as a file of that name (or several: ``name=text``); gives the scan."""

    def run(text=None, name="module.c", *, clang=False, baseline=None, files=None):
        folder = tmp_path / "src"
        for file, body in (files or {name: text}).items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(body), encoding="utf-8")
        return scan([folder], clang=clang, baseline=baseline)

    return run


@pytest.fixture
def lines(scanned):
    """The lines at which one rule finds something in source text; those marked ``here`` are to be it."""

    def run(rule, text, name="module.c", **options):
        found = [one.line for one in scanned(text, name, **options).active if one.rule == rule]
        marked = [
            number for number, line in enumerate(textwrap.dedent(text).split("\n"), 1) if line.rstrip(" */").endswith("here")
        ]
        return found, marked

    return run

"""The public names of the package, and that the floors below import nothing from above."""

import ast
from importlib import metadata
from pathlib import Path

import pytest

import ftcheck

FOLDER = Path(ftcheck.__file__).parent
FLOORS = {
    "locations": (),
    "candidates": ("locations",),
    "possible": ("locations",),
    "coverage": ("candidates", "possible"),
    "verdicts": ("coverage", "locations"),
    "gil_watch": ("_core",),
    "interpreter": ("gil_watch",),
    "guard": ("gil_watch", "guard", "guard_program"),
    "program_words": (),
    "pythons": (),
    "elf": ("elf_dynamic",),
    "elf_dynamic": (),
    "locking": ("elf", "elf_dynamic", "static_state"),
    "audit": (
        *(
            "audit",
            "coverage",
            "elf",
            "elf_dynamic",
            "interpreter",
            "probing",
            "locking",
            "native",
            "reliance",
            "report",
            "static_state",
            "verdicts",
        ),
    ),
    "subinterpreters": ("native", "static_state", "subinterpreters"),
    "option_table": (),
    "settings": ("option_table",),
    "workload": ("_core", "settings", "interpreter", "coverage", "verdicts"),
    "forked": (),
    "probing": (),
    "reliance": ("coverage", "verdicts"),
    "narrative": ("coverage", "verdicts"),
    "explore": (
        "_core",
        "workload",
        "settings",
        "interpreter",
        "candidates",
        "coverage",
        "locations",
        "verdicts",
        "narrative",
        "stress",
        "native",
        "explore",
    ),
    "stress": ("_core", "workload", "option_table", "settings", "interpreter", "coverage", "verdicts", "stress"),
    "report": ("settings", "candidates", "possible", "coverage", "verdicts", "narrative", "static_state", "report"),
    "static_state": (),
}


def test_the_public_names_fit_on_one_page():
    assert ftcheck.__all__ == [
        "Coverage", "DeadlockError", "FailureGroup", "Finding", "Interleaving", "Location", "TestVerdict", "Verdict",
        "__version__", "concurrently", "interleavings",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ftcheck.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(ftcheck, name)
    assert isinstance(value, str) or value.__doc__


def test_the_version_is_that_of_the_distribution():
    assert ftcheck.__version__ == metadata.version("pytest-ftcheck")


@pytest.mark.parametrize("room", FLOORS)
def test_arrows_only_go_down(room):
    """The engines know no pytest, the report knows no engine, the ground floor imports nothing of ours."""
    path = FOLDER / room
    for file in path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]:
        for name in _imported(ast.parse(file.read_text(encoding="utf-8"))):
            top, _, rest = name.partition(".")
            assert top not in ("pytest", "_pytest", "xdist"), f"{file} imports {name}"
            assert top != "ftcheck" or rest.partition(".")[0] in FLOORS[room], f"{file} imports {name}"


def _imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" if node.module == "ftcheck" else node.module for alias in node.names)

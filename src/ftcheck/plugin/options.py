"""Command line and ini: the options of a run as they are declared. What was typed is read in ``run_options.py``.

The options of a single test come from the one table in :mod:`ftcheck.option_table`; here are those of the run as a whole.
All names begin with ``--ftcheck``, so that they clash with no other plugin's.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable

import pytest
from _pytest.nodes import Node

from ftcheck.option_table import FLAG_WORDS, OPTIONS
from ftcheck.plugin import run_parallel

START = (list(sys.path), dict(os.environ))
"""What a fresh interpreter gets (``reruns.py``): noted here, before any conftest file or test can change it."""

MARKER = "ftcheck"
MARKED = frozenset({MARKER})
DEFAULT_CLASSIFY = "60"
PER_RUN = [option for option in OPTIONS if not option.only_marker]
PER_PROJECT = [option for option in PER_RUN if option.name != "replay"]  # one interleaving of one test
_MARKER_TEXT = (
    "ftcheck({options}): rerun this test in several threads at once, and report what fails, crashes or hangs "
    "(pytest-ftcheck). Without arguments: the run's settings. See `pytest --help`, group ftcheck, for their meaning."
)


def add(parser: pytest.Parser) -> None:
    """Declare the options (``pytest_addoption``)."""
    group = parser.getgroup("ftcheck", "ftcheck: rerun tests concurrently, without the GIL")
    group.addoption(
        "--ftcheck",
        action="store_true",
        dest="ftcheck",
        default=None,
        help="rerun every test in several threads at once, isolated in a worker process, with a verdict for each. "
        "Without it, only tests with the marker @pytest.mark.ftcheck are rerun, in this process.",
    )
    group.addoption(
        "--ftcheck-marked",
        action="store_true",
        dest="ftcheck_marked",
        help="like --ftcheck, but only for tests with the marker; the others run as usual",
    )
    group.addoption(
        "--no-ftcheck",
        action="store_true",
        dest="ftcheck_off",
        help="rerun nothing, whatever the ini file and the markers say",
    )
    group.addoption(
        "--ftcheck-isolate",
        choices=("auto", "yes", "no"),
        dest="ftcheck_isolate",
        default=None,
        metavar="auto|yes|no",
        help="run tests in a pytest-xdist worker, so that a crash or a hang is one test's verdict and not the end of "
        "the run (auto: with --ftcheck, unless -n, -s or --pdb are given)",
    )
    group.addoption(
        "--ftcheck-classify",
        dest="ftcheck_classify",
        default=None,
        metavar="SECONDS",
        help="run failing tests again in fresh interpreters (alone, with the GIL, without it) to tell whether they rely on "
        f"the GIL, for SECONDS altogether (default {DEFAULT_CLASSIFY}; 0: do not)",
    )
    group.addoption(
        "--ftcheck-json",
        dest="ftcheck_json",
        default=None,
        metavar="FILE",
        help="write the report as JSON: every verdict, every finding, how the run ended",
    )
    group.addoption(
        "--ftcheck-tsan-log",
        dest="ftcheck_tsan_log",
        default=None,
        metavar="PREFIX",
        help="with a CPython that was built with ThreadSanitizer: read the logs PREFIX.PID that it writes while the tests "
        "run, and give each report to the test that caused it. To be run as TSAN_OPTIONS=log_path=PREFIX:exitcode=0 "
        "pytest --ftcheck --ftcheck-tsan-log=PREFIX, with an absolute path. For logs that are there already: "
        "`ftcheck tsan-log FILE...`. Without such a CPython, build just the extension, with ftcheck-cc",
    )
    group.addoption(
        "--ftcheck-min-concurrent",
        dest="ftcheck_min_concurrent",
        default=None,
        metavar="SHARE",
        help="fail the run (exit status 8) when a smaller share of the tests really ran concurrently: 0.8, or 80%%",
    )
    group.addoption(
        "--ftcheck-statics",
        dest="ftcheck_statics",
        default=None,
        metavar="MODULES",
        help="list which test writes which static variable of these extension modules (names, patterns such as 'numpy.*', "
        "or all); also without --ftcheck",
    )
    group.addoption(
        "--ftcheck-built",
        dest="ftcheck_built",
        default=None,
        metavar="DIR",
        help="import the packages that `ftcheck build` has put into DIR, whatever else of their names there is",
    )
    group.addoption(
        "--ftcheck-seed",
        dest="ftcheck_seed",
        default=None,
        metavar="N",
        help="seed of everything random in ftcheck (default: drawn, and printed in the header)",
    )
    for option in PER_RUN:
        name, about = f"--ftcheck-{option.name}", {"dest": f"ftcheck_{option.name}", "default": None}
        if not option.flag:
            group.addoption(name, metavar=option.metavar, help=option.help, **about)
            continue
        # An optional value would swallow the file that is named behind the option; so only one with "=" is taken.
        group.addoption(name, action="store_const", const="yes", help=f"{option.help} (={option.metavar})", **about)
        for const in ("yes", "no"):  # one action with many names: each action costs time in every pytest run
            words = [f"{name}={word}" for word, meant in FLAG_WORDS.items() if meant is FLAG_WORDS[const]]
            group.addoption(*words, action="store_const", const=const, help=argparse.SUPPRESS, **about)
    for option in PER_PROJECT:
        parser.addini(f"ftcheck_{option.name}", f"{option.help} (--ftcheck-{option.name})", default=None)
    parser.addini("ftcheck", "rerun every test in several threads at once (--ftcheck)", type="bool", default=False)
    parser.addini("ftcheck_classify", "seconds, 0 for off (--ftcheck-classify)", default=DEFAULT_CLASSIFY)
    parser.addini("ftcheck_isolate", "auto, yes or no (--ftcheck-isolate)", default="auto")
    parser.addini("ftcheck_statics", "names, patterns or all (--ftcheck-statics)", default=None)
    parser.addini("ftcheck_min_concurrent", "a share such as 0.8 or 80% (--ftcheck-min-concurrent)", default=None)


def register_marker(config: pytest.Config) -> None:
    """Make ``pytest --markers`` and ``--strict-markers`` know ours."""
    text = ", ".join(f"{option.name}=..." for option in OPTIONS)
    config.addinivalue_line("markers", _MARKER_TEXT.format(options=text))
    run_parallel.register(config)


def carrying[T: Node](items: Iterable[T], names: frozenset[str]) -> list[T]:
    """Those that have such a marker, or whose class, module or folder has one: these are asked once for all of theirs.

    :meth:`pytest.Item.iter_markers` asks them all again for each test, which is felt in a suite of thousands.
    """

    def has(node: Node | None) -> bool:
        return node is not None and (any(mark.name in names for mark in node.own_markers) or has(node.parent))

    found: list[T] = []
    parent: Node | None = None
    all_below = False
    for item in items:
        if item.parent is not parent:
            parent = item.parent
            all_below = has(parent)
        if all_below or (item.own_markers and any(mark.name in names for mark in item.own_markers)):
            found.append(item)
    return found

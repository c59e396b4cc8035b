"""Command line and ini: what a run was asked to do, checked before anything is collected.

The options of a single test come from the one table in :mod:`ftcheck.settings`; here are those of the run as a whole.
All names begin with ``--ftcheck``, so that they clash with no other plugin's.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import random
import re
import sys
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pytest

from ftcheck import settings
from ftcheck.plugin import run_parallel
from ftcheck.settings import FLAG_WORDS, OPTIONS, Settings, SettingsError

START = (list(sys.path), dict(os.environ))
"""What a fresh interpreter gets (``reruns.py``): noted here, before any conftest file or test can change it."""
if TYPE_CHECKING:
    from fractions import Fraction

MARKER = "ftcheck"
DEFAULT_CLASSIFY = "60"
_PER_RUN = [option for option in OPTIONS if not option.only_marker]
_PER_PROJECT = [option for option in _PER_RUN if option.name != "replay"]  # one interleaving of one test
_MARKER_TEXT = (
    "ftcheck({options}): rerun this test in several threads at once, and report what fails, crashes or hangs "
    "(pytest-ftcheck). Without arguments: the run's settings. See `pytest --help`, group ftcheck, for their meaning."
)


@dataclass(frozen=True, slots=True)
class RerunLimits:
    """How tests are run by a child interpreter of the classification (``rerun_child.py``).

    :param alone: one copy at a time, one body after the other, instead of several threads.
    :param until: no round begins after this time of :func:`time.monotonic`.
    :param timeouts: seconds, by node id: the longest timeout that a test may have.
    :param shortened: the tests that would have had a longer one.
    """

    alone: bool
    until: float
    timeouts: Mapping[str, float]
    shortened: set[str] = field(default_factory=set)

    def limit(self, test: str, own: Settings) -> Settings:
        """A test's own settings, within these limits."""
        left = max(0.001, self.until - time.monotonic())
        timeout = self.timeouts.get(test, own.timeout)
        if timeout < own.timeout:
            self.shortened.add(test)
        return dataclasses.replace(
            own,
            threads=1 if self.alone else own.threads,
            seconds=left if own.seconds is None else min(own.seconds, left),
            timeout=min(own.timeout, timeout),
        )


@dataclass(frozen=True)
class RunOptions:
    """What this run was asked to do.

    :param everything: ``--ftcheck``: all tests, not only the marked ones, are rerun concurrently.
    :param asked: ``--ftcheck`` or ``--ftcheck-marked``, by command line or ini file.
    :param off: ``--no-ftcheck``: none is, markers or not.
    :param isolate: whether tests run in a worker process that may die.
    :param why_not_isolated: why tests run in this process although the run was asked for; empty where they do not.
    :param seed: seeds everything random of ours.
    :param layers: the parsed options of the ini file and of the command line, in this order.
    :param unsafe_fixtures: the ini option ``thread_unsafe_fixtures``: tests that use these run alone.
    :param unsafe_functions: the ini option ``thread_unsafe_functions``, as dotted names: tests that call these run alone.
    :param classify: seconds for the reruns that tell whether a failing test relies on the GIL; 0: none.
    :param rerun: in the interpreter of such a rerun: how its tests differ from those of the run itself.
    :param json: the file for the JSON report, as it was typed.
    :param min_concurrent: the share of concurrent tests, from 0 to 1, below which the run fails; None: no such limit.
    :param min_concurrent_typed: whether it is from the command line; then it asks for concurrent tests, as ``asked`` does.
    """

    everything: bool
    asked: bool
    off: bool
    isolate: bool
    why_not_isolated: str
    seed: int
    layers: tuple[Mapping[str, Any], Mapping[str, Any]]
    unsafe_fixtures: frozenset[str] = frozenset()
    unsafe_functions: tuple[str, ...] = ()
    classify: float = 0.0
    rerun: RerunLimits | None = None
    json: str | None = None
    min_concurrent: Fraction | None = None
    min_concurrent_typed: bool = False

    @functools.cached_property
    def unmarked(self) -> Settings:
        """What holds for a test that has no markers of its own."""
        return settings.resolve(self.layers)


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
        "--ftcheck-min-concurrent",
        dest="ftcheck_min_concurrent",
        default=None,
        metavar="SHARE",
        help="fail the run (exit status 8) when a smaller share of the tests really ran concurrently: 0.8, or 80%%",
    )
    group.addoption(
        "--ftcheck-seed",
        dest="ftcheck_seed",
        default=None,
        metavar="N",
        help="seed of everything random in ftcheck (default: drawn, and printed in the header)",
    )
    for option in _PER_RUN:
        name, about = f"--ftcheck-{option.name}", {"dest": f"ftcheck_{option.name}", "default": None}
        if not option.flag:
            group.addoption(name, metavar=option.metavar, help=option.help, **about)
            continue
        # An optional value would swallow the file that is named behind the option; so only one with "=" is taken.
        group.addoption(name, action="store_const", const="yes", help=f"{option.help} (={option.metavar})", **about)
        for word in FLAG_WORDS:
            group.addoption(f"{name}={word}", action="store_const", const=word, help=argparse.SUPPRESS, **about)
    for option in _PER_PROJECT:
        parser.addini(f"ftcheck_{option.name}", f"{option.help} (--ftcheck-{option.name})", default=None)
    parser.addini("ftcheck", "rerun every test in several threads at once (--ftcheck)", type="bool", default=False)
    parser.addini("ftcheck_classify", "seconds, 0 for off (--ftcheck-classify)", default=DEFAULT_CLASSIFY)
    parser.addini("ftcheck_isolate", "auto, yes or no (--ftcheck-isolate)", default="auto")
    parser.addini("ftcheck_min_concurrent", "a share such as 0.8 or 80% (--ftcheck-min-concurrent)", default=None)


def register_marker(config: pytest.Config) -> None:
    """Make ``pytest --markers`` and ``--strict-markers`` know ours."""
    text = ", ".join(f"{option.name}=..." for option in OPTIONS)
    config.addinivalue_line("markers", _MARKER_TEXT.format(options=text))
    run_parallel.register(config)


def read(config: pytest.Config) -> RunOptions:
    """The options of this run.

    :raises pytest.UsageError: an option has a value that it cannot have, or two contradict each other.
    """
    option = config.option
    asked = bool(option.ftcheck or option.ftcheck_marked)
    off = bool(option.ftcheck_off)
    if asked and off:
        raise pytest.UsageError("--no-ftcheck contradicts --ftcheck: give one of them")
    if option.ftcheck and option.ftcheck_marked:
        raise pytest.UsageError("--ftcheck (every test) contradicts --ftcheck-marked (only marked tests): give one")
    replay = getattr(option, "ftcheck_replay", None)
    if replay and off:
        raise pytest.UsageError("--no-ftcheck contradicts --ftcheck-replay: give one of them")
    if replay:
        check_token(replay, "--ftcheck-replay")
    everything = not off and (
        bool(option.ftcheck) or bool(replay) or (not option.ftcheck_marked and bool(config.getini("ftcheck")))
    )
    refused = run_parallel.refusal(config) if asked or everything else ""
    if refused:
        raise pytest.UsageError(f"{'--ftcheck' if asked else 'ftcheck = true'} together with {refused}")
    isolate, why_not = _isolation(config, option, (everything or asked) and not off)
    least, typed = _min_concurrent(config, off)
    return RunOptions(
        everything=everything,
        asked=not off and (everything or asked),
        off=off,
        isolate=isolate,
        why_not_isolated=why_not,
        seed=_seed(config),
        layers=(_layer(config, "ini"), _layer(config, "line")),
        classify=_classify(config),
        json=option.ftcheck_json,
        min_concurrent=least,
        min_concurrent_typed=typed,
        rerun=getattr(config, "workerinput", {}).get("ftcheck_rerun"),
        unsafe_fixtures=run_parallel.unsafe_fixtures(config),
        unsafe_functions=run_parallel.unsafe_functions(config, strict=(asked or everything) and not off),
    )


def check_token(text: str, where: str) -> None:
    """Complain of a malformed replay token before anything is run.

    :raises pytest.UsageError: it is none.
    """
    from ftcheck.explore.token import Token, TokenError  # not before it is asked for

    try:
        Token.parse(text)
    except TokenError as error:
        raise pytest.UsageError(f"{where}: {error}") from None


def folder_of(package: str, where: str) -> str:
    """The folder of a package, with a separator at its end, or the file of a module: what belongs to it begins with that.

    :raises SettingsError: there is none.
    """
    from ftcheck.explore import scopes

    try:
        return scopes.folder_of(package)
    except LookupError as error:
        raise SettingsError(f"{where}: {error}") from None


def needs_worker(config: pytest.Config) -> bool:
    """Before the first conftest.py: whether this run will get a worker of ours, so far as can be told."""
    option = config.known_args_namespace
    asked = bool(option.ftcheck or option.ftcheck_marked or option.ftcheck_replay or config.getini("ftcheck"))
    try:
        return _isolation(config, option, asked and not option.ftcheck_off)[0]
    except pytest.UsageError:
        return False  # said later, by read()


def _layer(config: pytest.Config, kind: Literal["ini", "line"]) -> Mapping[str, Any]:
    parsed: dict[str, Any] = {}
    for option in _PER_RUN if kind == "line" else _PER_PROJECT:
        name = f"ftcheck_{option.name}"
        value = config.getini(name) if kind == "ini" else getattr(config.option, name)
        if value in (None, ""):
            continue
        where = f"{config.inipath or 'ini'}: {name}" if kind == "ini" else f"--ftcheck-{option.name}"
        try:
            parsed |= settings.parse({option.name: value}, where)
            for package in parsed["scope"] if option.name == "scope" else ():
                folder_of(package, where)
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from None
    try:
        settings.refuse_contradictions(parsed, f"{config.inipath or 'ini'}" if kind == "ini" else "the command line")
    except SettingsError as error:
        raise pytest.UsageError(str(error)) from None
    return parsed


def _classify(config: pytest.Config) -> float:
    text = config.option.ftcheck_classify
    name = "--ftcheck-classify" if text is not None else f"{config.inipath or 'ini'}: ftcheck_classify"
    text = config.getini("ftcheck_classify") if text is None else text
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise pytest.UsageError(f"{name} must be a number of seconds from 0 (do not classify failures) up, not {text!r}")
    return seconds


def _min_concurrent(config: pytest.Config, off: bool) -> tuple[Fraction | None, bool]:
    """The least share of concurrent tests, and whether it was typed on the command line."""
    typed = config.option.ftcheck_min_concurrent
    text = config.getini("ftcheck_min_concurrent") if typed is None else typed
    if typed is not None and off:
        raise pytest.UsageError("--no-ftcheck contradicts --ftcheck-min-concurrent: give one of them")
    if typed is None and text in (None, ""):
        return None, False
    where = "--ftcheck-min-concurrent" if typed is not None else f"{config.inipath or 'ini'}: ftcheck_min_concurrent"
    number = re.fullmatch(r"(\d+\.?\d*|\.\d+)(%?)", text.strip(), re.ASCII)
    from fractions import Fraction  # exact: with floats, 80.1 % of 1,000 tests might be a little more than 801

    share = Fraction(number[1]) / (100 if number[2] else 1) if number is not None else None
    if share is None or share > 1:
        raise pytest.UsageError(f"{where} must be a share from 0 to 1, or a percentage, such as 0.8 or 80%, not {text!r}")
    return share, typed is not None


def _seed(config: pytest.Config) -> int:
    text = config.option.ftcheck_seed
    if text is None:
        text = getattr(config, "workerinput", {}).get("ftcheck_seed")
    if text is None and (theirs := config.getoption("--hypothesis-seed", None)) is not None:
        return int(theirs) if theirs.isdecimal() else zlib.crc32(theirs.encode())  # it takes any text, too
    if text is None:
        return random.SystemRandom().randrange(1_000_000)
    try:
        return int(text)
    except ValueError:
        raise pytest.UsageError(f"--ftcheck-seed must be a whole number, not {text!r}") from None


def _isolation(config: pytest.Config, option: argparse.Namespace, asked: bool) -> tuple[bool, str]:
    """Whether we start a worker of our own, and if a run that was asked for stays in this process, why."""
    wish = option.ftcheck_isolate or config.getini("ftcheck_isolate")
    if wish not in ("auto", "yes", "no"):
        raise pytest.UsageError(f"ftcheck_isolate must be auto, yes or no, not {wish!r}")
    if hasattr(config, "workerinput"):
        return "ftcheck_evidence" in config.workerinput, ""
    missing = "" if config.pluginmanager.hasplugin("xdist") else "pytest-xdist is switched off (-p no:xdist)"
    if wish == "yes" and missing:
        raise pytest.UsageError(f"--ftcheck-isolate=yes needs pytest-xdist, but {missing}")
    if wish == "no" or (wish == "auto" and not asked) or option.ftcheck_off or option.collectonly:
        return False, "--ftcheck-isolate=no" if asked and wish == "no" else ""
    if missing:
        return False, missing
    if option.numprocesses is not None or option.tx:
        if option.numprocesses == 0:
            return False, "-n0"
        return True, ""
    if wish == "yes":
        if option.usepdb:
            raise pytest.UsageError("--ftcheck-isolate=yes contradicts --pdb: a debugger needs this process")
        return True, ""
    for given, name in ((option.usepdb, "--pdb"), (option.trace, "--trace"), (option.capture == "no", "-s")):
        if given:
            return False, name
    return True, ""

"""Command line and ini: what a run was asked to do, checked before anything is collected.

The options of a single test come from the one table in :mod:`ftcheck.settings`; here are those of the run as a whole.
All names begin with ``--ftcheck``, so that they clash with no other plugin's.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from ftcheck import settings
from ftcheck.settings import OPTIONS, SettingsError

MARKER = "ftcheck"
_PER_RUN = [option for option in OPTIONS if not option.only_marker]
_MARKER_TEXT = (
    "ftcheck({options}): rerun this test in several threads at once, and report what fails, crashes or hangs "
    "(pytest-ftcheck). Without arguments: the run's settings. See `pytest --help`, group ftcheck, for their meaning."
)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What this run was asked to do.

    :param everything: ``--ftcheck``: all tests, not only the marked ones, are rerun concurrently.
    :param asked: ``--ftcheck`` or ``--ftcheck-marked``, by command line or ini file.
    :param off: ``--no-ftcheck``: none is, markers or not.
    :param isolate: whether tests run in a worker process that may die.
    :param why_not_isolated: why tests run in this process although the run was asked for; empty where they do not.
    :param seed: seeds everything random of ours.
    :param layers: the parsed options of the ini file and of the command line, in this order.
    """

    everything: bool
    asked: bool
    off: bool
    isolate: bool
    why_not_isolated: str
    seed: int
    layers: tuple[Mapping[str, Any], Mapping[str, Any]]


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
        "--ftcheck-seed",
        dest="ftcheck_seed",
        default=None,
        metavar="N",
        help="seed of everything random in ftcheck (default: drawn, and printed in the header)",
    )
    for option in _PER_RUN:
        group.addoption(
            f"--ftcheck-{option.name}",
            dest=f"ftcheck_{option.name}",
            default=None,
            metavar=option.metavar,
            help=option.help,
        )
        parser.addini(f"ftcheck_{option.name}", f"{option.help} (--ftcheck-{option.name})", default=None)
    parser.addini("ftcheck", "rerun every test in several threads at once (--ftcheck)", type="bool", default=False)
    parser.addini("ftcheck_isolate", "auto, yes or no (--ftcheck-isolate)", default="auto")


def register_marker(config: pytest.Config) -> None:
    """Make ``pytest --markers`` and ``--strict-markers`` know ours."""
    text = ", ".join(f"{option.name}=..." for option in OPTIONS)
    config.addinivalue_line("markers", _MARKER_TEXT.format(options=text))
    if not config.pluginmanager.hasplugin("run-parallel"):
        config.addinivalue_line(
            "markers", "thread_unsafe(reason=...): run this test alone (the marker of pytest-run-parallel, honoured here)"
        )


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
    if asked and getattr(option, "parallel_threads", None) not in (None, 0, 1, "0", "1"):
        raise pytest.UsageError(
            "--ftcheck and --parallel-threads (pytest-run-parallel) would each run every test in threads: give one of them"
        )
    everything = not off and (bool(option.ftcheck) or (not option.ftcheck_marked and bool(config.getini("ftcheck"))))
    isolate, why_not = _isolation(config, (everything or asked) and not off)
    return RunOptions(
        everything=everything,
        asked=not off and (everything or asked),
        off=off,
        isolate=isolate,
        why_not_isolated=why_not,
        seed=_seed(config),
        layers=(_layer(config, "ini"), _layer(config, "line")),
    )


def _layer(config: pytest.Config, kind: Literal["ini", "line"]) -> Mapping[str, Any]:
    parsed: dict[str, Any] = {}
    for option in _PER_RUN:
        name = f"ftcheck_{option.name}"
        value = config.getini(name) if kind == "ini" else getattr(config.option, name)
        if value in (None, ""):
            continue
        where = f"{config.inipath or 'ini'}: {name}" if kind == "ini" else f"--ftcheck-{option.name}"
        try:
            parsed |= settings.parse({option.name: value}, where)
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from None
    return parsed


def _seed(config: pytest.Config) -> int:
    text = config.option.ftcheck_seed
    if text is None:
        text = getattr(config, "workerinput", {}).get("ftcheck_seed")
    if text is None:
        return random.SystemRandom().randrange(1_000_000)
    try:
        return int(text)
    except ValueError:
        raise pytest.UsageError(f"--ftcheck-seed must be a whole number, not {text!r}") from None


def _isolation(config: pytest.Config, asked: bool) -> tuple[bool, str]:
    """Whether we start a worker of our own, and if a run that was asked for stays in this process, why."""
    option = config.option
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

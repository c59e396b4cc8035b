"""What a run was asked to do: its options as they were typed and as the ini file has them, checked before all else.

Read at the start of every pytest run where this plugin is installed, asked for or not. So it imports next to nothing, and
:class:`RunOptions` is no frozen dataclass: one of that many fields takes 1.5 ms to define.
"""

import argparse
import functools
import random
import re
import zlib
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import pytest

from ftcheck import option_table
from ftcheck.option_table import SettingsError
from ftcheck.plugin import run_parallel
from ftcheck.plugin.options import PER_PROJECT, PER_RUN

if TYPE_CHECKING:
    from fractions import Fraction

    from ftcheck.plugin.rerun_child import RerunLimits
    from ftcheck.settings import Settings


class RunOptions(SimpleNamespace):
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
    :param statics: names and patterns of extension modules whose static memory is watched.
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
    statics: tuple[str, ...] = ()
    min_concurrent: Fraction | None = None
    min_concurrent_typed: bool = False

    @functools.cached_property
    def unmarked(self) -> Settings:
        """What holds for a test that has no markers of its own."""
        from ftcheck.settings import resolve

        return resolve(self.layers)


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
    if replay is not None and off:
        raise pytest.UsageError("--no-ftcheck contradicts --ftcheck-replay: give one of them")
    if replay is not None:
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
        statics=_statics(config),
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
    for option in PER_RUN if kind == "line" else PER_PROJECT:
        name = f"ftcheck_{option.name}"
        value = config.getini(name) if kind == "ini" else getattr(config.option, name)
        if value in (None, ""):
            continue
        where = f"{config.inipath or 'ini'}: {name}" if kind == "ini" else f"--ftcheck-{option.name}"
        try:
            parsed |= option_table.parse({option.name: value}, where)
            for package in parsed["scope"] if option.name == "scope" else ():
                folder_of(package, where)
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from None
    try:
        option_table.refuse_contradictions(parsed, f"{config.inipath or 'ini'}" if kind == "ini" else "the command line")
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


def _statics(config: pytest.Config) -> tuple[str, ...]:
    typed = config.option.ftcheck_statics
    text = config.getini("ftcheck_statics") if typed is None else typed
    if not text or not text.strip() or "ftcheck_rerun" in getattr(config, "workerinput", {}):
        return ()
    from ftcheck.plugin import statics  # not before it is asked for

    where = "--ftcheck-statics" if typed is not None else f"{config.inipath or 'ini'}: ftcheck_statics"
    names = statics.parse(text, where)
    statics.check(names, where)
    return names


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

"""Which tests are rerun concurrently, with which settings, and why the others are not."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from _pytest.python import Function

from ftcheck import option_table, settings
from ftcheck.option_table import SettingsError
from ftcheck.plugin import asynchronous, their_markers
from ftcheck.plugin.options import MARKER
from ftcheck.plugin.run_options import RunOptions, check_token, folder_of
from ftcheck.settings import Settings

ONE_AT_A_TIME = {
    "capsys": "captures the process's output",
    "capsysbinary": "captures the process's output",
    "capteesys": "captures the process's output",
    "capfd": "captures the process's output",
    "capfdbinary": "captures the process's output",
    "caplog": "collects the log records of every thread",
    "monkeypatch": "changes objects that all threads see",
    "recwarn": "collects the warnings of every thread",
    "pytester": "changes the working directory and sys.modules",
    "testdir": "changes the working directory and sys.modules",
    **dict.fromkeys(
        ("mocker", "class_mocker", "module_mocker", "package_mocker", "session_mocker"),
        "changes objects that all threads see (pytest-mock)",
    ),
    "qapp": "belongs to the main thread (pytest-qt)",
    "qtbot": "belongs to the main thread (pytest-qt)",
    "benchmark": "measures one thread (pytest-benchmark)",
}
"""Fixtures of pytest, and of plugins that many use, that cannot exist twice at a time in one process."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one test is run.

    :param settings: rerun it concurrently like this; None: run it once, as pytest does.
    :param reason: why it is not rerun although the run asked for it; empty where nobody asked.
    """

    settings: Settings | None
    reason: str = ""

    @property
    def asked(self) -> bool:
        """Whether the run asked for this test to be rerun."""
        return self.settings is not None or bool(self.reason)


def plan(item: pytest.Item, run: RunOptions) -> Plan:
    """How this test is run.

    :raises SettingsError: its markers are wrong.
    """
    chosen, marked, theirs = _read_markers(item, run)
    if run.off or not (run.everything or marked):
        return Plan(None)
    if chosen.skip is not None:
        return Plan(None, f"skip: {chosen.skip}")
    if chosen.interpreters is not None:
        reason = _cannot_in_interpreters(item)
        return Plan(None, reason) if reason else Plan(chosen)
    reason = _cannot(item, run) or (theirs.why_alone if chosen.threads == 1 else "")
    if not reason and (chosen.explore or chosen.replay) and isinstance(item, Function):
        reason = asynchronous.cannot_be_explored(item)
    if not reason and chosen.rounds is None and "num_iterations" in getattr(item, "fixturenames", ()):
        reason = "uses num_iterations, and only time limits its rounds: give --ftcheck-rounds=N"
    if reason:
        return Plan(None, reason)
    return Plan(chosen if run.rerun is None else run.rerun.limit(item.nodeid, chosen))


def marker_settings(item: pytest.Item, run: RunOptions) -> tuple[Settings, bool]:
    """The settings that hold for this test, and whether it has our marker.

    The markers of a module, a class and a function add up; the nearest wins where they name the same option.

    :raises SettingsError: an unknown option, a bad value, a positional argument, or a contradiction.
    """
    chosen, marked, _ = _read_markers(item, run)
    return chosen, marked


def _read_markers(item: pytest.Item, run: RunOptions) -> tuple[Settings, bool, their_markers.Asked]:
    """With what the markers of pytest-run-parallel ask for; one thread means that the test runs alone."""
    layers, marked, theirs = list(run.layers), False, their_markers.Asked()
    near_to_far = [pair for pair in item.iter_markers_with_node() if pair[1].name in MARKERS]
    if not near_to_far:
        return run.unmarked, False, theirs
    for _, here in itertools.groupby(reversed(near_to_far), key=lambda pair: pair[0]):
        for _, mark in sorted(here, key=lambda pair: pair[1].name == MARKER):  # of one node, ours has the last word
            if mark.name == MARKER:
                marked = True
                layers.append(_parsed(mark, item.nodeid))
                theirs.overruled(layers[-1])
            else:
                theirs.add(mark, item.nodeid)
    typed = {name: value for name, value in run.layers[1].items() if name == "replay"}  # the one test's that was named
    chosen = settings.resolve([*layers, theirs.layer, typed])
    threads = theirs.capped(chosen.threads)
    return (chosen if threads == chosen.threads else dataclasses.replace(chosen, threads=threads)), marked, theirs


MARKERS = their_markers.MARKERS | {MARKER}
"""What :func:`marker_settings` reads."""


def _parsed(mark: pytest.Mark, nodeid: str) -> dict[str, Any]:
    where = f"@pytest.mark.{MARKER} of {nodeid}"
    if mark.args:
        raise SettingsError(
            f"{where}: the options are given by name, such as threads=4, not {', '.join(map(repr, mark.args))}."
        )
    parsed = option_table.parse(mark.kwargs, where, marker=True)
    if "replay" in parsed:
        try:
            check_token(parsed["replay"], where)
        except pytest.UsageError as error:
            raise SettingsError(str(error)) from None
    for package in parsed.get("scope", ()):
        folder_of(package, where)
    return parsed


def _cannot_in_interpreters(item: pytest.Item) -> str:
    if not isinstance(item, Function):
        return f"items of type {type(item).__name__} cannot be run in other interpreters"
    from ftcheck.plugin import interpreting  # only where it is asked for

    return interpreting.why_not(item)


def _cannot(item: pytest.Item, run: RunOptions) -> str:
    if not isinstance(item, Function):
        return f"items of type {type(item).__name__} cannot be copied for each thread"
    unsafe = item.get_closest_marker("thread_unsafe")
    if unsafe is not None:
        reason = unsafe.kwargs.get("reason") or (unsafe.args[0] if unsafe.args else "")
        return f"marked thread_unsafe{f': {reason}' if reason else ''}"
    for name in item.fixturenames:
        if name in ONE_AT_A_TIME:
            return f"uses {name}, which {ONE_AT_A_TIME[name]}"
        if name in run.unsafe_fixtures:
            return f"uses {name}, which thread_unsafe_fixtures names"
    for owner in (item.module, item.cls):
        if getattr(owner, "__thread_safe__", True) is False:
            return f"{owner.__name__} says __thread_safe__ = False"
    return their_markers.declared_unsafe(item.obj) or asynchronous.cannot_run_in_threads(item)

"""Which tests are rerun concurrently, with which settings, and why the others are not."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from _pytest.python import Function

from ftcheck import settings
from ftcheck.plugin.options import MARKER, RunOptions
from ftcheck.settings import Settings, SettingsError

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
}
"""Fixtures of pytest itself that cannot exist twice at a time in one process."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one test is run.

    :param settings: rerun it concurrently like this; None: run it once, as pytest does.
    :param reason: why it is not rerun although the run asked for it; empty where nobody asked.
    """

    settings: Settings | None
    reason: str = ""


def plan(item: pytest.Item, run: RunOptions) -> Plan:
    """How this test is run.

    :raises SettingsError: its markers are wrong.
    """
    chosen, marked = marker_settings(item, run)
    if run.off or not (run.everything or marked):
        return Plan(None)
    if chosen.skip is not None:
        return Plan(None, f"skip: {chosen.skip}")
    reason = _cannot(item)
    return Plan(None, reason) if reason else Plan(chosen)


def marker_settings(item: pytest.Item, run: RunOptions) -> tuple[Settings, bool]:
    """The settings that hold for this test, and whether it has our marker.

    The markers of a module, a class and a function add up; the nearest wins where they name the same option.

    :raises SettingsError: an unknown option, a bad value, a positional argument, or a contradiction.
    """
    layers = list(run.layers)
    near_to_far = list(item.iter_markers(MARKER))
    for mark in reversed(near_to_far):
        where = f"@pytest.mark.{MARKER} of {item.nodeid}"
        if mark.args:
            raise SettingsError(
                f"{where}: the options are given by name, such as threads=4, not {', '.join(map(repr, mark.args))}."
            )
        layers.append(settings.parse(mark.kwargs, where, marker=True))
    return settings.resolve(layers), bool(near_to_far)


def _cannot(item: pytest.Item) -> str:
    if not isinstance(item, Function):
        return f"items of type {type(item).__name__} cannot be copied for each thread"
    unsafe = item.get_closest_marker("thread_unsafe")
    if unsafe is not None:
        reason = unsafe.kwargs.get("reason") or (unsafe.args[0] if unsafe.args else "")
        return f"marked thread_unsafe{f': {reason}' if reason else ''}"
    for name in item.fixturenames:
        if name in ONE_AT_A_TIME:
            return f"uses {name}, which {ONE_AT_A_TIME[name]}"
    return ""

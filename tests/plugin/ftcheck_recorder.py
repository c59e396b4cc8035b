"""A plugin for the runs under test: it writes down every report, and the plugin's own account of the run, as JSON.

Loaded with ``-p ftcheck_recorder``; the file is named by ``FTCHECK_TEST_RECORD``. What tests ask of a run (verdict,
phase, counts, thread numbers) is so read from values, not picked out of a terminal's text; that text, and the JUnit
file, have tests of their own. This is the only place in ``tests/plugin`` that knows an object of the plugin.
"""

import json
import os
import sys

reports = []


def pytest_runtest_logreport(report):
    reports.append({"test": report.nodeid, "when": report.when, "outcome": report.outcome, "text": report.longreprtext})


def pytest_collectreport(report):
    if report.failed:
        reports.append({"test": report.nodeid, "when": "collect", "outcome": "failed", "text": report.longreprtext})


def pytest_unconfigure(config):
    if hasattr(config, "workerinput"):
        return
    summary = config.pluginmanager.getplugin("ftcheck-summary")
    if summary is not None:
        from ftcheck.verdicts import to_plain  # not in a run that loads nothing of ours
    record = {
        "reports": reports,
        "run": None if summary is None else to_plain(summary.report()),
        "gil": sys._is_gil_enabled(),
    }
    with open(os.environ["FTCHECK_TEST_RECORD"], "w", encoding="utf-8") as file:
        json.dump(record, file)

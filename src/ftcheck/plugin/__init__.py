"""The pytest plugin: entry point and wiring. Everything else is in the modules of this folder.

A run has one process that prints and one or more that run tests. Without isolation they are the same.

======================  =====================================================================
``options.py``          what the run was asked to do
``selection.py``        which tests are rerun concurrently, and why the others are not
``session.py``          hooks where tests run
``marked.py``           the same, until the first marked test is seen, in a run that was not asked for
``running.py``          one test, rerun; what its outcome means to pytest
``clones.py``           a copy of a test for each thread, with fixtures of its own
``fixture_users.py``    who used a fixture whose teardown fails
``guard.py``            a worker's watch over itself
``evidence.py``         what a dying worker leaves behind
``isolation.py``        hooks of the process that controls workers
``summary.py``          hooks where things are printed: header, statuses, summary
======================  =====================================================================
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from ftcheck.interpreter import GilWatch
from ftcheck.plugin import options

_RUN = pytest.StashKey[options.RunOptions]()


_GIL = pytest.StashKey[GilWatch]()


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Watch the GIL before the first conftest.py is imported, if the run is ours."""
    asked = early_config.known_args_namespace
    if asked.ftcheck or asked.ftcheck_marked or early_config.getini("ftcheck"):
        early_config.stash[_GIL] = GilWatch()
        early_config.stash[_GIL].install()


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    run = config.stash[_RUN] = options.read(config)
    if run.isolate and not hasattr(config, "workerinput"):
        from ftcheck.plugin import isolation

        isolation.ask_for_worker(config)
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    options.register_marker(config)
    if _RUN not in config.stash:
        config.stash[_RUN] = options.read(config)
    run = config.stash[_RUN]
    plugins = config.pluginmanager
    in_worker = hasattr(config, "workerinput")
    distributing = not in_worker and config.getoption("dist", "no") != "no" and bool(config.getoption("tx", None))
    if not in_worker:
        from ftcheck.plugin.summary import SummaryPlugin

        plugins.register(SummaryPlugin(config, run), "ftcheck-summary")
    if distributing:
        if run.isolate:
            from ftcheck.plugin.isolation import IsolationPlugin

            plugins.register(IsolationPlugin(config, run), "ftcheck-isolation")
    elif run.asked or run.isolate:
        _run_tests_here(config, run)
    elif not run.off:
        from ftcheck.plugin.marked import MarkedOnly

        plugins.register(MarkedOnly(run), "ftcheck-marked-only")


def _run_tests_here(config: pytest.Config, run: options.RunOptions) -> None:
    from ftcheck.plugin.guard import Guard
    from ftcheck.plugin.isolation import evidence_folder
    from ftcheck.plugin.session import SessionPlugin

    place = evidence_folder(config)
    guard = None if place is None else Guard(*place)
    if guard is not None:
        guard.start()
    watch = config.stash.get(_GIL, None) or GilWatch()
    config.pluginmanager.register(SessionPlugin(run, guard, watch), "ftcheck-session")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    lost = getattr(config, "workerinput", {}).get("ftcheck_lost", ())
    relative = os.path.relpath(collection_path, config.rootpath).replace(os.sep, "/") if lost else ""
    return True if relative and relative in lost else None

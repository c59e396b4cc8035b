"""The pytest plugin: entry point and wiring. Everything else is in the modules of this folder.

A run has one process that prints and one or more that run tests. Without isolation they are the same.

======================  =====================================================================
``options.py``          what a run can be asked to do
``run_options.py``      what this one was asked to do
``selection.py``        which tests are rerun concurrently, and why the others are not
``asynchronous.py``     the same for coroutines: whose event loop can there be one of per thread?
``run_parallel.py``     names of pytest-run-parallel: its markers, ini options and fixtures
``their_markers.py``    what its markers ask of a test
``their_fixtures.py``   its fixtures
``cov.py``              pytest-cov beside workers that die
``session.py``          hooks where tests run
``marked.py``           the same in a run that was not asked for anything, where a marked test is seen
``running.py``          one test, rerun; what its outcome means to pytest
``subject.py``          that test as an engine sees it
``exploring.py``        one test, explored
``exploring_skips.py``  skips and other ends that are no failures, in one that is explored
``exploring_given.py``  Hypothesis tests, explored
``interpreting.py``     one test, in several interpreters
``given.py``            Hypothesis tests: what is found once is found
``drawn.py``            Hypothesis tests that draw interleavings
``watches.py``          what must not be done by two threads at a time, watched
``clones.py``           a copy of a test for each thread, with fixtures of its own
``plain.py``            the same where all that is to be done is to call functions
``own_fixtures.py``     temporary folders and subtests of such a copy
``parameters.py``       its parameters
``output.py``           what each thread prints and logs
``said.py``             the same, where it survives the process
``hooks.py``            hooks that we offer
``fixture_users.py``    who used a fixture whose teardown fails
``guard.py``            a worker's watch over itself
``boundary.py``         what a test did to the process it ran in
``tsan_log.py``         reports of the real ThreadSanitizer, given to tests
``tsan_rest.py``        what of these no test was given
``evidence.py``         what a dying worker leaves behind
``isolation.py``        hooks of the process that controls workers
``schedulers.py``       xdist's schedulers by scope, fit for workers that die
``workers.py``          worker processes, as that process sees them
``interrupt.py``        Ctrl-C and SIGTERM, there
``summary.py``          hooks where things are printed: header, statuses, summary
``classify.py``         failing tests, run again at the end: do they rely on the GIL?
``reruns.py``           the child interpreters for that
``rerun_child.py``      inside such a child
``sugar.py``            pytest-sugar is told of tests that were not checked
``built.py``            what `ftcheck build` has made is what tests import
``ending.py``           how a run ends: what it could not do, its exit status, its reports
``statics.py``          static state of extension modules: who writes it
``json_file.py``        the file of ``--ftcheck-json``
``junit.py``            pytest's JUnit file, completed
======================  =====================================================================

PYTEST_DONT_REWRITE: see ``ftcheck``.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from ftcheck.plugin import hooks, options, run_options, run_parallel

if TYPE_CHECKING:
    from ftcheck.interpreter import GilWatch
    from ftcheck.plugin.run_options import RunOptions

_RUN: pytest.StashKey[RunOptions] = pytest.StashKey()
_GIL: pytest.StashKey[GilWatch] = pytest.StashKey()


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser) -> Generator[None, object, object]:
    """All plugins are there, and no conftest.py is: what must be done in between."""
    run_parallel.add_ini(early_config, parser)
    asked = early_config.known_args_namespace
    if asked.ftcheck_built:
        from ftcheck.plugin import built

        built.use(early_config, asked.ftcheck_built)
    if asked.ftcheck or asked.ftcheck_marked or early_config.getini("ftcheck"):
        from ftcheck.interpreter import GilWatch

        early_config.stash[_GIL] = GilWatch()
        early_config.stash[_GIL].install()
    if run_options.needs_worker(early_config):
        from ftcheck.plugin import cov

        cov.prepare(asked)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    run = config.stash[_RUN] = run_options.read(config)
    if run.isolate and not hasattr(config, "workerinput"):
        from ftcheck.plugin import isolation

        isolation.ask_for_worker(config)
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    options.register_marker(config)
    if _RUN not in config.stash:
        config.stash[_RUN] = run_options.read(config)
    run = config.stash[_RUN]
    plugins = config.pluginmanager
    in_worker = hasattr(config, "workerinput")
    distributing = not in_worker and config.getoption("dist", "no") != "no" and bool(config.getoption("tx", None))
    if not in_worker and (distributing or run.asked or run.json is not None or run.min_concurrent_typed or run.statics):
        _report_here(config, run)
    if run.statics and not distributing:
        from ftcheck.plugin import statics

        statics.watch_here(config, run.statics)
    if distributing:
        if run.isolate:
            from ftcheck.plugin.isolation import IsolationPlugin
            from ftcheck.plugin.schedulers import Schedulers

            plugins.register(IsolationPlugin(config, run), "ftcheck-isolation")
            plugins.register(Schedulers(), "ftcheck-schedulers")
    elif run.asked or run.isolate:
        _run_tests_here(config, run)
    elif not run.off:
        plugins.register(_MarkedOnly(run), "ftcheck-marked-only")
    if config.option.ftcheck_tsan_log is not None:
        from ftcheck.plugin import tsan_log

        tsan_log.install(config, run)


class _MarkedOnly:
    """A run that was not asked for anything: until it turns out that a test has our marker, next to nothing is loaded."""

    def __init__(self, run: RunOptions) -> None:
        self._run = run
        self._marked: list[pytest.Item] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
        """A wrong marker is said even if its test is deselected; hooks of conftest files may add some."""
        self._check(options.carrying(items, options.MARKED), config)
        yield
        self._marked = options.carrying(items, options.MARKED)
        self._check(self._marked, config)
        if self._marked:
            from ftcheck.plugin import marked

            if not hasattr(config, "workerinput"):
                _report_here(config, self._run)
            marked.rerun(config, self._run)

    def _check(self, items: list[pytest.Item], config: pytest.Config) -> None:
        if items:
            from ftcheck.plugin import marked

            marked.check(items, config, self._run)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> Generator[None]:
        with run_parallel.left_unwrapped(session.config, self._marked):
            return (yield)


def _report_here(config: pytest.Config, run: RunOptions) -> None:
    """This process prints: what adds up the verdicts, classifies the failures and ends the run."""
    plugins = config.pluginmanager
    if plugins.hasplugin("ftcheck-summary"):
        return
    from ftcheck.plugin.classify import ClassifyPlugin
    from ftcheck.plugin.ending import EndingPlugin
    from ftcheck.plugin.summary import SummaryPlugin

    summary = SummaryPlugin(config, run)
    plugins.register(summary, "ftcheck-summary")
    if plugins.hasplugin("sugar") or plugins.hasplugin("pytest_sugar"):
        from ftcheck.plugin import sugar

        sugar.teach(config, summary.pytest_report_teststatus)
    if run.statics:
        from ftcheck.plugin import statics

        plugins.register(statics.StaticsBookPlugin(run.statics), statics.BOOK)
    plugins.register(ClassifyPlugin(config, run, summary), "ftcheck-classify")
    plugins.register(EndingPlugin(config, run, summary), "ftcheck-ending")


def _run_tests_here(config: pytest.Config, run: RunOptions) -> None:
    from ftcheck.forked import Forks
    from ftcheck.interpreter import GilWatch
    from ftcheck.plugin.boundary import Boundary
    from ftcheck.plugin.session import SessionPlugin

    guard = None
    if hasattr(config, "workerinput"):
        from ftcheck.plugin.guard import Guard, connection, evidence_folder

        place = evidence_folder(config)
        guard = None if place is None else Guard(*place, connection(config))
        if guard is not None:
            guard.start()
    watch = config.stash.get(_GIL, None) or GilWatch()
    forks = Forks()
    config.pluginmanager.register(SessionPlugin(run, guard, watch, forks), "ftcheck-session")
    config.pluginmanager.register(Boundary(config, run, forks, guard), "ftcheck-boundary")
    if run.asked and not hasattr(config, "workerinput"):
        from ftcheck.plugin.interrupt import EndInPeace

        config.pluginmanager.register(EndInPeace(), "ftcheck-interrupt")


def pytest_collection_finish(session: pytest.Session) -> None:
    if "hypothesis" in sys.modules:
        from ftcheck.plugin.drawn import Drawn

        session.config.pluginmanager.register(Drawn(), "ftcheck-drawn")


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> pytest.CollectReport | None:
    """A file or folder that has killed a worker is not imported again. It was reported then: here it is just empty."""
    lost = getattr(collector.config, "workerinput", {}).get("ftcheck_lost", ())
    return pytest.CollectReport(collector.nodeid, "passed", None, []) if collector.nodeid in lost else None

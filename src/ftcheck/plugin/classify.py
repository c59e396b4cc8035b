"""Whether failing tests rely on the GIL: asked at the end of the run, in the process that prints.

Each test that has failed, crashed, hung or deadlocked is run again in fresh interpreters (``reruns.py``): alone, in threads
without the GIL, in threads with it; :mod:`ftcheck.reliance` draws the conclusion. All of it together has a number of
seconds (``--ftcheck-classify``), of which each mode gets an equal share of what is left, so that some tests are
classified completely rather than all of them by half. Tests that hung come last, with a shorter timeout: they take the
most time and say the least.

This is done before any report is written, and after the workers are gone.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ftcheck import interpreter, reliance
from ftcheck.plugin.options import START
from ftcheck.plugin.run_options import RunOptions
from ftcheck.plugin.summary import SummaryPlugin
from ftcheck.verdicts import Finding, Reliance, RelianceKind, TestVerdict, Verdict

if TYPE_CHECKING:
    from ftcheck.plugin.reruns import Launch, Results, Suspect

_PLAIN = str | int | float
_STUCK = (Verdict.HANG, Verdict.DEADLOCK)


class ClassifyPlugin:
    """Registered as ``ftcheck-classify``, never in a worker."""

    def __init__(self, config: pytest.Config, run: RunOptions, summary: SummaryPlugin) -> None:
        self._config, self._run, self._summary = config, run, summary
        self._workerinput: dict[str, Any] = {}
        self._interrupted = False

    @pytest.hookimpl(trylast=True, optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """What other plugins give their workers, our children need as well."""
        self._workerinput = dict(node.workerinput)

    @pytest.hookimpl
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # -x and --maxfail come along here as well, as an ``Interrupted`` of pytest's or of xdist's own.
        self._interrupted = excinfo.type.__name__ != "Interrupted"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        if self._run.classify and session.exitstatus != pytest.ExitCode.INTERNAL_ERROR:
            self._classify()
        return (yield)

    def _classify(self) -> None:
        found = [test for test in self._summary.report().tests if test.asked and _symptoms(test)]
        serial = {test.test: test.reason for test in found if test.reason and test.coverage is None}
        for nodeid, why in serial.items():
            self._summary.classify(nodeid, reliance.failed_alone(why))
        tests = [test for test in found if test.test not in serial]
        if not tests:
            return
        if self._interrupted:
            for test in tests:
                self._summary.classify(test.test, reliance.not_classified("the run was interrupted"))
            return
        from ftcheck.plugin.reruns import Results

        results = Results()
        names = {self._in_child(test.test): test.test for test in tests}
        suspects = sorted((self._suspect(test) for test in tests), key=lambda suspect: suspect.stuck)
        cut = ""
        try:
            with _interruptible(), _temporary_folder() as folder:
                run_modes(suspects, results, self._how_to_launch(folder), self._run.classify, self._say)
        except KeyboardInterrupt:
            cut = "interrupted"
        except Exception as error:  # a full disk, no more processes: the findings must be printed all the same
            cut = f"the reruns failed: {type(error).__name__}: {error}"
        for name, nodeid in names.items():
            self._summary.classify(nodeid, self._conclusion(name, results, cut))

    def _conclusion(self, name: str, results: Results, cut: str) -> Reliance:
        from ftcheck.plugin.reruns import NO_TIME

        reruns = results.reruns.get(name, [])
        concluded = reliance.decide(
            reruns, needs_company=name in results.needs_company, had_gil=interpreter.gil_forced() is True
        )
        complete = concluded.kind is RelianceKind.FAILS_ALONE or len(reruns) == len(modes()) or name in results.serial
        if cut and not complete:
            return reliance.not_classified(cut, reruns)
        if concluded.kind is RelianceKind.NOT_CLASSIFIED and any(rerun.note == NO_TIME for rerun in reruns):
            why = f"the {self._run.classify:g} s for it were used up; --ftcheck-classify=SECONDS gives more"
            return reliance.not_classified(why, reruns)
        return concluded

    def _suspect(self, test: TestVerdict) -> Suspect:
        from ftcheck.plugin.reruns import Suspect

        stuck = any(finding.verdict in _STUCK for finding in _symptoms(test))
        return Suspect(self._in_child(test.test), max(2.0, self._run.classify / (12 if stuck else 6)), stuck)

    def _in_child(self, nodeid: str) -> str:
        """A node id without what ``--dist=loadgroup`` adds to it."""
        return nodeid.rpartition("@")[0] or nodeid if self._config.getoption("dist", "no") == "loadgroup" else nodeid

    def _say(self, line: str) -> None:
        terminal: Any = self._config.pluginmanager.getplugin("terminalreporter")
        if terminal is not None and self._config.get_verbosity() > -2:
            if terminal._tw.width_of_current_line:  # the dots
                terminal._tw.line()
            terminal.write_line(line)
            terminal.flush()

    # --- what the children are given --------------------------------------------------------------------------------

    def _how_to_launch(self, folder: Path) -> Launch:
        from ftcheck.plugin.reruns import Launch

        config = self._config
        path, environment = START
        given = self._given_to_workers()
        if self._run.isolate:
            environment = environment | {
                "PYTEST_XDIST_WORKER": "gw0",
                "PYTEST_XDIST_WORKER_COUNT": "1",
                "PYTEST_XDIST_TESTRUNUID": str(given["testrunuid"]),
            }
        return Launch(
            folder=folder,
            directory=config.invocation_params.dir,
            flags=() if self._run.isolate else _interpreter_flags(),
            path=path,
            environment=environment,
            arguments=self._arguments(),
            options=self._plain_options(),
            workerinput=given | {"ftcheck_seed": self._run.seed},
        )

    def _arguments(self) -> list[str]:
        arguments = [str(argument) for argument in self._config.invocation_params.args]
        if hasattr(self._config.option, "no_cov"):  # pytest-cov begins to write before anybody can say "worker"
            arguments.insert(arguments.index("--") if "--" in arguments else len(arguments), "--no-cov")
        return arguments

    def _plain_options(self) -> dict[str, str | float | None]:
        return {name: value for name, value in vars(self._config.option).items() if isinstance(value, _PLAIN | None)}

    def _given_to_workers(self) -> dict[str, Any]:
        """``workerinput`` as plugins have filled it, or would have; without what is no plain data."""
        given = self._workerinput
        if not self._config.pluginmanager.hasplugin("xdist"):
            given = self._plain_options()  # nobody prepares workers; what they would be given is, as a rule, an option
        elif not given:
            node = SimpleNamespace(config=self._config, workerinput=given, gateway=SimpleNamespace(id="gw0"))
            try:
                self._config.hook.pytest_configure_node(node=node)
            except Exception as error:  # a plugin that counts on workers, and there are none
                self._say(f"ftcheck: a plugin did not prepare its workers' input ({error!r}); the reruns do without it")
        return {"testrunuid": f"{self._run.seed}"} | {name: value for name, value in given.items() if _is_plain(value)}


def modes() -> tuple[tuple[str, str | None], ...]:
    """The modes of this interpreter, with ``PYTHON_GIL`` for each. Alone, it is as in the run itself."""
    forced = {True: "1", False: "0", None: None}[interpreter.gil_forced()]
    if not interpreter.free_threaded_build():
        return (reliance.ALONE, forced), (reliance.WITH, forced)
    return (reliance.ALONE, forced), (reliance.WITHOUT, "0"), (reliance.WITH, "1")


def run_modes(
    suspects: Sequence[Suspect], results: Results, launch: Launch, seconds: float, say: Callable[[str], None]
) -> None:
    """Run the suspects in one mode after the other; what is known of a test without it is not run in the next.

    :param say: gets a line as each mode begins.
    """
    from ftcheck.plugin.reruns import NO_TIME, Mode

    end = time.monotonic() + seconds
    left = list(suspects)
    for number, (name, gil) in enumerate(modes()):
        if not left:
            return
        now = time.monotonic()
        say(f"ftcheck: classifying {len(left)} failing test{'' if len(left) == 1 else 's'} ({name}) ...")
        Mode(name, gil, launch, results).run(left, now + (end - now) / (len(modes()) - number))
        left = [one for one in left if _worth_another(one.test, results, NO_TIME)]


def _worth_another(test: str, results: Results, no_time: str) -> bool:
    last = results.reruns[test][-1]
    if last.note == no_time or test in results.serial:
        return False
    return last.mode != reliance.ALONE or test in results.needs_company or (last.rounds > 0 and not last.failed)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let the first Ctrl-C (or SIGTERM, where it does not simply end the process) end the reruns, and nothing else.

    At this point the handlers of ``interrupt.py`` wait for a second one.
    """
    before: dict[int, Any] = {}

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for one in (signal.SIGINT, signal.SIGTERM):
            if callable(signal.getsignal(one)):
                before[one] = signal.signal(one, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    folder = tempfile.mkdtemp(prefix="ftcheck-classify-")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what is left of a full disk, or of a test, is no reason to fail


def _symptoms(test: TestVerdict) -> list[Finding]:
    return [finding for finding in test.findings if finding.can_be_classified and "::" in test.test]


def _is_plain(value: object) -> bool:
    try:
        json.dumps(value)
    except TypeError, ValueError:
        return False
    return True


def _interpreter_flags() -> Sequence[str]:
    """``-X``, ``-W`` and so on, as this interpreter has them, but for the GIL's."""
    import subprocess

    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    pairs = [number for number, flag in enumerate(flags) if flag.startswith("gil")]
    return [flag for number, flag in enumerate(flags) if number not in pairs and number + 1 not in pairs]

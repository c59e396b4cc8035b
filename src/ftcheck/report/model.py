"""What a run gave, as every face of the report shows it. It knows no engine and no pytest: they hand over values."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ftcheck.coverage import Coverage
from ftcheck.settings import Settings
from ftcheck.static_state import StaticState
from ftcheck.verdicts import Finding, Reliance, TestVerdict, Verdict, worst


@dataclass(frozen=True, slots=True)
class Machine:
    """What ran the tests. The state of the GIL is that of the process that prints, at the end.

    :param gil_forced: by ``PYTHON_GIL`` or ``-X gil``: True on, False off, None left to the imported modules.
    :param cpus: that the process may use.
    """

    python: str
    implementation: str
    free_threaded: bool
    gil: bool
    gil_forced: bool | None
    cpus: int
    platform: str
    ftcheck: str
    pytest: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended.

    :param exit_status: of the process.
    :param stopped: why it ended before every selected test had a result; empty where they all have one.
    :param troubles: what the run itself could not do, one line each: not a finding about any test.
    :param started: date and time in UTC, ISO 8601.
    :param seconds: wall-clock time from there to the end.
    """

    exit_status: int = 0
    stopped: str = ""
    troubles: tuple[str, ...] = ()
    started: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RunReport:
    """All verdicts of a run, and how to repeat it.

    :param interpreter: one line (:func:`ftcheck.interpreter.describe`).
    :param isolated: whether tests ran in worker processes.
    :param rerun: words to put behind ``pytest NODEID`` to run a test again under the same conditions.
    :param general: findings about no test in particular.
    :param why_not_isolated: where a run that was asked for stayed in one process.
    :param settings: of a test without a marker.
    :param arguments: of pytest, as they were typed.
    :param statics: who writes which static variable of extension modules; None: nobody asked.
    :param min_concurrent: the share of concurrent tests, from 0 to 1, below which the run has failed.
    """

    interpreter: str
    isolated: bool
    seed: int
    rerun: str
    tests: tuple[TestVerdict, ...]
    general: tuple[Finding, ...] = ()
    why_not_isolated: str = ""
    settings: Settings | None = None
    arguments: tuple[str, ...] = ()
    min_concurrent: float | None = None
    machine: Machine | None = None
    ending: Ending = Ending()
    statics: StaticState | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, the worst first; one that accuses several tests comes once."""
        seen = dict.fromkeys([*self.general, *(finding for test in self.tests for finding in test.findings)])
        return tuple(sorted(seen, key=lambda finding: finding.verdict.rank))

    def count(self, verdict: Verdict) -> int:
        """How many tests have this verdict."""
        return sum(test.verdict is verdict for test in self.tests)

    @property
    def concurrent(self) -> Share:
        """The tests that really ran concurrently, of all that the run asked for and that were not skipped by themselves."""
        asked = [test for test in self.tests if test.asked and test.verdict is not Verdict.SKIPPED]
        return Share(sum(test.concurrent for test in asked), len(asked))

    def again(self, nodeid: str, replay: str = "") -> str:
        """The command, as it is typed in a shell, that runs one test again under the same conditions.

        :param nodeid: as it is called in the folder where the command will be typed. What is no test has no such command.
        :param replay: the token of an interleaving: run just that.
        """
        if replay and "::" in nodeid:
            return f"pytest {shlex.quote(nodeid)} --ftcheck-replay={shlex.quote(replay)}"
        return f"pytest {shlex.quote(nodeid)} {self.rerun}".rstrip() if "::" in nodeid else ""


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    part: int
    whole: int

    @property
    def value(self) -> float | None:
        """From 0 to 1; None of nothing."""
        return self.part / self.whole if self.whole else None

    @property
    def percent(self) -> str:
        """Rounded down, so that it is never said to be reached before it is: ``81%``; ``<1%`` is not none."""
        whole = self.part * 100 // max(1, self.whole)
        return "<1%" if self.part and not whole else f"{whole}%"


@dataclass
class Book:
    """Collects what is seen of each test, phase by phase, and adds it up: the worst wins."""

    _seen: dict[str, list[Verdict]] = field(default_factory=dict)
    _findings: dict[str, list[Finding]] = field(default_factory=dict)
    _coverage: dict[str, Coverage] = field(default_factory=dict)
    _reasons: dict[str, str] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)
    _reliance: dict[str, Reliance] = field(default_factory=dict)

    def see(
        self,
        test: str,
        verdict: Verdict,
        *,
        coverage: Coverage | None = None,
        reason: str = "",
        findings: Iterable[Finding] = (),
        asked: bool = True,
    ) -> None:
        """One observation of one test.

        :param asked: whether the run asked for it to be rerun.
        """
        self._seen.setdefault(test, []).append(verdict)
        if asked:
            self._asked.add(test)
        if coverage is not None:
            self._coverage[test] = coverage
        if reason:
            self._reasons.setdefault(test, reason)
        for finding in findings:
            for accused in finding.tests:
                self._seen.setdefault(accused, []).append(finding.verdict)
                self._findings.setdefault(accused, []).append(finding)

    def classify(self, test: str, reliance: Reliance) -> None:
        """What reruns say about the failures of one test, and of no other."""
        self._reliance[test] = reliance

    def __bool__(self) -> bool:
        return bool(self._seen)

    def verdicts(self) -> tuple[TestVerdict, ...]:
        """Every test that was seen, in the order in which they were."""
        return tuple(self._verdict(test, seen) for test, seen in self._seen.items())

    def _verdict(self, test: str, seen: list[Verdict]) -> TestVerdict:
        verdict = worst(seen)
        coverage = self._coverage.get(test)
        reliance = self._reliance.get(test)
        findings = tuple(
            finding
            if finding.coverage or finding.phase != "call" or len(finding.tests) > 1
            else replace(finding, coverage=coverage)
            for finding in self._findings.get(test, ())
        )
        if reliance is not None:
            findings = tuple(
                replace(finding, reliance=reliance) if finding.can_be_classified else finding for finding in findings
            )
        return TestVerdict(test, verdict, coverage, self._reasons.get(test, ""), findings, test in self._asked)

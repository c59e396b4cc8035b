"""What a run gave, as every face of the report shows it. It knows no engine and no pytest: they hand over values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ftcheck.verdicts import Coverage, Finding, TestVerdict, Verdict, worst


@dataclass(frozen=True, slots=True)
class RunReport:
    """All verdicts of a run, and how to repeat it.

    :param interpreter: one line (:func:`ftcheck.interpreter.describe`).
    :param isolated: whether tests ran in worker processes.
    :param rerun: words to put behind ``pytest NODEID`` to run a test again under the same conditions.
    :param general: findings about no test in particular.
    """

    interpreter: str
    isolated: bool
    seed: int
    rerun: str
    tests: tuple[TestVerdict, ...]
    general: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, the worst first; one that accuses several tests comes once."""
        seen = dict.fromkeys([*self.general, *(finding for test in self.tests for finding in test.findings)])
        return tuple(sorted(seen, key=lambda finding: finding.verdict.rank))

    def count(self, verdict: Verdict) -> int:
        """How many tests have this verdict."""
        return sum(test.verdict is verdict for test in self.tests)


@dataclass
class Book:
    """Collects what is seen of each test, phase by phase, and adds it up: the worst wins."""

    _seen: dict[str, list[Verdict]] = field(default_factory=dict)
    _findings: dict[str, list[Finding]] = field(default_factory=dict)
    _coverage: dict[str, Coverage] = field(default_factory=dict)
    _reasons: dict[str, str] = field(default_factory=dict)

    def see(
        self,
        test: str,
        verdict: Verdict,
        *,
        coverage: Coverage | None = None,
        reason: str = "",
        findings: Iterable[Finding] = (),
    ) -> None:
        """One observation of one test."""
        self._seen.setdefault(test, []).append(verdict)
        if coverage is not None:
            self._coverage[test] = coverage
        if reason:
            self._reasons.setdefault(test, reason)
        for finding in findings:
            for accused in finding.tests:
                self._seen.setdefault(accused, []).append(finding.verdict)
                self._findings.setdefault(accused, []).append(finding)

    def __bool__(self) -> bool:
        return bool(self._seen)

    def verdicts(self) -> tuple[TestVerdict, ...]:
        """Every test that was seen, in the order in which they were."""
        return tuple(self._verdict(test, seen) for test, seen in self._seen.items())

    def _verdict(self, test: str, seen: list[Verdict]) -> TestVerdict:
        verdict = worst(seen)
        coverage = self._coverage.get(test)
        findings = tuple(
            finding
            if finding.coverage or finding.phase != "call" or len(finding.tests) > 1
            else replace(finding, coverage=coverage)
            for finding in self._findings.get(test, ())
        )
        return TestVerdict(test, verdict, coverage, self._reasons.get(test, ""), findings)

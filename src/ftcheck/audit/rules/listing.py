"""The words that ``ftcheck rules`` prints: findings by file, what was looked at, the list of rules, and a page for each."""

from __future__ import annotations

import dataclasses
import itertools
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ftcheck.audit.rules.families import RULES
from ftcheck.audit.rules.gates import ENOUGH, PRECISION, gating, precision, recall
from ftcheck.audit.rules.measured import MEASURED
from ftcheck.audit.rules.words import Looked, Rule, Scan, SourceFinding
from ftcheck.coverage import grouped

SCHEMA, VERSION = "ftcheck-rules", 1
_WIDTH = 100
_TIERS = {"A": "a flaw by itself", "B": "a flaw if the object is shared", "C": "a note"}


@dataclass(frozen=True, slots=True)
class Shown:
    """What is to be shown.

    :param only: these rules; empty: all. :param strict: all of tier A and B fail the run.
    """

    only: frozenset[str] = frozenset()
    notes: bool = False
    suppressed: bool = False
    skipped: bool = False
    strict: bool = False

    def wants(self, one: SourceFinding) -> bool:
        """Whether a finding is of the rules that are asked for."""
        return not self.only or one.rule in self.only


def failing(scanned: Scan, shown: Shown) -> list[SourceFinding]:
    """The findings that make the exit status 1."""
    return [one for one in scanned.active if shown.wants(one) and (one.gates or (shown.strict and one.tier != "C"))]


def text(scanned: Scan, shown: Shown, *, colour: bool) -> Iterator[str]:
    """Everything, as lines."""
    wanted = [one for one in scanned.findings if shown.wants(one)]
    listed = [
        one
        for one in wanted
        if (one.tier != "C" or shown.notes or one.rule in shown.only) and (not one.suppressed or shown.suppressed)
    ]
    fails = {id(one) for one in failing(scanned, shown)}
    for path, group in itertools.groupby(listed, key=lambda one: one.path):
        yield _styled(path, "1", colour)
        for one in group:
            yield from _finding(one, id(one) in fails, colour)
        yield ""
    if scanned.looked.total:
        yield from _summary(wanted, listed, len(fails))
    yield from _looked(scanned.looked, shown)


def _finding(one: SourceFinding, fails: bool, colour: bool) -> Iterator[str]:
    mark = _styled(one.rule, "31" if fails else "33" if one.tier != "C" else "2", colour)
    where = f"in {one.function}: " if one.function else ""
    yield f"  {one.line:>5}  {mark}  {where}{one.message}{' (fails the run)' if fails else ''}"
    if one.code:
        yield f"         {_styled(one.code[:_WIDTH], '2', colour)}"
    if one.suppressed:
        yield f"         suppressed: {one.suppressed}"


def _styled(words: str, code: str, colour: bool) -> str:
    return f"\x1b[{code}m{words}\x1b[0m" if colour else words


def _summary(wanted: Sequence[SourceFinding], listed: Sequence[SourceFinding], fails: int) -> Iterator[str]:
    active = [one for one in wanted if not one.suppressed]
    findings = [one for one in active if one.tier != "C"]
    notes = Counter(one.rule for one in active if one.tier == "C")
    suppressed = len(wanted) - len(active)
    first = f"{grouped(len(findings), 'finding')}, of which {fails:,} {'fails' if fails == 1 else 'fail'} the run"
    nothing = "nothing was found in what was looked at"
    if notes:
        nothing = f"no finding of tier A or B, {grouped(sum(notes.values()), 'note')}"
    yield first if findings else nothing
    if notes and not any(one.tier == "C" for one in listed):
        yield f"{grouped(sum(notes.values()), 'note')} ({_tally(notes)}): --notes lists them"
    if suppressed and not any(one.suppressed for one in listed):
        yield f"{suppressed:,} suppressed: --suppressed lists them with their reasons"


def _looked(looked: Looked, shown: Shown) -> Iterator[str]:
    languages = ", ".join(f"{name} {number:,}" for name, number in sorted(looked.files.items()))
    if looked.total:
        yield (
            f"looked at {grouped(looked.total, 'file')} ({languages}): {grouped(looked.functions, 'function')}, "
            f"{grouped(looked.calls, 'call')}, {grouped(looked.lines, 'line')}"
        )
    else:
        yield "no source file was looked at"
    if looked.undecided:
        yield f"{grouped(looked.undecided, 'condition')} of #if could not be decided: both branches were looked at"
    if looked.recovered:
        yield f"{grouped(looked.recovered, 'function')} with braces that do not match: ended at a brace in column 0"
    if looked.skipped and not shown.skipped:
        yield f"not looked at: {grouped(len(looked.skipped), 'file')}: --skipped lists them with the reasons"
    for one in looked.skipped if shown.skipped else ():
        yield f"not looked at: {one.path}: {one.reason}"
    for rule, group in itertools.groupby(looked.unchecked, key=lambda one: one[0]):
        reasons = [reason for _, reason in group]
        more = f" (and {len(reasons) - 3:,} more)" if len(reasons) > 3 else ""
        yield f"not checked: {rule}: {'; '.join(reasons[:3])}{more}"


def _tally(counts: Counter[str]) -> str:
    return ", ".join(f"{rule} {number:,}" for rule, number in sorted(counts.items()))


def plain(scanned: Scan, shown: Shown) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "findings": [dataclasses.asdict(one) for one in scanned.findings if shown.wants(one)],
        "failing": len(failing(scanned, shown)),
        "looked": dataclasses.asdict(scanned.looked),
    }


def rules(*, as_json: bool) -> Iterator[str]:
    """The list of rules."""
    if as_json:
        import json

        rows = [{**dataclasses.asdict(rule), **_measured(rule)} for rule in RULES.values()]
        yield json.dumps({"schema": f"{SCHEMA}-list", "version": VERSION, "rules": rows}, indent=1)
        return
    yield f"{'id':<6} {'tier':<4} {'fails':<5} {'right':<14} {'found':<12} {'name':<24} what was seen"
    for rule in RULES.values():
        yield (
            f"{rule.id:<6} {rule.tier:<4} {'yes' if gating(rule) else 'no':<5} {_share(rule, right=True):<14} "
            f"{_share(rule, right=False):<12} {rule.name:<24} {rule.title}{' (--clang)' if rule.needs == 'clang' else ''}"
        )
    yield ""
    yield f"tiers: {'; '.join(f'{tier}, {what}' for tier, what in _TIERS.items())}"
    yield "right: its labelled findings that are real. found: flaws in the samples that it finds. See docs/audit-rules.md"
    yield f"fails: it makes the exit status 1: of at least {ENOUGH} labelled findings at least {PRECISION:.0%} are real"


def _measured(rule: Rule) -> dict[str, Any]:
    return {"gates": gating(rule), "precision": precision(rule.id), "recall": recall(rule.id)}


def _share(rule: Rule, *, right: bool) -> str:
    real, false, plausible, found, missed = MEASURED.get(rule.id, (0, 0, 0, 0, 0))
    part, total = (real, real + false + plausible) if right else (found, found + missed)
    return f"{part / total:.0%} of {total:,}" if total else "not measured"


def page(rule: Rule) -> Iterator[str]:
    """What is to be known of one rule."""
    yield f"{rule.id} {rule.name}: {rule.title}"
    yield f"tier {rule.tier} ({_TIERS[rule.tier]}), for {', '.join(rule.languages)}" + (
        "; needs libclang (--clang)" if rule.needs == "clang" else ""
    )
    for head, words in (("why", rule.why), ("instead", rule.instead)):
        yield from ("", *_paragraph(head, words))
    for head, code in (("goes wrong", rule.bad), ("right", rule.good)):
        yield from ("", f"{head}:", "", *(f"    {line}" for line in code.splitlines()))
    if rule.limits:
        yield from ("", *_paragraph("limits", rule.limits))
    yield from ("", *_paragraph("measured", _told(rule)), "", *_paragraph("source", rule.source))
    mark = "#" if "C" not in rule.languages else "/*"
    yield from ("", f"to silence one: {mark} ftcheck: ignore[{rule.id}] the reason{' */' if mark == '/*' else ''}")


def _told(rule: Rule) -> str:
    real, false, plausible, found, missed = MEASURED.get(rule.id, (0, 0, 0, 0, 0))
    if not real + false + plausible + missed:
        return "no finding of it is labelled: how often it is right is not known. It does not fail a run."
    fails = "It fails a run." if gating(rule) else "It does not fail a run by itself."
    return (
        f"of {real + false + plausible:,} labelled findings {real:,} are real, {plausible:,} plausible, {false:,} false; "
        f"of {found + missed:,} flaws of its kind in the samples {found:,} are found. {fails}"
    )


def _paragraph(head: str, words: str) -> list[str]:
    return textwrap.wrap(f"{head}: {words}", _WIDTH, break_long_words=False, break_on_hyphens=False)

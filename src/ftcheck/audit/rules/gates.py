"""Which rules make the exit status 1: those of which it was measured that what they report is so.

A rule gates if, on the labelled corpus (``bench/audit_rules.py``), at least nine of ten of its findings were real ones,
out of at least :data:`ENOUGH`. What was labelled *plausible* counts as not real. A finding of tier C never gates.
"""

from __future__ import annotations

from ftcheck.audit.rules.measured import MEASURED
from ftcheck.audit.rules.words import Rule, Tier

PRECISION, ENOUGH = 0.9, 5


def precision(rule: str) -> float | None:
    """The share of its labelled findings that are real; None: none was labelled."""
    counts = MEASURED.get(rule)
    if counts is None or not counts[0] + counts[1] + counts[2]:
        return None
    return counts[0] / (counts[0] + counts[1] + counts[2])


def recall(rule: str) -> float | None:
    """The share of the flaws in the samples that it finds; None: none of the samples has one."""
    counts = MEASURED.get(rule)
    if counts is None or not counts[3] + counts[4]:
        return None
    return counts[3] / (counts[3] + counts[4])


def gating(rule: Rule, tier: Tier | None = None) -> bool:
    """Whether a finding of a rule makes the exit status 1.

    :param tier: that of the finding, where it is not the rule's.
    """
    if (tier or rule.tier) == "C":
        return False
    counts = MEASURED.get(rule.id, (0, 0, 0, 0, 0))
    share = precision(rule.id)
    return share is not None and share >= PRECISION and sum(counts[:3]) >= ENOUGH

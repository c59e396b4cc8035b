"""The table of rules, what was measured of them, and the labelled corpus."""

import re
import sys
from pathlib import Path

import pytest

from ftcheck.audit.rules import RULES, clang_facts, gates, measured

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from bench import audit_rules  # noqa: E402  # the folder is no installed package

PAGE = (ROOT / "docs" / "audit-rules.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_teaches(rule):
    assert re.fullmatch(r"FT\d{3}", rule.id)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)
    assert rule.tier in ("A", "B", "C")
    for words in (rule.title, rule.why, rule.instead, rule.bad, rule.good, rule.source):
        assert words.strip() == words != ""
    assert not rule.title.endswith(".")


def test_names_are_unique():
    assert len({rule.name for rule in RULES.values()}) == len(RULES)


@pytest.mark.parametrize(
    ("counts", "tier", "gates_"),
    [
        ((9, 1, 0, 0, 0), "A", True),
        ((9, 0, 1, 0, 9), "B", True),
        ((5, 0, 0, 0, 0), "B", True),
        ((4, 0, 0, 0, 0), "A", False),
        ((8, 1, 1, 0, 0), "A", False),
        ((90, 0, 11, 0, 0), "A", False),
        ((50, 0, 0, 0, 0), "C", False),
        ((0, 0, 0, 0, 0), "A", False),
    ],
)
def test_a_rule_gates_if_it_was_measured_to_be_right(monkeypatch, counts, tier, gates_):
    monkeypatch.setattr(gates, "MEASURED", {"FT103": counts})
    assert gates.gating(RULES["FT103"], tier) is gates_


def test_the_page_says_what_was_measured():
    """The generated table, the figures in the package and the rules that fail a run are one and the same."""
    begin, end = PAGE.index("<!-- measured -->"), PAGE.index("<!-- end -->")
    table = PAGE[begin:end].splitlines()[1 : 3 + len(RULES)]
    assert table == list(audit_rules.table(measured.MEASURED))
    said = {line.split()[1] for line in table if line.endswith("| yes |")}
    assert said == {rule.id for rule in RULES.values() if gates.gating(rule)}
    assert said, "no rule gates: the measuring has gone wrong"


@pytest.mark.parametrize("rule", RULES)
def test_the_page_names_every_rule(rule):
    assert rule in PAGE


def test_labels_of_packages_are_labels():
    import tomllib

    data = tomllib.loads((audit_rules.CORPUS / "packages.toml").read_text(encoding="utf-8"))
    labels = [(one["name"], audit_rules.label(row)) for one in data["package"] for row in one["labels"]]
    places = [(name, one.file, one.line, one.rule) for name, one in labels]
    assert len(set(places)) == len(places)
    assert len(data["package"]) >= 4


@pytest.mark.parametrize(
    "row",
    [
        ["a.c:1", "FT999", "real", "x"],
        ["a.c:1", "FT101", "maybe", "x"],
        ["a.c:1", "FT101", "real", ""],
        ["a.c", "FT101", "real", "x"],
    ],
)
def test_what_is_no_label(row):
    with pytest.raises(ValueError, match=r"label|invalid literal"):
        audit_rules.label(row)


def test_every_finding_in_the_samples_has_a_label():
    """And the figures of the samples are those that were measured: a change of a rule has to be measured again."""
    judged = list(audit_rules.samples())
    assert [row for one in judged for row in one.unlabelled] == []
    found = audit_rules.total(judged)
    clang = clang_facts.available()
    for rule, counts in measured.MEASURED.items():
        if RULES[rule].needs == "clang" and not clang:
            continue
        assert found.get(rule, (0,) * 5)[3:] == counts[3:], rule


def test_a_finding_without_a_label_is_told(scanned, tmp_path):
    done = scanned("static long a, b;\nvoid f(void) { a++; }\nvoid g(void) { b++; }\n")
    label = audit_rules.label(["module.c:2", "FT301", "real", "so it is"])
    gone = audit_rules.label(["module.c:9", "FT301", "real", "so it was"])
    judged = audit_rules.judge("x", done, tmp_path / "src", [label, gone], known=True)
    assert judged.counts["FT301"] == {"real": 1, "found": 1, "missed": 1}
    assert [row.split(",")[0] for row in judged.unlabelled] == ['["module.c:3"']
    assert judged.missed == ("module.c:9 FT301: so it was",)

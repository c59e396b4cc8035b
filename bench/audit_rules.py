"""How often are the source rules right, and what do they miss? The labelled corpus: our samples, and releases from PyPI.

``tests/audit/corpus/samples.toml`` labels ``ext_samples/``, ``packages.toml`` releases that are downloaded when this
runs. A label is a place, a rule, and a verdict that a person gave after reading the code:

real       two threads of Python code can make happen what the rule says (an inventory rule: what it says is so)
false      it cannot happen: nobody else has the object, a lock is held, it runs at import only
plausible  whether it can depends on what callers agree on, or it does no harm where it does

A finding without a label stops the measuring: it has to be read first. Precision is real / (real + false + plausible).
Recall is that of the samples only, whose flaws are known: of the packages nobody knows all of them. Notes of a rule
that is no note itself are not counted. ``--write`` puts the figures into ``src/ftcheck/audit/rules/measured.py`` and
``docs/audit-rules.md``. Needs libclang (``pip install libclang``) and, for the packages, the index.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.real_world import packages  # noqa: E402  # the folder is no installed package
from ftcheck.audit.rules import RULES, Scan, clang_facts, scan  # noqa: E402
from ftcheck.audit.rules.files import collect  # noqa: E402
from ftcheck.audit.rules.gates import ENOUGH, PRECISION  # noqa: E402

CORPUS = ROOT / "tests" / "audit" / "corpus"
MEASURED = ROOT / "src" / "ftcheck" / "audit" / "rules" / "measured.py"
PAGE = ROOT / "docs" / "audit-rules.md"
VERDICTS = ("real", "false", "plausible")


@dataclass(frozen=True, slots=True)
class Label:
    """What a person says of a place.

    :param line: None: of every finding of that rule in the file.
    """

    file: str
    line: int | None
    rule: str
    verdict: str
    why: str


@dataclass(frozen=True, slots=True)
class Judged:
    """One part of the corpus after a scan.

    :param counts: of each rule: real, false, plausible; in a sample also found and missed.
    :param seconds: with libclang, **alone**: without it; 0: not measured.
    :param unseen: it was added when the rules were done.
    :param unlabelled: findings that nobody has read. :param missed: real labels that were not found.
    """

    name: str
    counts: dict[str, Counter[str]]
    unlabelled: tuple[str, ...]
    missed: tuple[str, ...]
    lines: int
    seconds: float
    alone: float = 0.0
    unseen: bool = False


def label(row: Sequence[str]) -> Label:
    """A row of a label file.

    :raises ValueError: it is none.
    """
    at, rule, verdict, why = row
    file, _, line = at.rpartition(":")
    if rule not in RULES or verdict not in VERDICTS or not why or not file:
        raise ValueError(f"no label: {row}")
    return Label(file, None if line == "*" else int(line), rule, verdict, why)


def judge(name: str, scanned: Scan, root: Path, labels: Sequence[Label], *, known: bool) -> Judged:
    """Compare findings with labels.

    :param known: all flaws in it are labelled.
    """
    places: dict[tuple[str, int | None, str], Label] = {(one.file, one.line, one.rule): one for one in labels}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    seen: set[tuple[str, int | None, str]] = set()
    unlabelled = []
    for one in scanned.findings:
        file = Path(one.path).resolve().relative_to(root.resolve()).as_posix()
        note = one.tier == "C" and RULES[one.rule].tier != "C"
        for key in ((file, one.line, one.rule), (file, None, one.rule)):
            if key in places:
                seen.add(key)
                counts[one.rule][places[key].verdict] += not note
                counts[one.rule]["found"] += known and not note and places[key].verdict == "real"
                break
        else:
            if not note:
                unlabelled.append(f'["{file}:{one.line}", "{one.rule}", "", ""],  # {one.code}')
    missed = [one for key, one in places.items() if key not in seen and one.verdict == "real"]
    for gone in missed:
        counts[gone.rule]["missed"] += known
    text = tuple(f"{one.file}:{one.line} {one.rule}: {one.why}" for one in missed)
    return Judged(name, dict(counts), tuple(unlabelled), text, scanned.looked.lines, scanned.looked.seconds)


def samples() -> Iterator[Judged]:
    """Each sample by itself: it is one extension."""
    data = tomllib.loads((CORPUS / "samples.toml").read_text(encoding="utf-8"))
    labels = [label(row) for row in data["labels"]]
    root = ROOT / "ext_samples"
    for folder in sorted(path for kind in ("unsafe", "safe") for path in (root / kind).iterdir() if path.is_dir()):
        name = folder.relative_to(root).as_posix()
        mine = [one for one in labels if one.file.startswith(f"{name}/")]
        yield judge(name, scan([folder], clang=clang_facts.available()), root, mine, known=True)


def releases(wanted: Sequence[str]) -> Iterator[Judged]:
    """Each package of the corpus."""
    for one in tomllib.loads((CORPUS / "packages.toml").read_text(encoding="utf-8"))["package"]:
        if not wanted or one["name"] in wanted:
            yield _release(one)


def _release(one: dict[str, Any]) -> Judged:
    root = packages.sdist(one["name"], one["version"])
    leave = re.compile(one.get("leave", "(?!)"))
    found, _ = collect([root / path for path in one["paths"]])
    paths = [source.path for source in found if not leave.search(source.path.relative_to(root).as_posix())]
    labels, alone = [label(row) for row in one["labels"]], scan(paths).looked.seconds
    judged = judge(f"{one['name']} {one['version']}", scan(paths, clang=True), root, labels, known=False)
    return dataclasses.replace(judged, alone=alone, unseen=one.get("unseen", False))


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="these packages only; 'samples': the samples only")
    parser.add_argument("--write", action="store_true", help="write the figures into the package and the page")
    chosen = parser.parse_args()
    if not clang_facts.available():
        print(f"libclang is not there: {clang_facts.INSTALL}", file=sys.stderr)
        return 3
    judged: list[Judged] = []
    began = time.perf_counter()
    if not chosen.names or "samples" in chosen.names:
        judged += samples()
    if chosen.names != ["samples"]:
        for one in releases([name for name in chosen.names if name != "samples"]):
            print(f"{one.name:<28} {one.lines:>8,} lines in {one.seconds:6.1f} s, missed {len(one.missed)}", flush=True)
            judged.append(one)
    unlabelled = [f"{one.name}: {row}" for one in judged for row in one.unlabelled]
    totals = total(judged)
    print("\n".join(table(totals)))
    print(f"\n{summary(judged)} ({time.perf_counter() - began:.0f} s in all)")
    print("\n".join(["missed:", *(f"  {one.name}: {row}" for one in judged for row in one.missed)]))
    if unlabelled:
        print("\n".join(["these have no label; read the code, and add one:", *unlabelled]), file=sys.stderr)
        return 1
    if chosen.write and not chosen.names:
        write(totals, judged)
    return 0


type Counts = tuple[int, int, int, int, int]
"""Real, false, plausible; found and missed in the samples."""


def total(judged: Sequence[Judged]) -> dict[str, Counts]:
    """Over the whole corpus, by rule."""
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    for one in judged:
        for rule, counts in one.counts.items():
            totals[rule] += counts
    return {
        rule: tuple(totals[rule][one] for one in ("real", "false", "plausible", "found", "missed"))
        for rule in RULES
        if sum(totals[rule].values())
    }


def table(totals: dict[str, Counts]) -> Iterator[str]:
    """The table of the page."""
    yield "| rule | tier | real | plausible | false | precision | in samples | recall | fails a run |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for rule in RULES.values():
        real, false, plausible, found, missed = totals.get(rule.id, (0, 0, 0, 0, 0))
        shares = [
            f"{part / whole:.0%}" if whole else "not measured"
            for part, whole in ((real, real + false + plausible), (found, found + missed))
        ]
        gates = "yes" if _gates(rule.tier, totals.get(rule.id, (0, 0, 0, 0, 0))) else "no"
        samples = f"{found} of {found + missed} | {shares[1]}" if found + missed else "none | not measured"
        yield f"| {rule.id} {rule.name} | {rule.tier} | {real} | {plausible} | {false} | {shares[0]} | {samples} | {gates} |"


def _gates(tier: str, counts: Counts) -> bool:
    labelled = sum(counts[:3])
    return tier != "C" and labelled >= ENOUGH and counts[0] / labelled >= PRECISION


def summary(judged: Sequence[Judged]) -> str:
    """What was looked at, in a sentence."""
    unsafe = [one for one in judged if one.name.startswith("unsafe/")]
    safe = [one for one in judged if one.name.startswith("safe/")]
    others = [one for one in judged if one not in unsafe and one not in safe]
    # An inventory note does not count as having found a sample's flaw.
    found = sum(1 for one in unsafe if any(c["real"] for rule, c in one.counts.items() if RULES[rule].tier != "C"))
    accused = sum(
        1 for one in safe if any(c["false"] + c["plausible"] for rule, c in one.counts.items() if RULES[rule].tier != "C")
    )
    unseen: Counter[str] = Counter()
    for one in others:
        for rule, counts in one.counts.items():
            if one.unseen and RULES[rule].tier != "C":
                unseen += Counter({verdict: counts[verdict] for verdict in VERDICTS})
    lines = sum(one.lines for one in others)
    speed = "no package measured"
    if lines:
        alone, both = (lines / sum(getattr(one, name) for one in others) for name in ("alone", "seconds"))
        speed = f"{alone:,.0f} lines a second, with libclang {both:,.0f}"
    return (
        f"of {len(unsafe)} unsafe samples the flaw of {found} is found; {accused} of {len(safe)} safe samples are accused; "
        f"{len(others)} releases with {lines:,} lines; {speed}; in the {sum(one.unseen for one in others)} releases that "
        f"were added when the rules were done, of {unseen.total()} findings of tier A and B {unseen['real']} are real, "
        f"{unseen['plausible']} plausible, {unseen['false']} false"
    )


def write(totals: dict[str, Counts], judged: Sequence[Judged]) -> None:
    """Put the figures where they are read."""
    source = MEASURED.read_text(encoding="utf-8")
    rows = "".join(f'    "{rule}": {counts},\n' for rule, counts in totals.items())
    body = f"{{\n{rows}}}"
    MEASURED.write_text(
        re.sub(r"(MEASURED: [^=]*= )\{.*?\}", lambda found: found[1] + body, source, flags=re.DOTALL), encoding="utf-8"
    )
    page = PAGE.read_text(encoding="utf-8")
    text = "\n".join([*table(totals), "", f"{summary(judged)[0].upper()}{summary(judged)[1:]}."])
    PAGE.write_text(
        re.sub(
            r"(<!-- measured -->\n).*?(<!-- end -->)", lambda found: f"{found[1]}{text}\n{found[2]}", page, flags=re.DOTALL
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    sys.exit(main())

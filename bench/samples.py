"""How is each sample found, and how often? ``ext_samples/`` at default settings, with many seeds.

For each seed each half of the corpus is run once, ``pytest --ftcheck`` (2 threads on this machine, up to 200 rounds or one
second per test), and each sample's verdict is noted: in how many of the seeds the unsafe sample was found, and in how many
its corrected twin was accused (none may be). Those whose flaw has no effect that a test can see are skipped here:
`bench/native_samples.py` has them found. Then each unsafe sample is run once alone, for the seconds that this takes from the
start of the process to its end.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import Any

from bench.real_world import packages

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "ext_samples"
NAMES = sorted(path.parent.name for path in (SAMPLES / "unsafe").glob("*/test_*.py"))


def verdicts(folder: Path, seed: int) -> tuple[dict[str, str], float]:
    """One run: the verdict of each sample below a folder, and the seconds of the whole process."""
    report = packages.STORE / "samples.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    program = str(Path(sys.executable).with_name("pytest"))
    words = [
        program,
        "--ftcheck",
        f"--ftcheck-seed={seed}",
        "--ftcheck-classify=0",
        "-q",
        "--tb=no",
        "-p",
        "no:cacheprovider",
        f"--junitxml={report}",
    ]
    began = time.monotonic()
    subprocess.run([*words, str(folder)], cwd=ROOT, capture_output=True, check=False)
    seconds = time.monotonic() - began
    seen: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        given = [entry.get("value", "") for entry in case.iter("property") if entry.get("name") == "ftcheck_verdict"]
        seen[str(case.get("classname")).split(".")[-2]] = given[-1] if given else "no verdict"
    return seen, seconds


def run(seeds: int = 20) -> dict[str, Any]:
    """All seeds, both halves; then each unsafe sample alone."""
    found = {name: {"unsafe": Counter[str](), "safe": Counter[str]()} for name in NAMES}
    for seed in range(seeds):
        for kind in ("unsafe", "safe"):
            seen, seconds = verdicts(SAMPLES / kind, seed)
            print(f"seed {seed}, {kind}: {dict(Counter(seen.values()))}, {seconds:.0f} s", file=sys.stderr)
            for name in NAMES:
                found[name][kind][seen.get(name, "no verdict")] += 1
    rows = []
    for name in NAMES:
        _, seconds = verdicts(SAMPLES / "unsafe" / name, 0)
        row = {"name": name, "seconds": round(seconds, 1), **{kind: dict(found[name][kind]) for kind in found[name]}}
        rows.append(row)
        print(json.dumps(row), file=sys.stderr)
    return {"seeds": seeds, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table, one line for a sample and its twin."""
    seeds = result["seeds"]
    lines = ["| sample | found | verdicts | seconds, alone | twin accused |", "|---|--:|---|--:|--:|"]
    for row in result["rows"]:
        missed = sum(row["unsafe"].get(verdict, 0) for verdict in ("passed", "not checked", "no verdict"))
        found = "from the inside only" if row["unsafe"].get("skipped", 0) == seeds else f"{seeds - missed} of {seeds}"
        accused = seeds - row["safe"].get("passed", 0)
        shown = ", ".join(f"{verdict} {number}" for verdict, number in row["unsafe"].items())
        lines.append(f"| {row['name']} | {found} | {shown} | {row['seconds']} | {accused} of {seeds} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run(int(sys.argv[1]) if len(sys.argv) > 1 else 20)))

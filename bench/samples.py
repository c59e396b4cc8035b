"""How is each sample found, and how often? ``ext_samples/`` at default settings, with many seeds.

For each sample and seed one run of ``pytest --ftcheck`` in its own process. The table says in how many of the seeds the
unsafe sample was found, by which verdict, and after how long; and in how many the corrected twin was accused (none may be).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench.real_world import packages

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "ext_samples"


def run_sample(folder: Path, seed: int) -> dict[str, Any]:
    """One run: the verdict, the seconds from the start of the process to its end, what was run."""
    report = packages.STORE / "sample.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    program = str(Path(sys.executable).with_name("pytest"))
    words = [
        program,
        "--ftcheck",
        f"--ftcheck-seed={seed}",
        "-q",
        "--tb=no",
        "-p",
        "no:cacheprovider",
        f"--junitxml={report}",
    ]
    began = time.monotonic()
    done = subprocess.run([*words, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    try:
        verdicts, findings = packages.read_junit(report)
    except OSError:
        return {"verdict": "broken run", "seconds": seconds, "found": False, "detail": done.stdout[-500:]}
    verdict = next((verdict for verdict, _ in findings.values()), None) or next(iter(verdicts), "nothing ran")
    headline = next((headline for _, headline in findings.values()), "")
    return {"verdict": verdict, "seconds": round(seconds, 2), "found": bool(findings), "detail": headline}


def run(seeds: int = 20) -> dict[str, Any]:
    """All samples, all seeds."""
    rows = []
    for kind in ("unsafe", "safe"):
        for folder in sorted((SAMPLES / kind).iterdir()):
            if not any(folder.glob("test_*.py")):
                continue
            results = [run_sample(folder, seed) for seed in range(seeds)]
            seconds = [result["seconds"] for result in results]
            row = {
                "kind": kind,
                "name": folder.name,
                "found": sum(result["found"] for result in results),
                "verdicts": dict(Counter(result["verdict"] for result in results)),
                "seconds": {"median": round(statistics.median(seconds), 2), "max": max(seconds)},
                "example": results[0]["detail"],
            }
            rows.append(row)
            print(json.dumps(row), file=sys.stderr)
    return {"seeds": seeds, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table, one line for a sample and its twin."""
    seeds = result["seeds"]
    by_name: dict[str, dict[str, Any]] = {}
    for row in result["rows"]:
        by_name.setdefault(row["name"], {})[row["kind"]] = row
    lines = ["| sample | found | verdicts | seconds, median (max) | twin accused |", "|---|--:|---|--:|--:|"]
    for name, pair in by_name.items():
        bad, good = pair["unsafe"], pair["safe"]
        verdicts = ", ".join(f"{verdict} {number}" for verdict, number in bad["verdicts"].items())
        seconds = f"{bad['seconds']['median']} ({bad['seconds']['max']})"
        lines.append(f"| {name} | {bad['found']} of {seeds} | {verdicts} | {seconds} | {good['found']} of {seeds} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run(int(sys.argv[1]) if len(sys.argv) > 1 else 20)))

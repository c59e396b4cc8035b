"""Does what was found come back? Each program, a hundred times, in fresh processes, under load.

Every program of ``tests/programs/fails`` is explored once, until it fails. Then a hundred processes, each with another hash
seed, run each of the failing interleavings again, three of them for each CPU at a time, which is the load. A replay counts
as the same if it meets every decision where the token says, takes as many steps, and ends in the same way.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROCESSES = 100
REPLAY = """
import json, sys
from tests.explore.replays import Seen, difference
for name, found in json.load(open(sys.argv[1])).items():
    print(json.dumps([name, difference(name, Seen(**found))]), flush=True)
"""


def _one(file: str, hash_seed: int) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", REPLAY, file],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(ROOT)},
        check=False,
    )
    differences = dict(json.loads(line) for line in done.stdout.splitlines())
    return differences if done.returncode == 0 else differences | {"": done.stderr[-2000:]}


def run(processes: int = PROCESSES) -> dict[str, Any]:
    """All programs in each of so many processes."""
    from tests.explore.replays import FAILS, find

    at_once = 3 * (os.cpu_count() or 1)
    found = {}
    for name in FAILS:
        found[name] = find(name)
        print(json.dumps({"program": name, "steps": found[name].steps}), file=sys.stderr)
    same = dict.fromkeys(FAILS, 0)
    different: dict[str, list[str]] = {}
    loads = []
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        file = Path(folder) / "found.json"
        file.write_text(json.dumps({name: asdict(seen) for name, seen in found.items()}))
        for number, differences in enumerate(pool.map(lambda seed: _one(str(file), seed), range(1, processes + 1)), 1):
            loads.append(os.getloadavg()[0])
            for name in FAILS:
                difference = differences.get(name, "not run: " + differences.get("", ""))
                same[name] += not difference
                if difference:
                    different.setdefault(name, []).append(difference)
            print(json.dumps({"process": number, "all the same": not different, "load": loads[-1]}), file=sys.stderr)
    return {
        "processes": processes,
        "at once": at_once,
        "load under way": round(sum(loads) / len(loads), 1),
        "rows": [
            {"program": name, "same": same[name], "steps": found[name].steps, "different": different.get(name, [])[:3]}
            for name in FAILS
        ],
    }


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table."""
    rows, processes = result["rows"], result["processes"]
    whole = sum(row["same"] == processes for row in rows)
    lines = [
        f"{whole} of {len(rows)} programs came back {processes} of {processes} times, at a load of "
        f"{result['load under way']} on average ({result['at once']} processes at a time).",
        "",
        "| program | points | the same | otherwise |",
        "|---|--:|--:|---|",
    ]
    for row in rows:
        text = row["different"][0].partition("\n")[0].replace("|", "\\|") if row["different"] else ""
        lines.append(f"| {row['program']} | {row['steps']} | {row['same']} of {processes} | {text} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    print(table(run(int(sys.argv[1]) if len(sys.argv) > 1 else PROCESSES)))

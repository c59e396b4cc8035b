"""``make bench``: all measurements, on an idle machine. Writes ``bench/results/*.json`` and ``bench/README.md``.

python bench/run.py [PART ...], where the parts are those of PARTS below
"""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench import (  # noqa: E402  # the folder is no installed package
    audit_truth,
    classify_cost,
    explore_cost,
    explore_first_bug,
    explore_peers,
    explore_speed,
    native_cost,
    native_explore,
    native_samples,
    off_cost,
    overlap,
    replay,
    rerun_cost,
    samples,
)
from ftcheck import interpreter  # noqa: E402

RESULTS = ROOT / "bench" / "results"
PARTS: dict[str, tuple[str, ModuleType]] = {
    "overlap": ("Do the threads of a test run at the same moment?", overlap),
    "off_cost": ("What does the plugin cost where nobody asks for it?", off_cost),
    "rerun_cost": ("What does it cost to rerun a test in threads?", rerun_cost),
    "classify_cost": ("What does it cost to classify failing tests?", classify_cost),
    "explore_speed": ("How fast is the controlled engine?", explore_speed),
    "explore_cost": ("What does completeness cost?", explore_cost),
    "explore_first_bug": ("How many schedules until the first bug?", explore_first_bug),
    "replay": ("Does what was found come back?", replay),
    "explore_peers": ("How do other explorers do on the same programs?", explore_peers),
    "audit_truth": ("Does the audit predict what imports do?", audit_truth),
    "samples": ("How is each sample found?", samples),
    "native_cost": ("What does it cost to watch an extension from the inside?", native_cost),
    "native_explore": ("Does the explorer find the flaw of each sample extension?", native_explore),
    "native_samples": ("Is each data race found from the inside?", native_samples),
}


def main() -> int:
    """Run the named parts, or all; then write the page from every result there is."""
    names = sys.argv[1:] or list(PARTS)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"bench: no part {', '.join(unknown)}; there are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"bench: the load is {load:.1f}; the figures mean something on an idle machine only", file=sys.stderr)
    RESULTS.mkdir(exist_ok=True)
    for name in names:
        print(f"==> {name}", file=sys.stderr)
        result: dict[str, Any] = PARTS[name][1].run()
        result["interpreter"], result["load"], result["machine"] = interpreter.describe(), round(load, 2), platform.machine()
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    (ROOT / "bench" / "README.md").write_text(page())
    fill(ROOT / "README.md", overlap.table(json.loads((RESULTS / "overlap.json").read_text())))
    return 0


def page() -> str:
    """The page with a table for each part."""
    parts = ["# Measurements\n\nWritten by `make bench`; do not edit. Each part's file says what is measured and how.\n"]
    for name, (title, module) in PARTS.items():
        file = RESULTS / f"{name}.json"
        if file.exists():
            result = json.loads(file.read_text())
            where = f"{result['interpreter']}, {result['machine']}, load {result['load']} at the start"
            explained = (module.__doc__ or "").partition("\n\n")[2].strip()
            parts.append(f"## {title}\n\n`bench/{name}.py`; {where}.\n\n{explained}\n\n{module.table(result)}\n")
    return "\n".join(parts)


def fill(readme: Path, table: str) -> None:
    """Put a table between the two marks in the README."""
    text = readme.read_text()
    start, end = "<!-- bench:overlap -->", "<!-- /bench -->"
    if start in text and end in text:
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(end)
        readme.write_text(f"{before}{start}\n{table}\n{end}{after}")


if __name__ == "__main__":
    sys.exit(main())

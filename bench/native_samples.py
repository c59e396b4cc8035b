"""Is each sample's data race found from the inside? ``ext_samples/`` as ftcheck-cc compiles it, with gcc and with clang.

For each compiler and each seed both halves of the corpus are run once, ``pytest --ftcheck --ftcheck-rounds=20``. In an
unsafe sample comments mark the lines of the race: it is found if a race between the two lines is reported, and no other race
than those of marked lines. Its corrected twin is accused if anything at all is reported. A sample whose flaw is no race in C
(its header says ``Race: none``) must not have one reported; the other engine finds it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "ext_samples"
NAMES = sorted(path.parent.name for path in (SAMPLES / "unsafe").glob("*/test_*.py"))
COMPILERS = {
    name: pair for name, pair in {"gcc": "g++", "clang": "clang++"}.items() if shutil.which(name) and shutil.which(pair)
}
ROUNDS = 20
OUTSIDE = "outside"
"""Stands for the line of an access that is in no file of the sample: the interpreter gives memory back."""
_MARK = re.compile(r"(?:/\*|//|#) race(?:: (?P<side>1|2|too))?(?P<outside>; 2 is in Python)?(?: \*/)?$")
_FRAME = re.compile(r"    (?P<file>[^/\s]+):(?P<line>\d+) in ")

type Place = str
"""``file.c:18``, or OUTSIDE."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What the comments of a sample say.

    :param first, second: the lines of the race; one of them with one of these.
    :param too: lines that may be in a report as well, in consequence.
    :param none: the header says that there is no race.
    """

    first: frozenset[Place]
    second: frozenset[Place]
    too: frozenset[Place]
    none: bool

    def judge(self, races: Iterable[frozenset[Place]]) -> str:
        """What is wrong with the races that were reported; empty: nothing."""
        seen = list(races)
        if self.none:
            return f"there is none, and reported is {_listed(seen)}" if seen else ""
        known = self.first | self.second | self.too
        if other := [pair for pair in seen if not pair <= known]:
            return f"at other lines: {_listed(other)}"
        if not any(min(pair) in a and max(pair) in b for pair in seen for a, b in self._sides):
            return f"not between the marked lines: {_listed(seen)}" if seen else "nothing is reported"
        return ""

    @property
    def _sides(self) -> tuple[tuple[frozenset[Place], frozenset[Place]], ...]:
        return (self.first, self.second), (self.second, self.first)


def marks(folder: Path) -> Marks:
    """The marks in the sources of a sample."""
    lines: dict[str, set[Place]] = {"1": set(), "2": set(), "too": set(), "": set()}
    none = False
    for file in folder.iterdir():
        if file.suffix not in {".c", ".cpp", ".h", ".pyx", ".py"} or file.name.startswith("test_"):
            continue
        for number, text in enumerate(file.read_text().splitlines(), 1):
            if match := _MARK.search(text):
                lines[match["side"] or ""].add(f"{file.name}:{number}")
                if match["outside"]:
                    lines["too" if match["side"] == "too" else "2"].add(OUTSIDE)
            none = none or re.match(r"(?: \* )?Race: +none", text) is not None
    return Marks(frozenset(lines["1"] | lines[""]), frozenset(lines["2"] | lines[""]), frozenset(lines["too"]), none)


def only_from_the_inside(folder: Path) -> bool:
    """Whether the header of a sample says that no test can see its flaw."""
    return any(re.search(r"(?m)^ \* Shows: +only from the inside", file.read_text()) for file in folder.glob("unsafe_*.c*"))


def races(detail: str, files: frozenset[str]) -> list[frozenset[Place]]:
    """The races in the text of a finding, each as the places of its two accesses (one, where both are at one line)."""
    found = []
    for part in re.split(r"(?m)^data race.* seen .*:$", detail)[1:]:
        sides: list[Place] = []
        for text in part.splitlines():
            if re.match(r"  \S.*: (atomic )?(read|write|free)( before)?$", text):
                sides.append(OUTSIDE)
            elif (match := _FRAME.match(text)) and sides and sides[-1] == OUTSIDE and match["file"] in files:
                sides[-1] = f"{match['file']}:{match['line']}"
            elif sides and not text.startswith("  "):
                break
        found.append(frozenset(sides))
    return found


def build(compiler: str, into: Path) -> None:
    """All samples as ftcheck-cc compiles them with one compiler.

    :raises RuntimeError: one cannot be built.
    """
    bin = Path(sys.executable).parent
    done = subprocess.run(
        [sys.executable, str(SAMPLES / "build.py")],
        env=surroundings(into) | {
            "CC": str(bin / "ftcheck-cc"), "FTCHECK_CC": compiler,
            "CXX": str(bin / "ftcheck-c++"), "FTCHECK_CXX": COMPILERS[compiler],
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


def surroundings(built: Path) -> dict[str, str]:
    """The environment in which tests find the samples that were built there."""
    return {**os.environ, "EXT_SAMPLES_BUILT": str(built)}


def seen(built: Path, verdict: str, seed: int, names: Iterable[str] = ()) -> dict[str, list[frozenset[Place]]]:
    """One run of one half of the corpus: the races that are reported in each sample.

    :param verdict: ``"unsafe"`` or ``"safe"``.
    :param names: only these samples.
    :raises RuntimeError: the run has left no report.
    """
    folders = [str(SAMPLES / verdict / name) for name in names] or [str(SAMPLES / verdict)]
    words = ["--ftcheck", f"--ftcheck-rounds={ROUNDS}", f"--ftcheck-seed={seed}", "--ftcheck-classify=0"]
    with tempfile.TemporaryDirectory() as work:
        report = Path(work) / "report.json"
        words += ["-q", "--tb=no", "-p", "no:cacheprovider", f"--ftcheck-json={report}"]
        command = [sys.executable, "-m", "pytest", *words, *folders]
        done = subprocess.run(command, cwd=ROOT, env=surroundings(built), capture_output=True, text=True, check=False)
        if not report.exists():
            raise RuntimeError(done.stdout + done.stderr)
        content = json.loads(report.read_text())
    found: dict[str, list[frozenset[Place]]] = {_sample(one["test"]): [] for one in content["tests"]}
    for finding in content["findings"]:
        for name in {_sample(test) for test in finding["tests"]}:
            files = {file.name for file in (SAMPLES / verdict / name).iterdir() if not file.name.startswith("test_")}
            found.setdefault(name, []).extend(races(finding["detail"] or "", frozenset(files)))
    return found


def _sample(test: str) -> str:
    return test.partition("::")[0].split("/")[-2]


def _listed(pairs: Iterable[frozenset[Place]]) -> str:
    return ", ".join(sorted({" and ".join(sorted(pair)) for pair in pairs}))


def run(seeds: int = 20) -> dict[str, Any]:
    """Each compiler, all seeds, both halves."""
    rows = [
        {"name": name, **{compiler: {"found": 0, "accused": 0, "wrong": []} for compiler in COMPILERS}} for name in NAMES
    ]
    for compiler in COMPILERS:
        with tempfile.TemporaryDirectory() as folder:
            build(compiler, Path(folder))
            for seed in range(seeds):
                halves = {verdict: seen(Path(folder), verdict, seed) for verdict in ("unsafe", "safe")}
                for row in rows:
                    name, cell = row["name"], row[compiler]
                    wrong = marks(SAMPLES / "unsafe" / name).judge(halves["unsafe"].get(name, []))
                    accused = _listed(halves["safe"].get(name, []))
                    cell["found"] += not wrong
                    cell["accused"] += bool(accused)
                    cell["wrong"] += [f"seed {seed}: {one}" for one in (wrong, accused and f"safe: {accused}") if one]
                bad = {row["name"]: row[compiler]["wrong"][-1] for row in rows if row[compiler]["wrong"]}
                print(f"{compiler}, seed {seed}: {bad}", file=sys.stderr, flush=True)
    return {"seeds": seeds, "rounds": ROUNDS, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table, one line for a sample and its twin."""
    seeds = result["seeds"]
    compilers = [key for key in result["rows"][0] if key != "name"]
    lines = [
        "| sample |" + "".join(f" {compiler}: as marked | twin reported |" for compiler in compilers) + " otherwise |",
        "|---|" + "--:|--:|" * len(compilers) + "---|",
    ]
    for row in result["rows"]:
        none = " (none)" if marks(SAMPLES / "unsafe" / row["name"]).none else ""
        cells = [f" {row[one]['found']} of {seeds} | {row[one]['accused']} of {seeds} |" for one in compilers]
        wrong = [f"{one}, {row[one]['wrong'][0]}" for one in compilers if row[one]["wrong"]]
        lines.append(f"| {row['name']}{none} |{''.join(cells)} {'; '.join(wrong)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(run(int(sys.argv[1]) if len(sys.argv) > 1 else 20)))

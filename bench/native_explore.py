"""Does the explorer find the flaw of each sample extension, and does it come back?

``ext_samples/`` as ftcheck-cc compiles it, with gcc; the corrected twins with clang, too. The tests are the samples'
own, made small: numbers above four at the head of a test file (how often, how large) become two, because the explorer
needs a few operations where the parallel engine needs thousands. Each is explored once with each seed, with default
settings: in how many of the seeds the unsafe sample was found, after how many schedules, and in how many its corrected
twin was accused (400 schedules each; none may be). Then what was found with the last seed is pinned to its test
(``replay=``), and a hundred processes, each with another hash seed, run all of these again. Nothing in it depends on
time, so as many processes run at once as there are processors.

*Not under its control*: the import of these turns the GIL on, or their flaw is in Python code.
"""

from __future__ import annotations

import ast
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "ext_samples"
SEEDS = 20
PROCESSES = 100
SCHEDULES = 400
FOUND_WITH = "gcc"
"""The compiler of the unsafe samples."""
_LARGE = 4


class _Smaller(ast.NodeTransformer):
    """Numbers and texts at the head of a test file; not how deep something is nested, which is one letter so many times."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        letter = isinstance(node.left, ast.Constant) and isinstance(node.left.value, bytes) and len(node.left.value) == 1
        return node if letter else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if type(node.value) is int and node.value > _LARGE:
            return ast.Constant(2)
        if isinstance(node.value, bytes):
            return ast.Constant(node.value[:_LARGE])
        return node


def small(source: str, marker: str) -> str:
    """A test file with smaller numbers, and with this in the place of its ``ftcheck`` markers."""
    tree = ast.parse(source)
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            of_the_sample = isinstance(statement.value, ast.Attribute)  # such as its capacity
            statement.value = ast.Constant(2) if of_the_sample else _Smaller().visit(statement.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = [
                ast.parse(marker, mode="eval").body if ast.unparse(one).startswith("pytest.mark.ftcheck") else one
                for one in node.decorator_list
            ]
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def write_tests(into: Path, verdict: str, names: Iterable[str], pins: Mapping[str, str] | None) -> None:
    """Write small test files of samples, explored; or with what was found pinned to them.

    :param pins: replay tokens by the name of the sample.
    """
    for name in names:
        source = (SAMPLES / verdict / name / f"test_{verdict}_{name}.py").read_text()
        marker = f"pytest.mark.ftcheck(replay={pins[name]!r})" if pins is not None else "pytest.mark.ftcheck(explore=True)"
        (into / f"test_{verdict}_{name}.py").write_text(small(source, marker))
    (into / "conftest.py").write_text("import os, sys\n\nsys.path.insert(0, os.environ['EXT_SAMPLES_BUILT'])\n")
    (into / "pytest.ini").write_text("[pytest]\n")


def names_of(verdict: str) -> list[str]:
    """All samples of one half of the corpus."""
    return sorted(path.parent.name for path in (SAMPLES / verdict).glob("*/test_*.py"))


def report_of(folder: Path, built: Path, *options: str, hash_seed: str = "") -> dict[str, Any]:
    """What ``pytest --ftcheck`` says of the tests in a folder.

    :raises RuntimeError: there is no report.
    """
    report = folder / "report.json"
    surroundings = {
        **os.environ,
        "EXT_SAMPLES_BUILT": str(built),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(built), os.environ.get("PYTHONPATH")))),
        **({"PYTHONHASHSEED": hash_seed} if hash_seed else {}),
    }
    words = ["-q", "--tb=no", "-p", "no:cacheprovider", "--ftcheck-classify=0", f"--ftcheck-json={report}", *options]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "."],
        cwd=folder,
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )
    if not report.exists():
        raise RuntimeError(done.stdout + done.stderr)
    content: dict[str, Any] = json.loads(report.read_text())
    report.unlink()
    return content


def findings(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The findings of a report, by the name of the sample."""
    return {
        re.sub(r"^test_(unsafe|safe)_|\.py$", "", Path(test.partition("::")[0]).name): one
        for one in report["findings"]
        for test in one["tests"]
    }


def schedules(finding: dict[str, Any]) -> int | None:
    """After how many schedules it was found; None: its headline does not say."""
    match = re.search(r"\(schedule (\d+)", finding["headline"])
    return int(match[1]) if match else None


def scope_of(verdict: str, names: Iterable[str]) -> list[str]:
    """The option for samples that are Python modules beside their extension: these are no part of the test's folder."""
    in_python = [f"{verdict}_{name}" for name in names if (SAMPLES / verdict / name / f"{verdict}_{name}.py").exists()]
    return [f"--ftcheck-scope={','.join(in_python)}"] if in_python else []


def explore(built: Path, verdict: str, names: Iterable[str], seed: int) -> dict[str, dict[str, Any]]:
    """Explore samples once; the findings by name."""
    with tempfile.TemporaryDirectory() as work:
        write_tests(Path(work), verdict, names, None)
        return findings(report_of(Path(work), built, "--ftcheck", f"--ftcheck-seed={seed}", *scope_of(verdict, names)))


def replay(folder: Path, built: Path, hash_seed: int) -> dict[str, str]:
    """Run pinned interleavings once more; the headlines of what failed, by name."""
    with tempfile.TemporaryDirectory() as work:
        for file in folder.iterdir():
            (Path(work) / file.name).write_bytes(file.read_bytes())
        scope = scope_of("unsafe", (file.stem.removeprefix("test_unsafe_") for file in folder.glob("test_*.py")))
        report = report_of(Path(work), built, "--ftcheck-marked", "-n", "1", *scope, hash_seed=str(hash_seed))
    return {name: one["headline"] for name, one in findings(report).items()}


def kind(headline: str) -> str:
    """What a finding is, without how it came about."""
    return re.sub(r"\d+", "N", re.sub(r"( \(and \d+ more\))? \((schedule|replayed).*", "", headline))


def run(seeds: int = SEEDS, processes: int = PROCESSES, names: Iterable[str] = ()) -> dict[str, Any]:
    """All samples."""
    from bench import native_samples

    chosen = list(names) or names_of("unsafe")
    twins = [one for one in chosen if one in names_of("safe")]
    with tempfile.TemporaryDirectory() as work, concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        built = {compiler: Path(work) / compiler for compiler in native_samples.COMPILERS}
        for compiler, into in built.items():
            native_samples.build(compiler, into)
        found: dict[str, list[int | None]] = {name: [] for name in chosen}
        accused = {compiler: dict.fromkeys(chosen, 0) for compiler in built}
        verdicts: dict[str, dict[str, int]] = {name: {} for name in chosen}
        pins: dict[str, str] = {}
        wanted: dict[str, str] = {}

        def explored(seed: int) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, dict[str, Any]]]]:
            unsafe = explore(built[FOUND_WITH], "unsafe", chosen, seed)
            safe = {compiler: explore(into, "safe", twins, seed) for compiler, into in built.items()}
            print(
                f"seed {seed}: {len(unsafe)} found, {sum(map(len, safe.values()))} twins accused",
                file=sys.stderr,
                flush=True,
            )
            return unsafe, safe

        for unsafe, safe in pool.map(explored, range(1, seeds + 1)):
            for name, one in unsafe.items():
                found[name].append(schedules(one))
                verdicts[name][one["verdict"]] = verdicts[name].get(one["verdict"], 0) + 1
                if one["replay"]:
                    pins[name], wanted[name] = one["replay"], kind(one["headline"])
            for compiler, some in safe.items():
                for name in some:
                    accused[compiler][name] += 1
        pinned = Path(work) / "pinned"
        pinned.mkdir()
        write_tests(pinned, "unsafe", pins, pins)
        same = dict.fromkeys(pins, 0)
        for headlines in pool.map(lambda number: replay(pinned, built[FOUND_WITH], number), range(1, processes + 1)):
            for name in pins:
                same[name] += kind(headlines.get(name, "")) == wanted[name]
    rows = [
        {
            "sample": name,
            "found": len(found[name]),
            "verdicts": verdicts[name],
            "schedules": sorted(number for number in found[name] if number is not None),
            "replayed": same.get(name),
            "accused": {compiler: some[name] for compiler, some in accused.items()},
        }
        for name in chosen
    ]
    return {"seeds": seeds, "processes": processes, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """The result as a Markdown table."""
    seeds, processes = result["seeds"], result["processes"]
    compilers = ", ".join(result["rows"][0]["accused"])
    lines = [
        f"| sample | found | as | schedules: median | most | replayed | twin accused ({compilers}) |",
        "|---|--:|---|--:|--:|--:|--:|",
    ]
    for row in result["rows"]:
        numbers = row["schedules"]
        replayed = "" if row["replayed"] is None else f"{row['replayed']} of {processes}"
        as_what = ", ".join(f"{verdict} {count}" for verdict, count in row["verdicts"].items()) or "not under its control"
        middle, most = (numbers[len(numbers) // 2], numbers[-1]) if numbers else ("", "")
        accused = ", ".join(f"{number} of {seeds}" for number in row["accused"].values())
        lines.append(
            f"| {row['sample']} | {row['found']} of {seeds} | {as_what} | {middle} | {most} | {replayed} | {accused} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    numbers = [int(word) for word in sys.argv[1:] if word.isdecimal()]
    print(table(run(*numbers, names=[word for word in sys.argv[1:] if not word.isdecimal()])))

"""Real extensions from the inside: built from unmodified sdists by ``ftcheck-cc``, and run under ``pytest --ftcheck``.

    python -m bench.real_world.native [NAME ...] [--write | --page | --list]

Well-kept extensions run their own concurrent tests, or a case of ours where the sdist has none, and nothing may be reported
that is not explained. A mutant is the same sdist with a header given to the compiler (``-include``) that makes its critical
sections or locks nothing; it, and releases with a known bug, must be reported. ``--write`` puts what came out into
``results/real_native.json`` and docs/real-world.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.real_world import packages
from bench.real_world.native_catalog import CASES, Extension, load
from bench.real_world.packages import ROOT, STORE, Unavailable
from bench.real_world.run import NATIVE
from bench.real_world.run import write as write_page
from ftcheck import interpreter

SHOWN = 3
"""Races of a mutant or a bug whose whole report is kept in the results."""
USUAL = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=5", "--ftcheck-seed=1")
_FRAME = re.compile(r"    (\S+:\d+) in (\S+)")
_PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "-q"]


def tools(needs: Iterable[str]) -> Path:
    """A folder with what an extension is built with."""
    wanted = sorted(needs)
    return packages.install(f"native-tools-{_short('|'.join(wanted))}", wanted) if wanted else STORE


def sources(one: Extension) -> Path:
    """The unpacked sdist; pip asks its build backend about it, so that has to be there."""
    os.environ["PIP_NO_BUILD_ISOLATION"] = "0"  # what pip calls "no" here
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(tools(one.needs))
    try:
        return packages.sdist(one.name, one.version)
    finally:
        del os.environ["PIP_NO_BUILD_ISOLATION"]
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


def build(one: Extension) -> Path:
    """The extension, built by ``ftcheck-cc``, in a folder of its own.

    It is built again when the compiler, its wrapper or the header is another.

    :raises Unavailable: it could not be got or built.
    """
    header = CASES / one.header if one.header else None
    wrapper = (ROOT / "src" / "ftcheck" / "native" / "compiler.py").read_text()
    stamp = _short(_compiler(), wrapper, header.read_text() if header else "", sys.version)
    target = STORE / "native" / one.key
    if (target / ".done").exists() and (target / ".done").read_text() == stamp:
        return target
    shutil.rmtree(target, ignore_errors=True)
    place = STORE / "native" / f"{one.key}-build"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(sources(one), place)
    environment = {**os.environ, **one.environment, "CC": _command("ftcheck-cc"), "CXX": _command("ftcheck-c++")}
    environment["PYTHONPATH"] = str(tools(one.needs))
    if header:
        environment["CFLAGS"] = f"{os.environ.get('CFLAGS', '')} -include {header}".strip()
    words = ["install", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target), "."]
    done = subprocess.run([*_PIP, *words], cwd=place, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or not list(target.rglob(f"*{sysconfig.get_config_var('SHLIB_SUFFIX')}")):
        raise Unavailable(f"{one.key} could not be built: {done.stderr[-500:]}")
    (target / ".done").write_text(stamp)
    return target


def place(one: Extension) -> Path:
    """A fresh folder with the tests."""
    folder = STORE / "run" / f"native-{one.key}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (STORE / "pytest.ini").write_text("[pytest]\n")
    (folder / "pytest.ini").write_text("[pytest]\n")
    if not one.tests:
        shutil.copytree(CASES / (one.case or one.name), folder, dirs_exist_ok=True)
        return folder
    for part in (*one.tests, *one.copy):
        part = part.partition("::")[0]
        source, target = sources(one) / part, folder / Path(part).name
        shutil.copytree(source, target, dirs_exist_ok=True) if source.is_dir() else shutil.copy2(source, target)
    return folder


def try_extension(one: Extension) -> dict[str, Any]:
    """Build it, run it, and say what was reported."""
    target, folder = build(one), place(one)
    report = STORE / "log" / f"native-{one.key}.json"
    report.unlink(missing_ok=True)
    words = [*USUAL, f"--ftcheck-json={report}", *one.words]
    words += [Path(test.partition("::")[0]).name + "".join(test.partition("::")[1:]) for test in one.tests] or ["."]
    given = {**one.environment, **({"PYTHON_GIL": "0"} if one.gil else {})}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    began = time.monotonic()
    try:
        result = packages.run_pytest(words, cwd=folder, path=[target], log=f"native-{one.key}", timeout=900)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    if not report.exists():
        raise Unavailable(f"no report of {one.key}: {result.output[-500:]}")
    row = read(json.loads(report.read_text()))
    if one.expect == "races":  # of a hundred, a few are enough to read
        row["races"] = {race: said if number < SHOWN else "" for number, (race, said) in enumerate(row["races"].items())}
    return row | {"seconds": round(time.monotonic() - began, 1), "compiler": _compiler(), "modules": _modules(target)}


def read(report: dict[str, Any]) -> dict[str, Any]:
    """What a report of ``--ftcheck-json`` says: verdicts, rounds, and the distinct races."""
    verdicts: dict[str, int] = {}
    rounds = overlapped = 0
    races: dict[str, str] = {}
    for test in report["tests"]:
        verdicts[test["verdict"]] = verdicts.get(test["verdict"], 0) + 1
        rounds += (test["coverage"] or {}).get("rounds", 0)
        overlapped += (test["coverage"] or {}).get("overlapped", 0)
    for finding in report["findings"]:
        for headline, text in distinct(finding["detail"] or ""):
            races.setdefault(headline, text)
    return {"verdicts": verdicts, "rounds": rounds, "overlapped": overlapped, "races": races,
            "others": sorted(_others(report))}  # fmt: skip


def _others(report: dict[str, Any]) -> set[str]:
    """What was found besides races."""
    return {
        f"{finding['verdict']}: {finding['headline']}".splitlines()[0][:200].replace(f"{ROOT}{os.sep}", "")
        for finding in report["findings"]
        if finding["verdict"] != "data race"
    }


def distinct(text: str) -> list[tuple[str, str]]:
    """The races in the text of a finding: ``write at a.c:1 in f, read at b.c:2 in g``, sorted; and what is said of each.

    Two with the same two lines, and the same kind of access to them, are one.
    """
    found: dict[str, str] = {}
    for block in re.split(r"(?m)^(?=data race[^\n]*, seen )", text):
        if not block.startswith("data race"):
            continue
        sides, lines = [], block.splitlines()
        for number, line in enumerate(lines):
            if (side := re.match(r"  \S.*?: ((?:atomic )?(?:read|write)|free)( before)?\b", line)) is not None:
                frame = _FRAME.match(lines[number + 1]) if number + 1 < len(lines) else None
                sides.append(f"{side[1]} at {frame[1]} in {frame[2]}" if frame else f"{side[1]} in the interpreter")
        found.setdefault(", ".join(sorted(sides)), block.strip())
    return list(found.items())


def as_expected(one: Extension, row: dict[str, Any]) -> bool:
    """Whether it came out as the catalogue says."""
    if "unavailable" in row:
        return False
    if one.expect == "races":  # it may have died in its first round
        return bool(row["races"])
    return (
        row["rounds"] > 0 and not row["others"] and all(one.explanation(race, said) for race, said in row["races"].items())
    )


def line(row: dict[str, Any]) -> str:
    """One line about a row."""
    if "unavailable" in row:
        return f"not available: {row['unavailable']}"
    verdicts = ", ".join(f"{number} {verdict}" for verdict, number in row["verdicts"].items()) or "nothing ran"
    others = f"; {'; '.join(row['others'])}" if row["others"] else ""
    return f"{verdicts}; {row['rounds']} rounds, {len(row['races'])} distinct races in {row['seconds']:.0f} s{others}"


def _modules(target: Path) -> int:
    return len(list(target.rglob(f"*{sysconfig.get_config_var('SHLIB_SUFFIX')}")))


def _compiler() -> str:
    """The real one, and its version."""
    name = os.environ.get("FTCHECK_CC") or next((one for one in ("gcc", "clang", "cc") if shutil.which(one)), "")
    done = subprocess.run([name, "-dumpversion"], capture_output=True, text=True, check=False) if name else None
    return f"{Path(name).name} {done.stdout.strip()}" if done else "none"


def _command(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _short(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def write(rows: dict[str, Any]) -> None:
    """Put these rows among the results, and write the page again."""
    outcome = json.loads(NATIVE.read_text()) if NATIVE.exists() else {"rows": {}}
    outcome |= {"interpreter": interpreter.describe(), "rows": {**outcome["rows"], **rows}}
    NATIVE.write_text(json.dumps(outcome, indent=1, sort_keys=True) + "\n")
    write_page({})


def main() -> int:
    """Run the entries; exit status 1 where something did not come out as it must."""
    parser = argparse.ArgumentParser(prog="python -m bench.real_world.native", description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", help="entries of the catalogue (default: all)")
    parser.add_argument("--write", action="store_true", help="put the new results into the JSON file and the page")
    parser.add_argument("--page", action="store_true", help="only write the page again, from the results that are there")
    parser.add_argument("--list", action="store_true", help="list the entries")
    asked = parser.parse_args()
    every = {one.key: one for one in load()}
    if asked.list:
        print("\n".join(f"{one.key}  ({one.name} {one.version}, {one.kind})" for one in every.values()))
        return 0
    if unknown := sorted(set(asked.names) - set(every)):
        parser.error(f"no such entry: {', '.join(unknown)}; --list shows what there is")
    if asked.page:
        write_page({})
        return 0
    good = True
    for one in [every[name] for name in asked.names] or list(every.values()):
        print(f"{one.key} ...", end=" ", flush=True)
        try:
            row = try_extension(one)
        except Unavailable as error:
            row = {"unavailable": str(error)}
        print(line(row), flush=True)
        good &= as_expected(one, row)
        if asked.write:
            write({one.key: row})
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

"""Installs releases side by side, unpacks their sdists, and runs pytest on them.

Each release gets a folder of its own (``pip install --target``) that only its own run has on ``PYTHONPATH``, so that two
releases of one package can be tried in one go. A suite is run in a copy of its sdist, or of a part of it, so that nothing
is ever written into the sdist. Everything lives in ``build/real/`` and is downloaded once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STORE = ROOT / "build" / "real"
CONFIGURATION = ("pyproject.toml", "pytest.ini", "setup.cfg", "tox.ini", "conftest.py")
"""Files that tell pytest how a project wants to be tested: they come along with every part of an sdist."""
_PLUGINS = ("-p", "ftcheck", "-p", "xdist")
_PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "-q"]


class Unavailable(Exception):
    """A release could not be got or built; the message says why, and what to do."""


@dataclass(frozen=True)
class Result:
    """One pytest run.

    :param status: pytest's exit status.
    :param verdicts: how many tests got each verdict of ftcheck; a test without one counts as pytest's outcome.
    :param findings: test id to verdict and headline, for all that failed.
    """

    status: int
    output: str
    verdicts: Counter[str] = field(default_factory=Counter)
    findings: dict[str, tuple[str, str]] = field(default_factory=dict)


def install(name: str, requirements: Sequence[str]) -> Path:
    """Install into ``build/real/NAME`` if that was not done, without what the environment has already.

    :raises Unavailable: pip failed.
    """
    target = STORE / name
    done = target / ".done"
    wanted = "\n".join([sys.version, *requirements])
    if done.exists() and done.read_text() == wanted:
        return target
    shutil.rmtree(target, ignore_errors=True)
    _pip(["install", "--no-compile", "--target", str(target), *requirements])
    done.write_text(wanted)
    return target


def sdist(name: str, version: str) -> Path:
    """The unpacked source distribution.

    :raises Unavailable: it could not be downloaded.
    """
    folder = STORE / "sdist" / f"{name}-{version}"
    if (folder / ".done").exists():
        return next(path for path in folder.iterdir() if path.is_dir())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _pip(["download", "--no-deps", "--no-binary", name, "-d", str(folder), f"{name}=={version}"])
    archive = next(path for path in folder.iterdir() if path.name.endswith(".tar.gz"))
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    (folder / ".done").touch()
    return next(path for path in folder.iterdir() if path.is_dir())


def workplace(name: str, version: str, copy: Sequence[str] | None) -> Path:
    """A fresh folder, ``build/real/run/NAME-VERSION``, with what a suite is run from.

    :param copy: the files and folders of the sdist that are needed, besides :data:`CONFIGURATION`. A suite that is run in
        the whole sdist (None) would often test the sdist's own package folder instead of the release that is installed,
        because pytest, or its configuration, puts that folder first on ``sys.path``. Empty: no sdist at all, for tests
        that are part of the installed package.
    :raises Unavailable: the sdist could not be downloaded, or has no such file.
    """
    folder = STORE / "run" / f"{name}-{version}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # Where a project has no configuration of its own, pytest's search for one ends here, not at that of ftcheck.
    (STORE / "pytest.ini").write_text("[pytest]\n")
    if copy is not None and not copy:
        return folder
    source = sdist(name, version)
    if copy is None:
        shutil.copytree(source, folder, dirs_exist_ok=True)
        return folder
    for part in [*copy, *(file for file in CONFIGURATION if (source / file).exists())]:
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        try:
            if (source / part).is_dir():
                shutil.copytree(source / part, folder / part)
            else:
                shutil.copy2(source / part, folder / part)
        except FileNotFoundError:
            raise Unavailable(f"the sdist of {name} {version} has no {part}") from None
    return folder


def _pip(words: list[str]) -> None:
    done = subprocess.run([*_PIP, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip()][-3:]
        raise Unavailable(f"pip {' '.join(words)} failed: {' '.join(last)}")


def run_pytest(words: Sequence[str], *, cwd: Path, path: Sequence[Path] = (), log: str, timeout: float = 1800) -> Result:
    """Run pytest in a process of its own and read its JUnit file.

    Of the plugins in the environment only those that ftcheck needs are loaded: pytest-randomly or pytest-asyncio would
    change how a suite runs that was not made for them. A suite that needs one names it (``-p``).

    :param path: folders that come first on ``sys.path``.
    :param log: what it prints is kept in ``build/real/log/LOG.txt``.
    """
    output = STORE / "log" / f"{log}.txt"
    output.parent.mkdir(parents=True, exist_ok=True)
    report = output.with_suffix(".xml")
    report.unlink(missing_ok=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    environment.pop("PYTEST_ADDOPTS", None)
    program = [str(Path(sys.executable).with_name("pytest")), *_PLUGINS, "-p", "no:cacheprovider", f"--rootdir={cwd}"]
    with output.open("w") as file:
        try:
            status = subprocess.run(
                [*program, f"--junitxml={report}", *words],
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            return Result(-1, f"not over after {timeout:.0f} s; see {output}")
    text = output.read_text(errors="replace")
    try:
        return Result(status, text, *read_junit(report))
    except (OSError, ElementTree.ParseError) as error:
        return Result(status, f"{text}\nno JUnit file: {error}")


def read_junit(path: Path) -> tuple[Counter[str], dict[str, tuple[str, str]]]:
    """Verdict counts and findings from a JUnit file of a run under ftcheck."""
    counts: Counter[str] = Counter()
    findings: dict[str, tuple[str, str]] = {}
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        given = [entry.get("value", "") for entry in case.iter("property") if entry.get("name") == "ftcheck_verdict"]
        bad = [child for child in case if child.tag in ("failure", "error")]
        skipped = any(child.tag == "skipped" for child in case)
        verdict = given[-1] if given else "failed" if bad else "skipped" if skipped else "passed"
        if bad and verdict in ("passed", "not checked"):
            verdict = "error"
        counts["skipped" if skipped and not bad else verdict] += 1
        if bad:
            findings[name] = (verdict, (bad[0].get("message") or "").splitlines()[0][:300])
    return counts, findings

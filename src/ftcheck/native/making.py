"""The steps of ``ftcheck build``: get the source, have pip build it with ``ftcheck-cc``, put what comes out in its place.

All that pip and the compiler print is in one log, which is kept where a step fails.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ftcheck.native import toolchain

OURS = ".ftcheck"
"""In a build: the source, the log, and what was built."""
_TAIL = 25
_PATIENCE = 5.0
"""Seconds until a pip that does not stop is killed."""
_DERIVED = {"build", "dist", ".venv", "venv", ".tox", ".nox", OURS, "node_modules",
            ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis"}  # fmt: skip
"""At the top of a source tree, and none of it. (``.git`` is: setuptools-scm and its like ask it for the version.)"""
_ARCHIVE = re.compile(r"\.(tar\.\w+|tgz|zip)$")
_PREPARES = re.compile(rb"Installing build dependencies|Getting requirements to build|Preparing metadata")
_TICK = 0.05
_BUILT_THERE = re.compile(r"\.(cpython|pypy)-\w+(-[\w-]+)?\.so$|\.abi3t?\.so$")


class BuildError(Exception):
    """It could not be built. The message says why, and what to do.

    :param usage: because the command line is wrong.
    """

    def __init__(self, message: str, usage: bool = False) -> None:
        super().__init__(message)
        self.usage = usage


@dataclass(frozen=True, slots=True)
class Source:
    """A source tree to build in.

    :param label: name and version, so far as they are known.
    :param original: what a copy was made from.
    :param kept: the copy is all there is.
    """

    folder: Path
    label: str
    original: Path
    kept: bool


class Job:
    """The steps, each with what it prints in one log."""

    def __init__(
        self, work: Path, tools: Path, cache: Path, place: Path, pip_options: Sequence[str], say: Callable[[str], None]
    ) -> None:
        self._tools = tools  # setuptools takes a space in CC for the end of a word: not in a folder of the user's
        self._work, self._cache, self._place, self._options, self._say = work, cache, place, pip_options, say
        self._log = work / "build.log"
        self._label = "project"
        self.made = work / "made"

    # -- the source ------------------------------------------------------------------------------------------------

    def source(self, what: str) -> Source:
        path = Path(what)
        if path.is_dir():
            if not any((path / name).exists() for name in ("pyproject.toml", "setup.py")):
                raise BuildError(f"{path} is no project: it has neither pyproject.toml nor setup.py", usage=True)
            self._label = path.resolve().name
            self._say(f"copying {path}")
            try:
                shutil.copytree(path, self._work / "source", symlinks=True, ignore=_left_behind(path))
            except OSError as error:
                raise BuildError(f"{path} cannot be copied: {error}") from None
            return Source(self._work / "source", self._label, path.resolve(), kept=False)
        if path.is_file():
            if path.suffix == ".whl":
                raise BuildError(
                    f"{path} is built already: name a source distribution (.tar.gz), or a source tree", usage=True
                )
            return self._unpacked(path)
        if (os.sep in what and "@" not in what) or what.startswith("."):
            raise BuildError(f"there is no {what}", usage=True)
        return self._unpacked(self._download(what))

    def _download(self, what: str) -> Path:
        try:
            name = Requirement(what).name
        except InvalidRequirement as error:
            raise BuildError(
                f"{what!r} is neither a path nor a requirement: {str(error).splitlines()[0]}", usage=True
            ) from None
        self._label = canonicalize_name(name)
        folder = self._work / "download"
        self._say(f"getting the source of {what}")
        words = ["download", "--no-deps", "--no-binary", name, "--dest", str(folder), *self._options, what]
        temporary = self._work / "tmp"
        temporary.mkdir()
        early: list[Path] = []

        def is_there() -> bool:
            """Whether the archive is: then pip begins to build for the metadata, with some backends all of the project."""
            if not early and _PREPARES.search(self._log.read_bytes()):
                early.extend(one for one in temporary.glob("pip-unpack-*/*") if _ARCHIVE.search(one.name))
            return bool(early)

        status = self._pip(words, {"TMPDIR": str(temporary)}, is_there)
        if early:
            return early[0]
        if status != 0:
            said = self._log.read_text(encoding="utf-8", errors="replace")
            if "No matching distribution" in said or "Could not find a version" in said:
                raise BuildError(
                    self.kept_log(
                        f"the index has no source distribution of {what}. Get its source tree and run: ftcheck build PATH"
                    )
                )
            raise BuildError(self._failed(f"the source of {what} could not be got ready"))
        return next(folder.iterdir())

    def _unpacked(self, archive: Path) -> Source:
        label = _ARCHIVE.sub("", archive.name)
        self._label = label
        folder = self._work / "unpacked"
        try:
            if zipfile.is_zipfile(archive):
                with zipfile.ZipFile(archive) as one:
                    one.extractall(folder)
            else:
                with tarfile.open(archive) as other:
                    other.extractall(folder, filter="data")
        except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise BuildError(f"{archive} cannot be unpacked: {error}", usage=True) from None
        found = [one for one in folder.iterdir() if one.is_dir()]
        inner = found[0] if len(found) == 1 else folder
        inner.rename(self._work / "source")
        return Source(self._work / "source", label, archive.resolve(), kept=True)

    # -- building --------------------------------------------------------------------------------------------------

    def wheel(self, source: Source, choice: Mapping[str, str], named: Path) -> Path:
        """:param named: what the source folder is called in reports."""
        self._say(f"building {self._label} with {choice['FTCHECK_CC']}")
        words = [
            "wheel",
            "--verbose",
            "--no-deps",
            "--wheel-dir",
            str(self._work / "wheel"),
            *self._options,
            str(source.folder),
        ]
        if self._pip(words, self._environment(choice, source.folder, named)) != 0:
            raise BuildError(self._failed(f"{self._label} could not be built"))
        return next((self._work / "wheel").glob("*.whl"))

    def _environment(self, choice: Mapping[str, str], source: Path, named: Path) -> Mapping[str, str]:
        mapped = f"-fdebug-prefix-map={source}={named}"
        cc = shlex.split(choice["FTCHECK_CC"])
        cxx = shlex.split(choice.get("FTCHECK_CXX", "")) or toolchain.plus_plus(cc)
        changes = {
            "CC": self._script("ftcheck-cc", "cc"),
            "CXX": self._script("ftcheck-c++", "cxx"),
            "FTCHECK_CC": shlex.join([*cc, mapped]),
            "SKBUILD_INSTALL_STRIP": "false",  # scikit-build-core takes the lines away otherwise
        }
        if cxx and shutil.which(cxx[0]):
            changes["FTCHECK_CXX"] = shlex.join([*cxx, mapped])
        return changes

    def _script(self, name: str, function: str) -> str:
        """The compiler, for an environment in which installed packages cannot be seen."""
        script = self._tools / name
        root = str(Path(toolchain.__file__).parents[2])
        program = (
            f"import sys; sys.path.insert(0, {root!r}); from ftcheck.native import compiler; sys.exit(compiler.{function}())"
        )
        script.write_text(
            f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -c {shlex.quote(program)} "$@"\n', encoding="utf-8"
        )
        script.chmod(0o755)
        return str(script)

    def unpack(self, wheel: Path) -> None:
        words = ["install", "--no-deps", "--no-index", "--no-compile", "--target", str(self.made), str(wheel)]
        if self._pip(words, {}) != 0:
            raise BuildError(self._failed(f"{wheel.name} could not be unpacked"))

    def finish(self, final: Path, source: Source, facts: str) -> None:
        """Put everything in its place, all at once.

        :param facts: what was built, as JSON.
        """
        ours = self.made / OURS
        ours.mkdir()
        self._log.rename(ours / "build.log")
        if source.kept:
            source.folder.rename(ours / "source")
        (ours / "built.json").write_text(facts + "\n", encoding="utf-8")
        if final.exists():
            final.rename(self._work / "old")
        self.made.rename(final)

    # -- pip and its log -------------------------------------------------------------------------------------------

    def _pip(self, words: Sequence[str], changes: Mapping[str, str], enough: Callable[[], bool] | None = None) -> int:
        """:param enough: asked again and again; pip is stopped when it is so."""
        environment = {name: value for name, value in os.environ.items() if name != toolchain.INSIDE}
        environment.update(changes)
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *words]
        command += ["--cache-dir", str(self._cache)] if words[0] != "install" else []
        with open(self._log, "ab") as log:
            log.write(f"$ {shlex.join(command)}\n".encode())
            log.flush()
            with subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment, process_group=0
            ) as running:
                try:
                    while enough is not None and running.poll() is None:
                        if enough():
                            _end(running)
                        time.sleep(_TICK)
                    return running.wait()
                except BaseException:  # Ctrl-C: nothing that it has started goes on in a folder that is gone
                    _end(running)
                    raise

    def kept_log(self, message: str) -> str:
        """The message, and where the whole log is now."""
        kept = self._place / f"{self._label}.log"
        shutil.copy(self._log, kept)
        return f"{message}\nThe whole log: {short(kept)}"

    def _failed(self, message: str) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
        at = [number for number, line in enumerate(lines) if re.search(r"\berror\b|ftcheck-c(c|\+\+):", line)]
        first = max(0, at[0] - 3) if at and at[0] < len(lines) - _TAIL else len(lines)
        shown = [*lines[first : first + 12], *(["..."] if first < len(lines) else []), *lines[-_TAIL:]]
        return self.kept_log(message + ":\n\n" + "\n".join(f"  {line}" for line in shown) + "\n")


def _end(running: subprocess.Popen[bytes]) -> None:
    """With all that it has started."""
    os.killpg(running.pid, signal.SIGTERM)
    try:
        running.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def _left_behind(top: Path) -> Callable[[str, list[str]], set[str]]:
    """What is not copied of a source tree: what was built in it, and what is none of it."""

    def ignore(folder: str, names: list[str]) -> set[str]:
        derived = {name for name in names if name == "__pycache__" or _BUILT_THERE.search(name)}
        if Path(folder) == top:
            derived |= {name for name in names if name in _DERIVED and not _is_package(top / name)}
            derived |= {name for name in names if (top / name / "pyvenv.cfg").exists()}
        return derived

    return ignore


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").exists() or (folder / "meson.build").exists()


def short(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)

"""``ftcheck build``: a project's extensions, instrumented, in a folder of their own.

It is what a user would do by hand, with the traps avoided:

- A source distribution is unpacked, or the source tree copied, first: objects of a plain build that lie about in the tree
  would be taken for new, and ours by the next plain build.
- pip gets a cache of its own: it keeps wheels that it has built, and would install an instrumented one later.
- The lines in reports name files that stay: those of the user's own tree, or of the unpacked source, which is kept.
- Nothing is in its place before all of it is done, and the user's ``site-packages`` are never touched.

pip does the building, so build requirements are isolated as always. Its environment hides installed packages, so the
compiler is a script that finds this ftcheck by its path.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import shlex
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from ftcheck.native import toolchain
from ftcheck.native.command import CompilerError
from ftcheck.native.making import OURS, BuildError, Job, short

PLACE = Path(".ftcheck") / "build"
"""Where builds go, seen from the working directory."""


@dataclass(frozen=True, slots=True)
class Built:
    """What came out.

    :param folder: to be imported from.
    :param instrumented: files of extension modules and libraries that call us, relative to it.
    :param plain: those that do not.
    :param missing: requirements of the project that are not installed here.
    """

    name: str
    version: str
    folder: Path
    compiler: str
    seconds: float
    instrumented: tuple[str, ...]
    plain: tuple[str, ...]
    missing: tuple[str, ...]


def build(
    what: str,
    *,
    into: Path | None = None,
    compiler: str = "",
    pip_options: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> Built:
    """Build a project so that ``pytest --ftcheck`` sees the memory accesses of its extensions.

    :param what: the path of a source tree or of a source distribution; or a requirement: ``multidict==6.7.1``.
    :param into: the folder to make; None: one in :data:`PLACE` that has name, version and interpreter in its name.
    :param compiler: ``gcc``, ``clang`` or another; empty: the first that there is.
    :param pip_options: for pip, as they are typed.
    :param say: is told how far it is.
    :raises BuildError: it could not be built.
    """
    begun = time.monotonic()
    choice = _choice(compiler)
    if importlib.util.find_spec("pip") is None:
        raise BuildError(f"pip is not there, which does the building: {sys.executable} -m ensurepip")
    place = (into.parent if into is not None else PLACE).absolute()
    if into is not None:
        _refuse_foreign(into)
    with _work_in(place) as work, tempfile.TemporaryDirectory(prefix="ftcheck-build-") as tools:
        job = Job(work, Path(tools), place / ".cache" if into is None else work / "cache", place, pip_options, say)
        source = job.source(what)
        final = into.absolute() if into is not None else place / f"{source.label}-{sysconfig.get_config_var('SOABI')}"
        _refuse_foreign(final)
        wheel = job.wheel(source, choice, final / OURS / "source" if source.kept else source.original)
        name, version = wheel.name.split("-")[:2]
        if into is None and not source.kept:
            final = place / f"{name}-{version}-{sysconfig.get_config_var('SOABI')}"
            _refuse_foreign(final)
        if wheel.name.endswith("-none-any.whl"):
            raise BuildError(
                job.kept_log(f"{name} {version} came out as pure Python: there is no extension module to look into. {_PURE}")
            )
        job.unpack(wheel)
        instrumented, plain = _modules(job.made)
        built = Built(
            name, version, final, choice["FTCHECK_CC"], time.monotonic() - begun, instrumented, plain, _missing(job.made)
        )
        if not instrumented and not plain:
            raise BuildError(job.kept_log(f"{name} {version} has no extension module to look into. {_PURE}"))
        job.finish(final, source, _facts(built, what))
    return built


_PURE = (
    "If it has one that can be left out, something has asked for that: an environment variable, or an option of the project."
)


def _choice(name: str) -> dict[str, str]:
    """The environment that has ``ftcheck-cc`` run this compiler."""
    choice = {variable: os.environ[variable] for variable in ("FTCHECK_CC", "FTCHECK_CXX") if os.environ.get(variable)}
    if name:
        choice = {"FTCHECK_CC": name}
    try:
        toolchain.standin()
        toolchain.real_compiler("ftcheck build", "FTCHECK_CC", toolchain.C_COMPILERS, choice)
    except CompilerError as error:
        raise BuildError(str(error)) from None
    return {"FTCHECK_CC": next(name for name in toolchain.C_COMPILERS if shutil.which(name))} | choice


@contextmanager
def _work_in(place: Path) -> Iterator[Path]:
    """A folder for what is not done yet; it is gone afterwards, however this ends."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        if place == PLACE.absolute():
            (place.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        work = Path(tempfile.mkdtemp(prefix=".making-", dir=place))
    except OSError as error:
        raise BuildError(f"{place} cannot be written to ({error.strerror}): name another folder with --into") from None
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not (folder / OURS / "built.json").exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BuildError(
            f"{folder} is there, and `ftcheck build` has not made it: name a folder that is not there yet. To install into "
            "an environment: CC=ftcheck-cc CXX=ftcheck-c++ pip install --no-cache-dir --no-binary NAME NAME",
            usage=True,
        )


# -- what came out -----------------------------------------------------------------------------------------------------


def is_instrumented(file: Path) -> bool:
    """Whether this shared object calls us: both names are in its table of strings."""
    data = file.read_bytes()
    return b"\0__tsan_init\0" in data and b"_standin" in data


def _modules(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    files = sorted(file for file in folder.rglob("*") if re.search(r"\.so(\.\d+)*$", file.name) and file.is_file())
    ours = [file for file in files if is_instrumented(file)]
    return (
        tuple(str(file.relative_to(folder)) for file in ours),
        tuple(str(file.relative_to(folder)) for file in files if file not in ours),
    )


def _missing(folder: Path) -> tuple[str, ...]:
    missing = []
    for path in folder.glob("*.dist-info"):
        for text in importlib.metadata.Distribution.at(path).requires or ():
            wanted = Requirement(text)
            if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
                continue
            try:
                if importlib.metadata.distribution(wanted.name).version in wanted.specifier:
                    continue
            except importlib.metadata.PackageNotFoundError:
                pass
            missing.append(f"{wanted.name}{wanted.specifier}")
    return tuple(missing)


def text(built: Built) -> str:
    """What to tell the user."""
    folder = short(built.folder)
    many = "1 extension module is" if len(built.instrumented) == 1 else f"{len(built.instrumented)} extension modules are"
    lines = [
        f"built {built.name} {built.version} with {built.compiler} in {built.seconds:.0f} s: {many} instrumented",
        f"  {folder}",
    ]
    if built.plain:
        lines += [
            "",
            f"warning: not instrumented, so their memory accesses are not seen: {', '.join(built.plain)}",
            "  They came with the source, or their build does not use CC and CXX (Rust, Fortran, one of its own choice).",
        ]
    if built.missing:
        lines += ["", f"It needs what is not installed here: python -m pip install {shlex.join(built.missing)}"]
    if built.instrumented:
        lines += ["", "Run its tests with it:", f"  pytest --ftcheck --ftcheck-built={shlex.quote(folder)}"]
    return "\n".join(lines)


def _facts(built: Built, what: str) -> str:
    facts = {
        "name": built.name,
        "version": built.version,
        "compiler": built.compiler,
        "source": os.path.abspath(what) if os.path.exists(what) else what,
        "instrumented": built.instrumented,
        "plain": built.plain,
    }
    return json.dumps(facts, indent=1)

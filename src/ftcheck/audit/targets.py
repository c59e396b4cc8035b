"""What ``ftcheck audit`` is given, told apart by what it is; each kind leads to rows."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ftcheck import interpreter
from ftcheck.audit import archives, available, inspecting, lists, moving, pip_settings, projects, requires, sources, survey
from ftcheck.audit.abi import Target, Wheel, target_of, wheel, why_not
from ftcheck.audit.index import File, Index
from ftcheck.audit.inspecting import Asking
from ftcheck.audit.model import Audit, Distribution, Interpreter, Readiness, Remark
from ftcheck.audit.options import AuditError, Options
from ftcheck.audit.probes import ProbeError, Probes
from ftcheck.audit.survey import Found, Survey
from ftcheck.coverage import counted

Progress = Callable[[str, int, int], object]
_SDISTS = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")


class _Python:
    """The interpreter that is asked, with what it says of itself."""

    def __init__(self, executable: str, options: Options) -> None:
        if os.sep not in executable and not os.path.exists(executable):
            executable = shutil.which(executable) or executable
        executable = os.path.abspath(executable)  # children have another working directory; a link leads to its environment
        try:
            self.facts = Probes(executable, timeout=max(30.0, options.timeout), jobs=1).facts()
        except ProbeError as error:
            raise AuditError(str(error)) from None
        self.path: tuple[str, ...] = tuple(self.facts["path"])
        self.target: Target = target_of(self.facts["version_info"])
        self.same = tuple(self.facts["version_info"][:2]) == self.target.version
        self.value = Interpreter(
            executable,
            str(self.facts["version"]),
            bool(self.facts["free_threaded"]),
            self.target.abi,
            str(self.facts["platform"]),
        )
        self.probes = Probes(
            executable, timeout=options.timeout, jobs=options.jobs, user_base=str(self.facts["user_base"])
        )  # fmt: skip

    def asking(self, options: Options, progress: Progress, path: tuple[str, ...] = ()) -> Asking:
        """How modules are looked at with it."""
        able = options.run and self.value.free_threaded and self.same
        why = "" if able else "--no-run" if not options.run else (
            f"{self.value.executable} is no free-threaded {self.target.words}")  # fmt: skip
        return Asking(
            self.value,
            str(self.facts["machine"]),
            self.probes if able else None,
            why,
            path,
            tuple(self.facts["suffixes"]) if able else (),
            options.subinterpreters,
            progress,
        )


def audit(what: str | None, options: Options, progress: Progress = lambda what, done, of: None) -> Audit:
    """Look at it.

    :param what: a path; None: the environment of the interpreter.
    :raises AuditError: it cannot be done.
    """
    began = time.monotonic()
    if what is None:
        found = _environment(_Python(options.python or sys.executable, options), options, progress)
    else:
        path = Path(what)
        if not os.path.lexists(path):
            text = "give the path of an environment, a wheel, an sdist, a source tree, a list of requirements, or nothing"
            raise AuditError(f"{what} is not there: {text}, which is the environment of this interpreter", 2)
        found = _path(path, options, progress)
    rows = sorted(found.rows, key=lambda row: (_order(row), row.name.lower(), row.asked_for))
    if options.run and interpreter.gil_forced() is False:
        text = (
            "FT003: PYTHON_GIL=0 (or -X gil=0) is set here, which hides what turns the GIL on; imports were made without it"
        )
        found = replace(found, limits=(*found.limits, text))
    return replace(found, rows=tuple(rows), seconds=time.monotonic() - began, subinterpreters=options.subinterpreters)


def _order(row: Distribution) -> tuple[bool, int]:
    return not row.needs_attention, list(Readiness).index(row.readiness)


def _path(path: Path, options: Options, progress: Progress) -> Audit:
    if path.is_dir():
        inner = next((one for one in (path / "bin" / "python", path / "bin" / "python3") if one.exists()), None)
        if (path / "pyvenv.cfg").exists():
            if inner is None:
                raise AuditError(
                    f"{path} is an environment without bin/python: make it anew, or audit its site-packages folder"
                )
            return _environment(_Python(str(inner), options), options, progress, str(path))
        python = _Python(options.python or sys.executable, options)
        if any(path.glob("*.dist-info")) or path.name in ("site-packages", "dist-packages"):
            return _folder(path, python, options, progress)
        how = f"`ftcheck rules {path}` lists them with their code"
        return _tree(path, python, options, progress, f"the source tree {path}", how)
    python = _Python(options.python or sys.executable, options)
    if path.name.endswith(".whl"):
        return _wheel(path, python, options, progress)
    if lists.kind_of(path):
        return _list(path, python, options, progress)
    if path.name.endswith(_SDISTS):
        with tempfile.TemporaryDirectory(prefix="ftcheck-audit-") as folder:
            tree = archives.unpack_sdist(path, Path(folder))
            how = f"unpack it, and `ftcheck rules {tree.name}` lists them with their code"
            return _tree(tree, python, options, progress, f"the sdist {path.name}", how)
    if path.name.endswith((".so", ".pyd", ".dylib")):
        return _file(path, python, options, progress)
    known = f"a folder, *.whl, an sdist ({', '.join(_SDISTS)}), requirements*.txt, pylock.toml, uv.lock, poetry.lock, *.so"
    raise AuditError(f"{path} is none of these: {known}", 2)


def _environment(python: _Python, options: Options, progress: Progress, name: str = "") -> Audit:
    facts = python.facts
    roots = survey.roots_of(python.path, facts["standard"])
    seen = survey.look(roots)
    subject = f"the environment {name or facts['prefix']}"
    rows = inspecting.inspect(seen, python.asking(options, progress))
    found = Audit(subject, python.value, rows, seen.troubles, (*seen.limits, *_not_run(python, options)))
    return found if python.value.free_threaded and python.same else _with_wheels(found, python, options, progress)


def _with_wheels(found: Audit, python: _Python, options: Options, progress: Progress) -> Audit:
    """The audit of what another interpreter has, with what there is to install for this one."""
    total = sum(moving.concerned(row) for row in found.rows)
    if not total:
        return found
    if options.offline:
        text = f"--offline: no index was asked whether {counted(total, 'distribution')} can be had for {python.target.abi}"
        return replace(found, limits=(*found.limits, text))
    index = Index(pip_settings.sources((), prefix=str(python.facts["prefix"])))

    def look_up(name: str) -> list[File] | None:
        progress("asking the index", index.asked + 1, total)
        return index.files(name)

    rows = moving.with_wheels(found.rows, look_up, python.target)
    return replace(found, rows=rows, asked=index.asked, troubles=(*found.troubles, *index.troubles.values()))


def _not_run(python: _Python, options: Options) -> list[str]:
    if not options.run:
        return ["--no-run: no PyInit_ function was called, and nothing was imported"]
    if not python.value.free_threaded:
        return [f"nothing was run: {python.value.executable} has the GIL always on (Python {python.target.version[0]}."
                f"{python.target.version[1]} is not {python.target.words}); give --python a free-threaded one"]  # fmt: skip
    if not python.same:
        return [
            f"nothing was run: {python.value.executable} is {python.value.version}, and what counts is {python.target.words}"
        ]
    return []


def _folder(path: Path, python: _Python, options: Options, progress: Progress) -> Audit:
    seen = survey.look([os.path.realpath(path)])
    rows = inspecting.inspect(seen, python.asking(options, progress, (os.path.realpath(path),)))
    found = Audit(f"the folder {path}", python.value, rows, seen.troubles, (*seen.limits, *_not_run(python, options)))
    return _with_wheels(found, python, options, progress) if moving.is_elsewhere(rows, python.target) else found


def _file(path: Path, python: _Python, options: Options, progress: Progress) -> Audit:
    root = os.path.realpath(path.parent)
    found = Found(os.path.join(root, path.name), path.name, root, path.name.partition(".")[0])
    row = Distribution("", "", Readiness.NOT_CHECKED, folder=root, asked_for=path.name)
    rows = inspecting.inspect(Survey((row,), ((found,),), ()), python.asking(options, progress, (root,)))
    if not rows[0].modules:
        what = "it exports no PyInit_ function: it is a library, and no extension module"
        rows = (replace(rows[0], readiness=Readiness.FAILED, what=what),)
    return Audit(f"the file {path}", python.value, rows, (), tuple(_not_run(python, options)))


def _wheel(path: Path, python: _Python, options: Options, progress: Progress) -> Audit:
    said = wheel(path.name)
    if said is None:
        raise AuditError(f"{path.name} is no name of a wheel (NAME-VERSION-PYTHON-ABI-PLATFORM.whl)", 2)
    with tempfile.TemporaryDirectory(prefix="ftcheck-audit-") as folder:
        archives.unpack_wheel(path, Path(folder))
        root = os.path.realpath(folder)
        seen = survey.look([root])
        asking = python.asking(options, progress, (root,))
        loadable = bool(said.tags & python.target.tags())
        if not loadable:
            asking = replace(asking, probes=None, why_not=why_not(said, python.target), suffixes=())
        rows = [_of_wheel(row, path, root) for row in inspecting.inspect(seen, asking)]
    if not rows:
        rows = [Distribution(said.name, str(said.version), Readiness.NOT_CHECKED, "it holds no metadata and no module")]
    if not said.fits(python.target):
        rows = [replace(row, readiness=Readiness.NOT_INSTALLABLE, what=why_not(said, python.target)) for row in rows]
        rows = [_with_id(row, said, python.target) for row in rows]
    limits = [f"nothing was run: {why_not(said, python.target)}"] if not loadable else _not_run(python, options)
    return Audit(f"the wheel {path.name}", python.value, tuple(rows), seen.troubles, (*seen.limits, *limits))


def _with_id(row: Distribution, said: Wheel, target: Target) -> Distribution:
    """FT005, where the name of the wheel says it, and neither its modules nor its metadata have said so."""
    if all(tag.abi == "none" for tag in said.tags) or any(one.rule == "FT005" for one in row.all_remarks):
        return row
    return replace(row, remarks=(*row.remarks, Remark("abi", why_not(said, target), rule="FT005")))


def _of_wheel(row: Distribution, path: Path, root: str) -> Distribution:
    """A row without the temporary folder; with what does not fit together in the wheel."""
    said = wheel(path.name)
    assert said is not None
    remarks = list(row.remarks)
    inside, outside = set(row.tags), {str(tag) for tag in said.tags}
    if inside and inside != outside:
        text = f"its name says {_some(outside - inside or outside)}, its WHEEL file {_some(inside - outside or inside)}"
        remarks.append(Remark("metadata", text, attention=True))
    if not row.name:
        remarks.append(Remark("metadata", "the wheel holds no .dist-info", attention=True))
    modules = tuple(
        replace(one, binary=replace(one.binary, path=os.path.relpath(one.binary.path, root))) for one in row.modules
    )
    return replace(
        row,
        name=row.name or said.name,
        version=row.version or str(said.version),
        folder=path.name,
        remarks=tuple(remarks),
        tags=tuple(sorted(outside)),
        modules=modules,
    )


def _some(tags: set[str]) -> str:
    return ", ".join(sorted(tags)[:3])


def _tree(path: Path, python: _Python, options: Options, progress: Progress, subject: str, how: str) -> Audit:
    project = projects.read(path)
    roots = [os.path.realpath(one) for one in (path / "src", path) if one.is_dir()]
    seen = survey.look(roots, project=True)
    merged = Survey((project.row,), (tuple(found for some in seen.files for found in some),), seen.troubles, seen.limits)
    (row,) = inspecting.inspect(merged, python.asking(options, progress, tuple(roots)))
    if not row.modules:
        if not project.known:
            raise AuditError(f"{subject} holds neither a project (pyproject.toml, setup.py, sources) nor extension modules: "
                             "give the path of an environment, of its site-packages folder, or of a project", 2)  # fmt: skip
        row = project.without_modules(row)
    limits = [*seen.limits, *project.limits, *(() if options.rules else ("--no-rules: source code was not read",))]
    if options.rules:
        progress("reading sources", 1, 1)
        row = sources.with_rules(row, path, options.rules_timeout, how)
    return Audit(subject, python.value, (row,), seen.troubles, tuple(limits))


def _list(path: Path, python: _Python, options: Options, progress: Progress) -> Audit:
    target = python.target
    full = f"{target.version[0]}.{target.version[1]}"
    environment = {"python_version": full, "python_full_version": f"{full}.0"}
    read = lists.read(path, environment)
    index = Index(pip_settings.sources(read.options, prefix=str(python.facts["prefix"])))
    why = "not asked: --offline" if options.offline else "not asked: no index could be reached"
    done = 0
    lock = threading.Lock()

    def look_up(name: str) -> list[File] | None:
        nonlocal done
        if options.offline:
            return None
        with lock:
            done += 1
            progress("asking the index", done, 0)
        return index.files(name)

    wanted, known, unknown = read.wanted, dict[str, list[File] | None](), tuple[str, ...]()
    if read.kind == "requirements" and options.follow and not options.offline:
        followed = requires.follow(wanted, look_up, index.requires, target, environment, read.constraints)
        wanted, known, unknown = followed.wanted, followed.files, followed.limits
    rows = available.rows(wanted, lambda name: known[name] if name in known else look_up(name), target, why)
    left_out = len(read.left_out)
    limits = [f"{left_out} more of the list left out: their markers say that they are not for here"] if left_out else []
    value = replace(python.value, executable="")
    return Audit(
        f"the list {path} ({read.kind})",
        value,
        tuple(rows),
        tuple(index.troubles.values()),
        (*limits, *unknown),
        asked=index.asked,
        requirements=True,
        followed=len(wanted) - len(read.wanted),
    )

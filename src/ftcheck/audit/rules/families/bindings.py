"""FT705: modules made with pybind11, nanobind or PyO3."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ftcheck.audit.rules.scanner.project import Project, Unit
from ftcheck.audit.rules.words import Hit, Rule

RULES = (
    Rule(
        "FT705",
        "binding-not-declared",
        "B",
        "a module of pybind11, nanobind or PyO3 does not declare that it runs without the GIL, or keeps unlocked "
        "static state",
        "Importing it turns the GIL on, for the whole process and for good. A static mut of Rust is as little "
        "locked as a static "
        "variable of C.",
        "py::mod_gil_not_used() as the third argument of PYBIND11_MODULE; FREE_THREADED in nanobind_add_module; "
        "#[pymodule(gil_used = false)] (PyO3 before 0.28). After the code was made ready for it.",
        "PYBIND11_MODULE(name, m) { ... }",
        "PYBIND11_MODULE(name, m, py::mod_gil_not_used()) { ... }",
        "nanobind's option is looked for in CMakeLists.txt and meson.build, PyO3's version in Cargo.toml, in the "
        "folders above.",
        "pybind11 documentation, misc.rst; nanobind documentation, free_threaded.rst; PyO3 guide, Supporting "
        "Free-Threaded CPython",
        ("C", "Rust"),
    ),
)

_RUST_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def find(project: Project) -> Iterator[Hit]:
    """Look for it in C++."""
    for unit in project.units:
        for function in unit.shape.functions:
            words = unit.words((function.head, function.begin))
            if function.name == "PYBIND11_MODULE" and "mod_gil_not_used" not in words:
                yield Hit("FT705", unit.path, function.line, "", "PYBIND11_MODULE without py::mod_gil_not_used()")
            elif function.name == "NB_MODULE" and not _in_file(unit, "Py_mod_gil") and not _freed(unit.path):
                yield Hit("FT705", unit.path, function.line, "", "NB_MODULE, and no FREE_THREADED in what builds it")


def _freed(path: Path) -> bool:
    return _above(path, ("CMakeLists.txt", "meson.build"), "FREE_THREADED")


def _in_file(unit: Unit, word: str) -> bool:
    return any(token.text == word for token in unit.code)


def _above(path: Path, names: tuple[str, ...], pattern: str) -> bool:
    return any(re.search(pattern, text) for text in _texts(path, names))


def _texts(path: Path, names: tuple[str, ...]) -> Iterator[str]:
    folder = path.resolve().parent
    for _ in range(5):
        for name in names:
            try:
                yield (folder / name).read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
        if (folder / "pyproject.toml").exists() or (folder / ".git").exists():
            return
        folder = folder.parent


def find_rust(path: Path, source: str) -> Iterator[Hit]:
    """Look for it in Rust. Only these words are: no other rule knows that language."""
    text = _RUST_COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), source)
    if "pyo3" not in text and "pymodule" not in text and "pyfunction" not in text and "pyclass" not in text:
        return
    before_28 = _before_28(path)
    for found in re.finditer(r"#\[pymodule(?:\(([^)]*)\))?\]|\bstatic\s+mut\s+(\w+)|#\[pyclass\([^)]*\bunsendable\b", text):
        line = text.count("\n", 0, found.start()) + 1
        if found[0].startswith("#[pymodule"):
            said = found[1] or ""
            if re.search(r"gil_used\s*=\s*true", said):
                yield Hit("FT705", path, line, "", "gil_used = true: importing it turns the GIL on")
            elif "gil_used" not in said and before_28:
                yield Hit("FT705", path, line, "", "no gil_used = false, and PyO3 before 0.28 asks for the GIL then")
        elif found[2]:
            yield Hit("FT705", path, line, "", f"static mut {found[2]}: one variable for all threads, without a lock")
        else:
            yield Hit("FT705", path, line, "", "unsendable: use in another thread panics", "C")


def _before_28(path: Path) -> bool:
    """Whether Cargo.toml asks for a PyO3 older than 0.28, whose modules ask for the GIL unless they say otherwise."""
    for text in _texts(path, ("Cargo.toml",)):
        found = re.search(r"pyo3\s*=\s*(?:\{[^}]*?version\s*=\s*)?\"[\^~=>]*\s*0\.(\d+)", text)
        found = found or re.search(r"\[(?:\w+\.)*dependencies\.pyo3\][^\[]*?version\s*=\s*\"[\^~=>]*\s*0\.(\d+)", text)
        if found is not None:
            return int(found[1]) < 28
    return False

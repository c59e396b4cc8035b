"""What the file of an extension module says; nothing of it is run.

How a module is initialised follows from what it imports: ``PyModuleDef_Init`` is called for multi-phase modules only,
``PyModule_Create2`` for single-phase ones (PEP 489). Of a single-phase module no byte tells whether it declares that it does
without the GIL: it does so by a call, ``PyUnstable_Module_SetGIL``, whose argument is not in the file in any readable form,
and Cython imports that function everywhere. Only a run decides there, and this is said.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from ftcheck import locking
from ftcheck.audit import known_symbols, slot_bytes
from ftcheck.audit.slot_bytes import Reading
from ftcheck.elf import Elf, UnreadableError
from ftcheck.static_state import Locking

Phase = Literal["multi-phase", "single-phase", "unknown"]
_CYTHON = re.compile(rb"_cython_(\d+)_(\d+)_(\d+)(a|b|rc)?(\d+)?")
_MACHINES = {
    "EM_X86_64": "x86_64",
    "EM_AARCH64": "aarch64",
    "EM_PPC64": "ppc64le",
    "EM_S390": "s390x",
    "EM_RISCV": "riscv64",
    "EM_LOONGARCH": "loongarch64",
}
_MARKS = {
    b"__pybind11_": "pybind11",
    b"nanobind": "nanobind",
    b"pyo3": "PyO3",
    b"CPyInit_": "mypyc",
    b"_cffi_backend": "cffi",
}
_VERSION = re.compile(r"(GLIBC|GLIBCXX|CXXABI)_(\d+(?:\.\d+)*)")
_MOST_MODULES = 8
"""``PyInit_`` functions of one file that are all looked at."""
_MOST_TEXT = 64 << 20
"""Bytes in which marks of Cython and others are looked for."""


@dataclass(frozen=True, slots=True)
class Binary:
    """One file.

    :param modules: the names behind ``PyInit_``; none: it is a library.
    :param machine: as :func:`platform.machine` calls it.
    :param phase: how its modules are initialised; **phase_why**: what that rests on.
    :param readings: what the bytes say about the slots of each module.
    :param made_with: ``"Cython 3.1.2"``, ``"pybind11"``, ``"PyO3"``...; empty: nothing is known.
    :param libc: functions that it imports of the C library that are not for threads.
    :param libraries: that it needs, and **unsafe_libraries**: those of them that need care.
    :param needs: the highest version that it needs of each, ``{"GLIBC": "2.17"}``.
    :param borrowed: functions that it imports of the C API that are risky without the GIL, and **strong**: their successors.
    :param problem: why it cannot be read; empty: it can.
    """

    path: str
    modules: tuple[str, ...] = ()
    machine: str = ""
    phase: Phase = "unknown"
    phase_why: str = ""
    readings: tuple[tuple[str, Reading], ...] = ()
    made_with: str = ""
    locking: Locking = field(default_factory=Locking)
    libc: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    unsafe_libraries: tuple[str, ...] = ()
    needs: tuple[tuple[str, str], ...] = ()
    borrowed: tuple[str, ...] = ()
    strong: tuple[str, ...] = ()
    stripped: bool = False
    problem: str = ""

    def reading(self, name: str) -> Reading:
        """What the bytes say about one of its modules.

        :param name: as it is imported; of one that cannot be imported by any name, its file.
        """
        known = dict(self.readings)
        stem = (
            os.path.basename(name).partition(".")[0] if os.sep in name or name.endswith(".so") else name.rpartition(".")[2]
        )
        return known.get(stem, Reading(None, why=f"the file has no PyInit_{stem}"))


def read(path: str) -> Binary:
    """Read one file. What is wrong with it is in the result, so that one bad file does not end an audit."""
    try:
        file = Elf(path)
        modules = tuple(sorted(filter(None, map(_module, file.exports))))
        phase, why = _phase(file.imports, modules)
        readings = tuple((name, _reading(file, name, phase, len(modules))) for name in modules)
        made_with = _made_with(file) if modules else ""
        locks = locking.of(file)
    except UnreadableError as error:
        return Binary(path, problem=f"cannot be read as an ELF file: {error}")
    except OSError as error:
        return Binary(path, problem=f"cannot be read: {error.strerror or error}")
    except Exception as error:  # of a damaged file anything may come; it costs its row
        return Binary(path, problem=f"cannot be read, it is damaged: {type(error).__name__}: {error}")
    own = known_symbols.CYTHON_OWN if made_with.startswith("Cython") else frozenset[str]()
    return Binary(
        path,
        modules,
        _MACHINES.get(file.machine, file.machine.removeprefix("EM_").lower()),
        phase,
        why,
        readings,
        made_with,
        locks,
        libc=tuple(sorted(file.imports & known_symbols.MT_UNSAFE_LIBC)),
        libraries=file.needed,
        unsafe_libraries=tuple(
            name for name in file.needed for known in known_symbols.UNSAFE_LIBRARIES if name.startswith(known)
        ),
        needs=_needs(version for versions in file.dynamic.versions.values() for version in versions),
        borrowed=tuple(sorted(file.imports & known_symbols.BORROWED - own)),
        strong=tuple(sorted(file.imports & known_symbols.STRONG)),
        stripped=file.stripped,
    )


def _reading(file: Elf, name: str, phase: Phase, modules: int) -> Reading:
    if phase == "single-phase":
        return Reading(None, why="single-phase: only a run decides")
    if modules > _MOST_MODULES and os.path.basename(file.path).partition(".")[0] != name:
        return Reading(None, why=f"not read: the file has {modules} PyInit_ functions, and a name that is another one's")
    return slot_bytes.read(file, name)


def _module(symbol: str) -> str:
    """The name of the module that this symbol initialises; empty: none (PEP 489 has names that are not ASCII, too)."""
    if symbol.startswith("PyInitU_"):
        try:
            return symbol.removeprefix("PyInitU_").replace("_", "-").encode().decode("punycode")
        except UnicodeError:
            return ""
    return symbol.removeprefix("PyInit_") if symbol.startswith("PyInit_") else ""


def _phase(imports: frozenset[str], modules: tuple[str, ...]) -> tuple[Phase, str]:
    if not modules:
        return "unknown", "it exports no PyInit_ function"
    single = sorted(imports & {"PyModule_Create2", "PyModule_Create2TraceRefs"})
    if "PyModuleDef_Init" in imports:
        if single:
            return "unknown", f"it imports PyModuleDef_Init and {single[0]}: a run decides"
        return "multi-phase", "imports PyModuleDef_Init"
    return ("single-phase", f"imports {single[0]}") if single else ("unknown", "imports neither of the functions that tell")


def _needs(versions: Iterable[str]) -> tuple[tuple[str, str], ...]:
    highest: dict[str, tuple[int, ...]] = {}
    for version in versions:
        if (found := _VERSION.fullmatch(version)) is not None:
            number = tuple(map(int, found[2].split(".")))
            highest[found[1]] = max(number, highest.get(found[1], ()))
    return tuple((name, ".".join(map(str, number))) for name, number in sorted(highest.items()))


def _made_with(file: Elf) -> str:
    with open(file.path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = min(len(data), _MOST_TEXT)
        if "rustc" in file.comment and data.find(b"pyo3", 0, end) >= 0:
            return "PyO3"  # first: these are the largest files, and each mark that is not there is a search to the end
        place = data.find(b"_cython_", 0, end)
        if place >= 0 and (found := _CYTHON.search(data, place, end)) is not None:
            stage = f"{(found[4] or b'').decode()}{(found[5] or b'').decode()}" if found[4] else ""
            return f"Cython {'.'.join(part.decode() for part in found.groups()[:3])}{stage}"
        if data.find(b"__pyx_", 0, end) >= 0:
            return "Cython"
        for mark, name in _MARKS.items():
            if data.find(mark, 0, end) >= 0 and f"PyInit_{mark.decode()}" not in file.exports:
                return name
    return "Rust" if "rustc" in file.comment else ""

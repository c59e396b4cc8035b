"""Environments, wheels and extension modules for one test each, good ones and hostile ones."""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from pathlib import Path

from packaging.tags import sys_tags

from ftcheck.audit.model import Audit, Distribution, Module
from ftcheck.audit.options import Options
from ftcheck.audit.targets import audit

from ..native.building import compiled

MULTI = """
#include <Python.h>
{body}
static int fill(PyObject *module) {{ (void)module; {fill} return 0; }}
static PyModuleDef_Slot slots[] = {{ {{Py_mod_exec, fill}}, {slots} {{0, NULL}} }};
static struct PyModuleDef definition = {{ PyModuleDef_HEAD_INIT, .m_name = "{said}", .m_slots = slots }};
PyMODINIT_FUNC PyInit_{name}(void) {{ {init} return PyModuleDef_Init(&definition); }}
"""
SINGLE = """
#include <Python.h>
static struct PyModuleDef definition = {{ PyModuleDef_HEAD_INIT, .m_name = "{name}", .m_size = -1 }};
PyMODINIT_FUNC PyInit_{name}(void) {{
    PyObject *module = PyModule_Create(&definition);
    {fill}
    return module;
}}
"""
NOT_USED = "{Py_mod_gil, Py_MOD_GIL_NOT_USED},"
USED = "{Py_mod_gil, Py_MOD_GIL_USED},"
OWN_GIL = "{Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},"
DECLARES = "PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED);"


def multi(name, *, slots=NOT_USED, fill="", body="", init="", said=""):
    """The source of a multi-phase module.

    :param fill: statements of its body, **init**: of its ``PyInit_`` function.
    :param said: ``m_name``, where it is not the name.
    """
    return MULTI.format(name=name, slots=slots, fill=fill, body=body, init=init, said=said or name)


def single(name, fill=""):
    """The source of a single-phase module."""
    return SINGLE.format(name=name, fill=fill)


def dist_info(folder: Path, name: str, version: str, files: list[Path], *, metadata: str = "", tag: str = "") -> Path:
    """What an installer writes of a distribution."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}"
    (info / "METADATA").write_text(text, encoding="utf-8")
    (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag or own_tag()}\n", encoding="utf-8")
    listed = [*files, info / "METADATA", info / "WHEEL"]
    (info / "RECORD").write_text("".join(f"{one.relative_to(folder)},,\n" for one in listed), encoding="utf-8")
    return info


def installed(folder: Path, name: str, *sources: tuple[str, str], version: str = "1.0", metadata: str = "") -> list[Path]:
    """A distribution with extension modules, made of (name, source)."""
    folder.mkdir(exist_ok=True)
    files = [compiled(folder, module, text) for module, text in sources]
    dist_info(folder, name, version, files, metadata=metadata)
    return files


def own_tag() -> str:
    """The tag of wheels for this interpreter."""
    return str(next(iter(sys_tags())))


def wheel(folder: Path, name: str, content: dict[str, bytes], *, tag: str = "", version: str = "1.0") -> Path:
    """A wheel with these files, and with the metadata that belongs there."""
    path = folder / f"{name}-{version}-{tag or own_tag()}.whl"
    info = f"{name}-{version}.dist-info"
    everything = {
        **content,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag or own_tag()}\n".encode(),
    }
    record = "".join(
        f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for file, data in everything.items()
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, data in {**everything, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(file, data)
    return path


def audited(path: Path | str, **options) -> Audit:
    """The audit of it, by this interpreter, without asking an index."""
    return audit(str(path), Options(**{"python": sys.executable, "timeout": 20.0, "jobs": 1, "offline": True, **options}))


def row(found: Audit, name: str) -> Distribution:
    """The one row of that name."""
    (one,) = [one for one in found.rows if name in (one.name, one.asked_for)]
    return one


def module(found: Audit, name: str) -> Module:
    """The one module of that name."""
    (one,) = [one for one in found.modules if one.name == name]
    return one

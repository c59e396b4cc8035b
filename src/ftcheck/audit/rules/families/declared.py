"""FT001, FT002, FT006: what the module declares, as far as its source says.

What a built module declares is read from the file itself by ``ftcheck audit``, exactly; this is for source code that is not
built. Code that Cython, pybind11 or another generator writes is left to the rules for these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ftcheck.audit.rules.context import Extension, Place
from ftcheck.audit.rules.words import Hit, Rule

_HOWTO = "CPython, Doc/howto/free-threading-extensions.rst"

RULES = (
    Rule(
        "FT001",
        "gil-not-declared",
        "A",
        "the module does not declare that it runs without the GIL",
        "Importing it turns the GIL on, for the whole process and for good.",
        "{Py_mod_gil, Py_MOD_GIL_NOT_USED} in the slots, or PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED) after "
        "PyModule_Create. After the code was made ready for it: the declaration is a promise.",
        "static PyModuleDef_Slot slots[] = {\n    {Py_mod_exec, module_exec},\n    {0, NULL}\n};",
        "static PyModuleDef_Slot slots[] = {\n    {Py_mod_exec, module_exec},\n"
        "    {Py_mod_gil, Py_MOD_GIL_NOT_USED},\n    {0, NULL}\n};",
        "Reads text: a slot that a macro or another file puts there is seen only if its name stands in one of the files.",
        f'{_HOWTO}, "Multi-Phase Initialization", "Single-Phase Initialization"; PEP 703',
        ("C", "Cython"),
    ),
    Rule(
        "FT002",
        "single-phase-init",
        "C",
        "the module has single-phase initialisation",
        "Its state is one for all interpreters, and an interpreter with a GIL of its own cannot import it. It can "
        "declare that it "
        "runs without the GIL, though.",
        "PyModuleDef_Init and a Py_mod_exec slot (PEP 489).",
        "return PyModule_Create(&module_def);",
        "return PyModuleDef_Init(&module_def);",
        "Only calls in the PyInit_ function itself.",
        "PEP 489",
    ),
    Rule(
        "FT006",
        "limited-api",
        "A",
        "the limited API is asked for on a free-threaded build",
        "CPython 3.14 refuses to compile that: there is no stable ABI for free-threaded builds before 3.15.",
        "Define it only where Py_GIL_DISABLED is not.",
        "#define Py_LIMITED_API 0x030A0000",
        "#ifndef Py_GIL_DISABLED\n#define Py_LIMITED_API 0x030A0000\n#endif",
        "In C, and in setup.py files that never mention Py_GIL_DISABLED. What is given to the compiler elsewhere is "
        "not seen.",
        f'{_HOWTO}, "Limited C API and Stable ABI"',
        ("C", "Python"),
    ),
)


def find(extension: Extension) -> Iterator[Hit]:
    """Look for them."""
    for unit in extension.project.units:
        body = unit.compiled.macros.get("Py_LIMITED_API")
        if body is not None and not _is_later(body):
            line = unit.compiled.defined_at["Py_LIMITED_API"]
            yield Hit("FT006", unit.path, line, "", "Py_LIMITED_API is defined on free-threaded builds as well")
    for place in extension.everywhere():
        if place.function.exported or place.function.name.startswith("PyInit_"):
            yield from _init(place)


def _is_later(body: str) -> bool:
    """Whether it asks for the stable ABI of a version that has one for free-threaded builds."""
    found = re.fullmatch(r"0[xX]([0-9a-fA-F]+)[uUlL]*", body)
    return found is not None and int(found[1], 16) >= 0x030F0000


def _init(place: Place) -> Iterator[Hit]:
    names = {call.name for call in place.function.calls}
    created = next((call for call in place.function.calls if call.name.startswith("PyModule_Create")), None)
    files = [{token.text for token in unit.code} for unit in place.project.units if unit is place.unit]
    others = [{token.text for token in unit.code} for unit in place.project.units if unit is not place.unit]
    if created is not None:
        yield place.hit("FT002", created.line, "single-phase: one state for all interpreters")
        near = [one for one in files if "PyUnstable_Module_SetGIL" in one] or [
            one for one in others if "PyUnstable_Module_SetGIL" in one
        ]
        if not any("Py_MOD_GIL_NOT_USED" in one for one in near):
            yield place.hit(
                "FT001", place.function.line, "nothing calls PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED)"
            )
    elif "PyModuleDef_Init" in names:
        near = [one for one in files if "PyModuleDef_Slot" in one] or others
        if not any("Py_mod_gil" in one for one in near):
            yield place.hit("FT001", place.function.line, "its slots have no Py_mod_gil")
        elif any("Py_MOD_GIL_USED" in one for one in near) and not any("Py_MOD_GIL_NOT_USED" in one for one in near):
            yield place.hit("FT001", place.function.line, "it declares Py_MOD_GIL_USED")

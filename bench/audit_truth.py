"""What the audit predicts of each extension module, against what an import in a process of its own really does.

An environment is made with the newest wheels of the distributions below (``FTCHECK_AUDIT_TRUTH=FOLDER`` names one that is
there already). Of each of their extension modules, three things are predicted: whether it turns the GIL on, by the slots
that its ``PyInit_`` gives and by the bytes of its file; whether it is initialised in one phase or in several, by its
symbols; and whether it can be imported in an interpreter with a GIL of its own, by its slot. The truth is a plain script
of ten lines (``TRUTH`` below) that knows nothing of ftcheck: it is started once for each module, imports it under ``-v``,
and looks at the GIL, at what the interpreter said, and at what the loader made of the module.

Modules that cannot be imported by themselves (tests that need something else, circles of imports) have no truth; they are
counted, and left out. Those of which the bytes decide nothing are counted, too. The last rows are the time of the file
reading for each module, and of a whole ``ftcheck audit``.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ftcheck.audit import binary, targets
from ftcheck.audit.model import Module
from ftcheck.audit.options import Options

DISTRIBUTIONS = (
    "aiohttp bcrypt cffi charset-normalizer contourpy coverage cramjam cryptography fonttools frozenlist greenlet httptools "
    "kiwisolver lxml markupsafe matplotlib mmh3 msgpack multidict numpy pandas pillow propcache psutil pydantic-core pyyaml "
    "pyzmq rapidfuzz regex rpds-py simplejson sqlalchemy tornado ujson uvloop websockets wrapt xxhash yarl zope.interface"
)
TRUTH = """\
import importlib, importlib.machinery, json, sys
made = {}
create = importlib.machinery.ExtensionFileLoader.create_module
def watching(loader, spec):
    before = sys._is_gil_enabled()
    made[spec.name] = None
    module = create(loader, spec)
    made[spec.name] = sys._is_gil_enabled() and not before
    return module
importlib.machinery.ExtensionFileLoader.create_module = watching
problem = ""
try:
    importlib.import_module(sys.argv[1])
except BaseException as error:
    problem = f"{type(error).__name__}: {error}"
print("\\nTRUTH " + json.dumps({"problem": problem, "gil": sys._is_gil_enabled(), "made": made}), flush=True)
"""
INSIDE = """\
import sys
from concurrent import interpreters
one = interpreters.create()
try:
    one.exec(f"import {sys.argv[1]}")
    print("\\nTRUTH true", flush=True)
except interpreters.ExecutionFailed:
    print("\\nTRUTH false", flush=True)
"""
PHASE = """\
import ctypes, sys
init = getattr(ctypes.PyDLL(sys.argv[2]), "PyInit_" + sys.argv[1].rpartition(".")[2])
init.restype = ctypes.py_object
init.argtypes = []
print("\\nTRUTH", '"' + type(init()).__name__ + '"', flush=True)
"""


def run() -> dict[str, Any]:
    """Measure everything."""
    os.environ.pop("PYTHONPATH", None)  # what is looked at is the environment that was made, and nothing else
    folder = os.environ.get("FTCHECK_AUDIT_TRUTH")
    if folder:
        return _measured(Path(folder))
    with tempfile.TemporaryDirectory(prefix="audit-truth-") as made:
        venv.create(made, with_pip=True, symlinks=True)
        python = str(Path(made, "bin", "python"))
        install = [python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *DISTRIBUTIONS.split()]
        subprocess.run(install, check=True)
        return _measured(Path(made))


def _measured(folder: Path) -> dict[str, Any]:
    python = str(folder / "bin" / "python")
    began = time.perf_counter()
    audit = targets.audit(str(folder), Options(jobs=2))
    whole = time.perf_counter() - began
    print(f"    audit: {whole:.1f} s", file=sys.stderr)
    audit = targets.audit(str(folder), Options(jobs=2, subinterpreters=True))
    modules = [module for row in audit.rows for module in row.modules]
    reading, working = [], []
    for module in modules:
        start, worked = time.perf_counter(), time.process_time()
        binary.read(module.binary.path)
        reading.append(1000 * (time.perf_counter() - start))
        working.append((1000 * (time.process_time() - worked), module.name))
    with ThreadPoolExecutor(2) as pool:
        truths = list(pool.map(lambda one: _truth(python, one), modules))
    return {
        "distributions": [f"{row.name} {row.version}" for row in audit.rows if row.modules],
        "modules": [_compared(module, truth) for module, truth in zip(modules, truths, strict=True)],
        "static_ms": {
            "median": round(statistics.median(reading), 1),
            "p95": round(sorted(reading)[int(len(reading) * 0.95)], 1),
            "most": round(max(reading), 1),
            "most_cpu": round(max(working)[0], 1),
            "most_of": max(working)[1],
        },
        "audit_seconds": round(whole, 1),
        "platform": audit.interpreter.platform if audit.interpreter else "",
    }


def _truth(python: str, module: Module) -> dict[str, Any]:
    imported, lines = _ask([python, "-v", "-c", TRUTH, module.name])
    inside, _ = _ask([python, "-c", INSIDE, module.name])
    phase, _ = _ask([python, "-c", PHASE, module.name, module.binary.path])
    marker = f"# loading module '{module.name}', which requires the GIL"
    return {"imported": imported, "requires": marker in lines, "inside": inside, "phase": phase}


def _ask(words: list[str]) -> tuple[Any, str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHON_GIL", "PYTHONPATH")}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", cwd=folder, env=environment, timeout=120, check=False
        )
    said = [line for line in done.stdout.splitlines() if line.startswith("TRUTH ")]
    return (json.loads(said[-1].removeprefix("TRUTH ")) if said else None), done.stderr


def _compared(module: Module, truth: dict[str, Any]) -> dict[str, Any]:
    reading = module.binary.reading(module.name)
    called = module.called.slots if module.called is not None else None
    imported = truth["imported"]
    fine = imported is not None and not imported["problem"]
    inside = truth["inside"] if fine else None
    seen = module.subinterpreter
    return {
        "module": module.name,
        "phase": {"predicted": module.binary.phase, "true": _PHASES.get(str(truth["phase"]))},
        "flips": truth["requires"] if fine or truth["requires"] else None,
        "by_bytes": None if reading.slots is None else reading.slots.gil != 1,
        "by_slots": None if called is None else called.gil != 1,
        "by_import": any(one.module == module.name for one in module.imported.requires) if module.imported else None,
        "interpreters_slot": (called or reading.slots).interpreters if called or reading.slots else None,
        "own_gil": {"seen": None if seen is None else not (seen.problem or seen.died), "true": inside,
                    "refuses": "" if seen is None else seen.refuses},
    }  # fmt: skip


_PHASES = {"moduledef": "multi-phase", "module": "single-phase"}


def table(result: dict[str, Any]) -> str:
    """As Markdown."""
    modules = result["modules"]
    multi = [one for one in modules if one["phase"]["true"] == "multi-phase" and one["flips"] is not None]
    single = [one for one in modules if one["phase"]["true"] == "single-phase" and one["flips"] is not None]
    refuses = [one for one in modules if one["own_gil"]["true"] is not None]
    no_slot = [one for one in refuses if one["interpreters_slot"] != 2]
    rows = [
        ("initialised in one phase or several, by symbols", _right(modules, lambda one: one["phase"]["predicted"],
                                                                  lambda one: one["phase"]["true"])),
        ("turns the GIL on, multi-phase, by slots", _right(multi, lambda one: one["by_slots"], lambda one: one["flips"])),
        ("turns the GIL on, multi-phase, by bytes", _right(multi, lambda one: one["by_bytes"], lambda one: one["flips"])),
        ("turns the GIL on, single-phase, by an import", _right(single, lambda one: one["by_import"],
                                                               lambda one: one["flips"])),
        ("imports with a GIL of its own, by an import", _right(refuses, lambda one: one["own_gil"]["seen"],
                                                              lambda one: one["own_gil"]["true"])),
        ("without slot 2: does not import with a GIL of its own", _right(no_slot, lambda one: False,
                                                                       lambda one: one["own_gil"]["true"])),
    ]  # fmt: skip
    lines = ["| what | right | of those decided | nothing decided |", "|---|--:|--:|--:|"]
    lines += [f"| {what} | {right} | {decided} | {undecided} |" for what, (right, decided, undecided) in rows]
    unknown = sum(one["flips"] is None for one in modules)
    flips = Counter(one["module"].partition(".")[0] for one in modules if one["flips"])
    ms = result["static_ms"]
    lines += [
        "",
        f"{len(result['distributions'])} distributions, {len(modules)} extension modules; {unknown} cannot be imported by "
        f"themselves and have no truth about the GIL. The GIL is turned on by {sum(flips.values())} modules: "
        + ", ".join(f"{number} of {name}" for name, number in sorted(flips.items())) + ".",
        "",
        f"Reading a file takes {ms['median']} ms (median; 95 % within {ms['p95']} ms, the longest {ms['most']} ms); the "
        f"most work is {ms['most_of']}, with {ms['most_cpu']} ms of CPU time. The whole audit, with imports, takes "
        f"{result['audit_seconds']} s for {len(modules)} modules on 2 CPUs.",
    ]  # fmt: skip
    wrong = [one["module"] for one in multi if None not in (one["by_slots"], one["by_bytes"])
             and len({one["by_slots"], one["by_bytes"], one["flips"]}) > 1]  # fmt: skip
    if wrong:
        lines += ["", f"Wrong: {', '.join(wrong)}."]
    return "\n".join(lines)


def _right(some: list[dict[str, Any]], predicted: Any, true: Any) -> tuple[int, int, int]:
    decided = [one for one in some if predicted(one) not in (None, "unknown") and true(one) is not None]
    return sum(predicted(one) == true(one) for one in decided), len(decided), len(some) - len(decided)

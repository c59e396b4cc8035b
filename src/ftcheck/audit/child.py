"""The program of the children that touch the code of others. It runs by itself, in any CPython from 3.9 on.

It is started as ``PYTHON -v child.py FD``, reads its orders as JSON from standard input, and writes one line of JSON for
each thing that happens to the file descriptor FD. Nobody reads its standard output, so modules may print what they like.
Each order names a subject by a number; ``begin`` is written before the code of the subject is touched and ``done`` after
it, so whoever reads this knows which one the process died of.

Kinds of orders:

``facts``
    What this interpreter is, and where it looks for modules.
``slots``
    The ``PyInit_`` function is called through :mod:`ctypes`. A multi-phase module gives its ``PyModuleDef`` and nothing of
    its body is run (PEP 489); the slots are read off it. (For single-phase modules this function *is* the body: they are
    not given as orders.) Where the fields of a ``PyModuleDef`` are follows from ``object.__basicsize__``; that this is so
    here is tried first, with a definition of our own whose slots the interpreter must read (:func:`_offset_of_slots`).
``import``
    A real import. With ``-v`` the interpreter writes a line for each module that does not declare that it does without the
    GIL (CPython ``Python/import.c``: ``# loading module 'NAME', which requires the GIL``), also when the GIL is on
    already. It writes to ``sys.stderr``, which is an object of ours here: so the frames that are importing are still there
    to be looked at.
``subinterpreter``
    An import in an interpreter of its own, with a GIL of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import time
from typing import Any

_NO_LIMITS = (ImportError, OSError, ValueError)
"""A name for them, since a clause with several types is written differently in old and in new versions."""
_LINE = re.compile(r"# loading module '([^']+)', which requires the GIL")
_REFUSES = re.compile(r"module (\S+) does not support loading in subinterpreters")


class Channel:
    """Where things are told; a process that was forked by a module has nothing to tell but that, and ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._owner = descriptor, os.getpid()

    def tell(self, kind: str, number: int, **more: Any) -> None:
        """Write one line, whole, and apart from what somebody else may have written before."""
        line = b"\n" + json.dumps({"kind": kind, "number": number, **more}, ensure_ascii=True).encode() + b"\n"
        while line:
            line = line[os.write(self._descriptor, line) :]

    def end_if_forked(self, number: int) -> None:
        """A module has forked, and its child came back here as if it were us."""
        if os.getpid() != self._owner:
            self.tell("forked", number)
            os._exit(0)


class Listening:
    """Stands in for ``sys.stderr``: hears which modules require the GIL, and who is importing them."""

    encoding, errors = "utf-8", "backslashreplace"

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.heard: list[dict[str, Any]] = []

    def write(self, text: str) -> int:
        """Take the lines that matter, drop the others of ``-v``, and let the rest through."""
        found = _LINE.search(text)
        if found is not None:
            self.heard.append({"module": found[1], "chain": _importing()})
        elif not text.startswith(("#", "import ")) and text != "\n":
            self._stream.write(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _importing() -> list[str]:
    """Names of the modules that are being executed now, the outermost first."""
    names: list[str] = []
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__")
        if frame.f_code.co_name == "<module>" and isinstance(name, str) and name != "__main__":
            names.append(name)
        frame = frame.f_back  # type: ignore[assignment]
    return list(dict.fromkeys(reversed(names)))


def main() -> None:
    """Carry out all orders."""
    channel = Channel(int(sys.argv[1]))
    orders = json.loads(sys.stdin.read())
    sys.path.pop(0)  # our own folder
    sys.path[:0] = orders.get("path", [])
    _no_core_files()
    work = {"facts": facts, "slots": slots, "import": imports, "subinterpreter": subinterpreters}[orders["kind"]]
    work(channel, orders.get("subjects", []))
    channel.tell("end", -1)
    os._exit(0)  # what modules do when an interpreter ends was not asked


def _no_core_files() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except _NO_LIMITS:
        pass


def facts(channel: Channel, _subjects: list[dict[str, str]]) -> None:
    """What this interpreter is."""
    import importlib.machinery
    import platform
    import site
    import sysconfig

    paths = sysconfig.get_paths()
    channel.tell(
        "done",
        0,
        implementation=platform.python_implementation(),
        version=platform.python_version(),
        version_info=list(sys.version_info[:3]),
        free_threaded=bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        suffixes=importlib.machinery.EXTENSION_SUFFIXES,
        path=[entry for entry in sys.path if entry],
        standard=[paths["stdlib"], paths["platstdlib"]],
        platform=sysconfig.get_platform(),
        machine=platform.machine(),
        prefix=sys.prefix,
        user_base=site.getuserbase() if site.ENABLE_USER_SITE else "",
        size=sys.maxsize,
    )


# -- slots -------------------------------------------------------------------------------------------------------------


def slots(channel: Channel, subjects: list[dict[str, str]]) -> None:
    """Call ``PyInit_`` of each module, and read the slots of what it gives."""
    try:
        offset, _kept = _offset_of_slots()
    except Exception as error:
        for number in range(len(subjects)):
            channel.tell("done", number, problem=f"the layout of this interpreter's PyModuleDef is not known: {error}")
        return
    for number, subject in enumerate(subjects):
        channel.tell("begin", number)
        try:
            found = _slots(subject["file"], subject["symbol"], offset)
        except BaseException as error:
            found = {"problem": f"{type(error).__name__}: {error}"[:500]}
        channel.end_if_forked(number)
        channel.tell("done", number, **found)


def _offset_of_slots() -> tuple[int, Any]:
    """Bytes from the beginning of a ``PyModuleDef`` to ``m_slots``, and what must not be thrown away while slots are read.

    The fields are those of ``Include/moduleobject.h``, the same from 3.5 to 3.14; only the object header differs between
    builds, and its size is ``object.__basicsize__``. Two trials show that it is so: the size of the whole structure, and
    that the interpreter finds fault with a slot of a number that cannot be, which it can only do if it reads it where we
    put it.
    """
    import ctypes

    pointer, size = ctypes.c_void_p, ctypes.c_ssize_t

    class Slot(ctypes.Structure):
        _fields_ = [("number", ctypes.c_int), ("value", pointer)]

    class Definition(ctypes.Structure):
        _fields_ = [
            ("head", ctypes.c_ubyte * object.__basicsize__),
            ("m_init", pointer),
            ("m_index", size),
            ("m_copy", pointer),
            ("m_name", ctypes.c_char_p),
            ("m_doc", ctypes.c_char_p),
            ("m_size", size),
            ("m_methods", pointer),
            ("m_slots", ctypes.POINTER(Slot)),
            ("m_traverse", pointer),
            ("m_clear", pointer),
            ("m_free", pointer),
        ]

    array = (Slot * 2)(Slot(31415, None), Slot(0, None))
    definition = Definition(m_name=b"ftcheck_trial", m_slots=array)
    init, create = ctypes.pythonapi.PyModuleDef_Init, ctypes.pythonapi.PyModule_FromDefAndSpec2
    init.argtypes, init.restype = [pointer], ctypes.py_object
    create.argtypes, create.restype = [pointer, ctypes.py_object, ctypes.c_int], ctypes.py_object
    kept = init(ctypes.addressof(definition))
    if type(kept).__basicsize__ != ctypes.sizeof(Definition):
        raise RuntimeError("it has another size")
    try:
        create(ctypes.addressof(definition), type("Spec", (), {"name": "ftcheck_trial"})(), 1013)
    except SystemError as error:
        if "31415" in str(error):
            return Definition.m_slots.offset, (definition, array)
        raise
    raise RuntimeError("its slots are elsewhere")


def _slots(file: str, symbol: str, offset: int) -> dict[str, Any]:
    import ctypes

    library = ctypes.PyDLL(file, mode=getattr(sys, "getdlopenflags", lambda: 2)())
    init = getattr(library, symbol)
    init.argtypes, init.restype = [], ctypes.py_object
    definition = init()
    if type(definition).__name__ != "moduledef":
        return {"phase": "single-phase"}
    address = ctypes.c_void_p.from_address(id(definition) + offset).value
    found: dict[str, int] = {}
    values = {3: "interpreters", 4: "gil"}
    while address:
        number = ctypes.c_int.from_address(address).value
        if not number:
            break
        if number in values:
            found[values[number]] = ctypes.c_void_p.from_address(address + 8).value or 0
        address += 16
    return {"phase": "multi-phase", "gil": found.get("gil"), "interpreters": found.get("interpreters")}


# -- import ------------------------------------------------------------------------------------------------------------


def imports(channel: Channel, subjects: list[dict[str, str]]) -> None:
    """Import each module, all in this process."""
    listening = Listening(sys.stderr)
    sys.stderr = listening
    enabled = getattr(sys, "_is_gil_enabled", lambda: True)
    for number, subject in enumerate(subjects):
        channel.tell("begin", number)
        before, began, problem, missing, file = len(listening.heard), time.perf_counter(), "", "", ""
        try:
            module = importlib.import_module(subject["module"])
            file = str(getattr(module, "__file__", "") or "")
        except BaseException as error:
            problem = f"{type(error).__name__}: {error}"[:500]
            missing = str(error.name or "") if isinstance(error, ModuleNotFoundError) else ""
        channel.end_if_forked(number)
        channel.tell(
            "done",
            number,
            problem=problem,
            missing=missing,
            file=file,
            gil=enabled(),
            requires=listening.heard[before:],
            seconds=round(time.perf_counter() - began, 4),
            there=os.path.lexists(subject["file"]),
        )


# -- subinterpreters ---------------------------------------------------------------------------------------------------

_INSIDE = """\
import sys
sys.path[:] = {path!r}
try:
    __import__({module!r})
except BaseException as error:
    said, seen = [], set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        said.append(type(error).__name__ + ": " + str(error))
        error = error.__cause__ or error.__context__
    raise SystemError("\\n".join(said)) from None
"""


def subinterpreters(channel: Channel, subjects: list[dict[str, str]]) -> None:
    """Import each module in an interpreter of its own."""
    try:
        from concurrent import interpreters
    except ImportError:
        for number in range(len(subjects)):
            channel.tell("done", number, problem="not asked: this Python has no concurrent.interpreters")
        return
    for number, subject in enumerate(subjects):
        channel.tell("begin", number)
        problem, refuses = "", ""
        try:
            one = interpreters.create()
            try:
                one.exec(_INSIDE.format(path=sys.path, module=subject["module"]))
            except interpreters.ExecutionFailed as error:
                said = str(error.excinfo.msg if error.excinfo is not None else error)
                problem = said.splitlines()[0][:500] if said else "it failed, and did not say how"
                found = _REFUSES.search(said)
                refuses = found[1] if found is not None else ""
            finally:
                one.close()
        except BaseException as error:
            problem = problem or f"{type(error).__name__}: {error}"[:500]
        channel.end_if_forked(number)
        channel.tell("done", number, problem=problem, refuses=refuses)


if __name__ == "__main__":
    main()

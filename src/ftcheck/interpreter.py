"""Facts about the running interpreter: free-threaded or not, is the GIL on now, and who turned it on.

An extension module that does not declare ``Py_mod_gil = Py_MOD_GIL_NOT_USED`` turns the GIL on for the whole process
when it is imported (PEP 703; CPython ``Python/import.c``, ``_PyImport_CheckGILState``). The warning about it is no
sign to rely on: ``-W ignore`` silences it, ``-W error`` turns it into an exception that a test may swallow, and it
comes for the first offender only. So this module asks the interpreter itself, before and after each extension module
is loaded (:class:`GilWatch`).
"""

from __future__ import annotations

import importlib.machinery
import os
import platform
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from types import ModuleType
from typing import Any


def free_threaded_build() -> bool:
    """Whether this interpreter can run without the GIL at all (``python3.14t``, not ``python3.14``)."""
    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def gil_enabled() -> bool:
    """Whether the GIL is on at this moment."""
    return sys._is_gil_enabled()


def gil_forced() -> bool | None:
    """``PYTHON_GIL`` or ``-X gil``: True forced on, False forced off, None left to the imported modules."""
    flag = getattr(sys.flags, "gil", None)
    return None if flag is None else bool(flag)


def cpus() -> int:
    """CPUs this process may use (its affinity mask, not the machine's count)."""
    return os.process_cpu_count() or 1


def describe() -> str:
    """One line for a header: ``CPython 3.14.9 free-threaded, GIL off, 2 CPUs``."""
    build = "free-threaded" if free_threaded_build() else "with the GIL (not a free-threaded build)"
    gil = ""
    if free_threaded_build():
        forced = {True: " (forced by PYTHON_GIL=1)", False: " (forced by PYTHON_GIL=0)", None: ""}[gil_forced()]
        gil = f", GIL {'on' if gil_enabled() else 'off'}{forced}"
    number = cpus()
    return (
        f"{platform.python_implementation()} {platform.python_version()} {build}{gil}, "
        f"{number} CPU{'' if number == 1 else 's'}"
    )


@dataclass(frozen=True, slots=True)
class GilEvent:
    """The GIL came on.

    :param modules: the extension modules whose import did it; more than one only where that could not be told apart.
    :param importer: the file and line of the import statement, where known.
    """

    modules: tuple[str, ...]
    importer: str = ""

    @property
    def text(self) -> str:
        """One line: who did it."""
        if not self.modules:
            return "the GIL was turned on; no extension module that asks for it was found"
        names = ", ".join(repr(name) for name in self.modules)
        where = f", imported at {self.importer}" if self.importer else ""
        return f"importing {names} turned the GIL on (no Py_mod_gil = Py_MOD_GIL_NOT_USED){where}"


class GilWatch:
    """Notices that the GIL came on and says which module did it.

    While installed, it wraps ``ExtensionFileLoader.create_module`` and ``exec_module`` and compares the GIL's state
    before and after. :meth:`take` gives what has happened since the last call. What happened before it was installed
    is found by :func:`who_needs_the_gil` in a child process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known = gil_enabled()
        self._events: list[GilEvent] = []
        self._originals: dict[str, Callable[..., Any]] = {}

    def install(self) -> None:
        """Begin to watch. Nothing is wrapped where the GIL is on already: it can no longer come on."""
        if self._originals or gil_enabled():
            return
        for name in ("create_module", "exec_module"):
            original = getattr(ExtensionFileLoader, name)
            self._originals[name] = original
            setattr(ExtensionFileLoader, name, self._watching(original))

    def uninstall(self) -> None:
        """Put the loader's own methods back."""
        for name, original in self._originals.items():
            setattr(ExtensionFileLoader, name, original)
        self._originals.clear()

    def _watching(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def load(loader: ExtensionFileLoader, subject: ModuleSpec | ModuleType) -> Any:
            before = gil_enabled()
            try:
                return original(loader, subject)
            finally:
                if not before and gil_enabled():
                    name = str(getattr(subject, "name", None) or getattr(subject, "__name__", loader.name))
                    with self._lock:
                        self._events.append(GilEvent((name,), _importer()))

        return load

    def take(self) -> GilEvent | None:
        """What turned the GIL on since the last call, or None when nothing did."""
        now = gil_enabled()
        with self._lock:
            came_on, self._known = now and not self._known, now
            events, self._events = self._events, []
        if events:
            return events[0]
        return GilEvent(who_needs_the_gil()) if came_on else None


def _importer() -> str:
    frame = sys._getframe(2)
    while frame is not None:
        filename = frame.f_code.co_filename
        if not filename.startswith("<frozen importlib") and filename not in (__file__, importlib.__file__):
            return f"{filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""


def who_needs_the_gil(timeout: float = 60.0) -> tuple[str, ...]:
    """Every extension module loaded in this process that asks for the GIL.

    They are imported again in a child interpreter under ``-v``, which names each one (CPython ``Python/import.c``
    prints ``# loading module 'X', which requires the GIL``), not only the first.

    :param timeout: seconds for the child. When it takes longer, the answer is empty.
    """
    names = [
        name
        for name, module in list(sys.modules.items())
        if isinstance(getattr(getattr(module, "__spec__", None), "loader", None), ExtensionFileLoader)
    ]
    program = "import sys\nsys.path[:] = %r\nfor name in %r:\n    try: __import__(name)\n    except BaseException: pass\n"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHON_GIL"}
    try:
        done = subprocess.run(
            [sys.executable, "-v", "-c", program % (sys.path, names)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=environment,
            check=False,
        )
    except OSError, subprocess.TimeoutExpired:
        return ()
    marker = "which requires the GIL"
    found = (line.split("'")[1] for line in done.stderr.splitlines() if marker in line and line.count("'") >= 2)
    return tuple(dict.fromkeys(found))

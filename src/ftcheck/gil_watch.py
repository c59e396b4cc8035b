"""Notices that the GIL comes on, and names every extension module that asks for it.

An extension module that does not declare ``Py_mod_gil = Py_MOD_GIL_NOT_USED`` turns the GIL on for the whole process
when it is imported (PEP 703; CPython ``Python/import.c``, ``_PyImport_CheckGILState``). The warning about it is no
sign to rely on: ``-W ignore`` silences it, ``-W error`` turns it into an exception that a test may swallow, and it
comes for the first offender only. So the interpreter itself is asked, after each extension module is loaded; and once
the GIL is on, the module object is asked what it has declared (``_core/gil.c``), which is what the interpreter goes by.

One mechanism for two: the plugin (a verdict of a test) and :mod:`ftcheck.guard` (production). The latter is why this
imports next to nothing: it is read at the start of programs.
"""

from __future__ import annotations

import _thread
import importlib
import sys
from collections import namedtuple
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from types import CodeType, FrameType, ModuleType
from typing import Any

_IMPORTLIB = "<frozen importlib"
_OURS = "ftcheck._core"


def gil_enabled() -> bool:
    """Whether the GIL is on, to stay.

    While any extension module is being created, the interpreter has it on for that moment (PEP 703), and
    ``sys._is_gil_enabled`` says so on all threads. That is not meant; where ``_core`` cannot be asked, it counts as on.
    """
    if not sys._is_gil_enabled():
        return False
    if "t" not in sys.abiflags:
        return True
    try:
        from ftcheck import _core
    except ImportError:
        return True
    return _core.gil_is_permanent()


def requires_gil(module: object) -> bool | None:
    """Whether the interpreter turns the GIL on for this module, once it is loaded; None: it cannot be told here."""
    try:
        from ftcheck import _core  # only where the GIL is on: programs do without it else
    except ImportError:
        return None
    return _core.requires_gil(module)


def asking() -> tuple[str, ...]:
    """Every extension module in this process that asks for the GIL; those that failed to be imported are not in it."""
    return tuple(
        name
        for name, module in list(sys.modules.items())
        if isinstance(getattr(getattr(module, "__spec__", None), "loader", None), ExtensionFileLoader)
        and requires_gil(module)
    )


_Event = namedtuple("_Event", "modules importer chain first", defaults=("", (), True))
"""Neither a dataclass nor typing's kind of it: these load a dozen modules, which every watched program would pay for."""


class GilEvent(_Event):
    """The GIL came on, or a module asked for it when it was on already.

    :param modules: the extension modules that asked for it; empty where none was found.
    :param importer: the file and line of the import statement, where known.
    :param chain: every import that led to it, the innermost first: ``at FILE:LINE``, or ``by the extension module 'x'``.
    :param first: the GIL was off before.
    """

    __slots__ = ()
    modules: tuple[str, ...]
    importer: str
    chain: tuple[str, ...]
    first: bool

    @property
    def text(self) -> str:
        """One line: who did it."""
        if not self.modules:
            return "the GIL was turned on; no extension module that asks for it was found"
        names = ", ".join(repr(name) for name in self.modules)
        where = f", imported at {self.importer}" if self.importer else ""
        if not self.first:
            return f"importing {names} would have turned the GIL on, too (no Py_mod_gil = Py_MOD_GIL_NOT_USED){where}"
        return f"importing {names} turned the GIL on (no Py_mod_gil = Py_MOD_GIL_NOT_USED){where}"


class GilWatch:
    """Notices that the GIL came on and says which modules did it.

    While installed, it wraps ``ExtensionFileLoader.create_module`` and ``exec_module``. :meth:`take` gives what has
    happened since the last call. What happened before it was installed is found in ``sys.modules`` (:func:`asking`).

    :param on_event: called on the importing thread for each module that asks for the GIL; what it returns is raised
        there, in place of the import, unless it is None.
    :ivar loaded: extension modules that were loaded while it was installed.
    """

    def __init__(self, on_event: Callable[[GilEvent], BaseException | None] | None = None) -> None:
        self._lock = _thread.allocate_lock()
        self._known = gil_enabled()
        self._named: set[str] = set()
        self._loading: list[int] = []  # the thread of each load that has begun, and has been noted when it is over
        self._events: list[GilEvent] = []
        self._originals: dict[str, Callable[..., Any]] = {}
        self._on_event = on_event
        self._code: CodeType | None = None
        self.loaded = 0

    def install(self, *, whatever: bool = False) -> None:
        """Begin to watch.

        :param whatever: also where the GIL is on already, to name those that ask for it once more. Else nothing is
            wrapped there: it can no longer come on.
        """
        if self._originals or (gil_enabled() and not whatever):
            return
        for name in ("create_module", "exec_module"):
            original = getattr(ExtensionFileLoader, name)
            self._originals[name] = original
            setattr(ExtensionFileLoader, name, self._watching(original, name == "create_module"))

    def uninstall(self) -> None:
        """Put the loader's own methods back."""
        for name, original in self._originals.items():
            setattr(ExtensionFileLoader, name, original)
        self._originals.clear()

    def _watching(self, original: Callable[..., Any], creates: bool) -> Callable[..., Any]:
        def load(loader: ExtensionFileLoader, subject: ModuleSpec | ModuleType) -> Any:
            if loader.name == _OURS:  # which is being loaded to look at another one
                return original(loader, subject)
            name = _name_of(subject, loader)
            self._begins()
            before, known = gil_enabled(), len(self._named)
            try:
                try:
                    result = original(loader, subject)
                except BaseException as error:
                    if _is_the_warning(error, name) or self._came_on_here(before, known):
                        self._note(name, first=not before)
                    raise
                if gil_enabled():
                    wants = requires_gil(result) if creates else None
                    if wants or (wants is None and self._came_on_here(before, known)):
                        refused = self._note(name, first=not before)
                        if refused is not None:
                            raise refused
                return result
            finally:
                self._ends(creates)

        # The interpreter leaves frames of this name in this file out of tracebacks (Python/import.c,
        # remove_importlib_frames): what an extension raises looks as it does without us.
        name = "_call_with_frames_removed"
        file = f"{_IMPORTLIB}._bootstrap_external>"
        self._code = load.__code__ = load.__code__.replace(co_filename=file, co_name=name, co_qualname=name)
        return load

    def _begins(self) -> None:
        with self._lock:
            self._loading.append(_thread.get_ident())

    def _ends(self, creates: bool) -> None:
        with self._lock:
            self._loading.remove(_thread.get_ident())
            self.loaded += creates

    def _came_on_here(self, before: bool, known: int) -> bool:
        """Whether it is this load that turned the GIL on, by the state alone.

        Not if a module has been named since: it was imported by this one. Nor if another thread is loading: that one may
        have turned it on, and is yet to be named.
        """
        if before or not gil_enabled():
            return False
        with self._lock:
            return len(self._named) == known and set(self._loading) == {_thread.get_ident()}

    def _note(self, name: str, *, first: bool) -> BaseException | None:
        chain = _importers(self._code)
        with self._lock:
            if name in self._named:
                return None
            first = first and not self._named
            self._named.add(name)
            importer = next((one.removeprefix("at ") for one in chain if one.startswith("at ")), "")
            event = GilEvent((name,), importer, chain, first)
            self._events.append(event)
        return None if self._on_event is None else self._on_event(event)

    def take(self) -> GilEvent | None:
        """What turned the GIL on since the last call, and what asked for it besides; None when it did not come on."""
        now = gil_enabled()
        with self._lock:
            came_on, self._known = now and not self._known, now
            events, self._events = self._events, []
        if not came_on:
            return None
        if not events:
            return GilEvent(asking())
        names = tuple(dict.fromkeys(name for event in events for name in event.modules))
        return GilEvent(names, events[0].importer, events[0].chain)


def _is_the_warning(error: BaseException, name: str) -> bool:
    """Whether this is the interpreter's warning that this module has turned the GIL on, made an exception by a filter."""
    return isinstance(error, RuntimeWarning) and f"load module '{name}'" in str(error)


def _name_of(subject: ModuleSpec | ModuleType, loader: ExtensionFileLoader) -> str:
    return str(getattr(subject, "name", None) or getattr(subject, "__name__", loader.name))


def _importers(wrapper: CodeType | None) -> tuple[str, ...]:
    """Each import that is being executed on this thread, the innermost first.

    An import statement has frames of importlib between it and what it imports. What an extension module imports by itself
    has no frame of its own; there it is the frame of our wrapper that says so.
    """
    found: list[str] = []
    frame: FrameType | None = sys._getframe(1)
    importing, own = True, True
    while frame is not None:
        filename = frame.f_code.co_filename
        if frame.f_code == wrapper:
            if not own:
                found.append(f"by the extension module {frame.f_locals['loader'].name!r}")
            own = False
        if filename.startswith(_IMPORTLIB) or filename == importlib.__file__:
            importing = True
        elif filename != __file__:
            if importing and not filename.startswith("<frozen "):
                found.append(f"at {filename}:{frame.f_lineno}")
            importing = False
        frame = frame.f_back
    return tuple(dict.fromkeys(found))

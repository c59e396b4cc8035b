"""What no thread could raise: exceptions in ``__del__`` and callbacks, and in threads that nobody joins.

They reach :data:`sys.unraisablehook` and :data:`threading.excepthook`, and a test that does not look there passes.
While a workload runs they are failures of the round in which they came.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable


class Hooks:
    """While entered, every exception that reaches one of the two hooks is recorded, with a note that says how it came there.

    The hooks that were there before are put back at the end. It can be entered any number of times, one after the other.

    :param record: called with each exception.
    """

    def __init__(self, record: Callable[[BaseException], None]) -> None:
        self._record = record
        self._ours = self._unraisable, self._uncaught

    def __enter__(self) -> None:
        self._before = sys.unraisablehook, threading.excepthook
        sys.unraisablehook, threading.excepthook = self._ours

    def __exit__(self, *args: object) -> None:
        sys.unraisablehook, threading.excepthook = self._before

    def _unraisable(self, args: sys.UnraisableHookArgs) -> None:
        exception = args.exc_value if args.exc_value is not None else args.exc_type()
        what = args.err_msg or "Exception ignored in"
        # The object is named at once and not kept: keeping it would bring a dying object back to life.
        self._take(exception, f"{what} {_repr(args.object)} (sys.unraisablehook)")

    def _uncaught(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_type is SystemExit:
            return
        exception = args.exc_value if args.exc_value is not None else args.exc_type()
        name = args.thread.name if args.thread is not None else "unknown"
        self._take(exception, f"not caught in thread {name!r} (threading.excepthook)")

    def _take(self, exception: BaseException, note: str) -> None:
        with contextlib.suppress(Exception):
            exception.add_note(note)
        self._record(exception)


def _repr(subject: object) -> str:
    try:
        return repr(subject)
    except Exception:
        return f"<{type(subject).__qualname__}>"

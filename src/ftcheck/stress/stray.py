"""What no thread could raise: exceptions in ``__del__`` and callbacks, and in threads that nobody joins.

They reach :data:`sys.unraisablehook` and :data:`threading.excepthook`, and a test that does not look there passes.
While a workload runs they are failures of the round in which they came.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def collect(record: Callable[[BaseException], None]) -> Iterator[None]:
    """Give every exception that reaches one of the two hooks to ``record``, with a note that says how it came there.

    The hooks that were there before are put back at the end.
    """

    def unraisable(args: sys.UnraisableHookArgs) -> None:
        exception = args.exc_value if args.exc_value is not None else args.exc_type()
        what = args.err_msg or "Exception ignored in"
        # The object is named at once and not kept: keeping it would bring a dying object back to life.
        _record(exception, f"{what} {_repr(args.object)} (sys.unraisablehook)")

    def uncaught(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is SystemExit:
            return
        exception = args.exc_value if args.exc_value is not None else args.exc_type()
        name = args.thread.name if args.thread is not None else "unknown"
        _record(exception, f"not caught in thread {name!r} (threading.excepthook)")

    def _record(exception: BaseException, note: str) -> None:
        with contextlib.suppress(Exception):
            exception.add_note(note)
        record(exception)

    before = sys.unraisablehook, threading.excepthook
    sys.unraisablehook, threading.excepthook = unraisable, uncaught
    try:
        yield
    finally:
        sys.unraisablehook, threading.excepthook = before


def _repr(subject: object) -> str:
    try:
        return repr(subject)
    except Exception:
        return f"<{type(subject).__qualname__}>"

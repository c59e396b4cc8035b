"""What ThreadSanitizer says: one of its reports, as values. ``tsan_log.py`` reads them, ``tsan_races.py`` judges them.

A report is a title and some blocks: a heading and a stack of calls. The blocks of a data race are two accesses; then may
come where the memory lies, which mutexes were held, and who started the threads. Blocks with a heading that is not known are
kept as they are: a newer ThreadSanitizer may say more than this knows.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """One call of a stack.

    :param function: ``"?"`` where nobody knows.
    :param file: the source; empty where nobody knows. Then ``line`` and ``column`` are 0.
    :param column: 0 where the compiler does not say (gcc).
    :param module: the program or shared object; empty where the log does not say.
    :param offset: into the module.
    """

    function: str
    file: str = ""
    line: int = 0
    column: int = 0
    module: str = ""
    offset: int = 0

    def __str__(self) -> str:
        """``file.c:18``, or ``module.so+0x1a2b``."""
        if self.file:
            return f"{os.path.basename(self.file)}:{self.line}" if self.line else os.path.basename(self.file)
        return f"{os.path.basename(self.module) or '?'}+{self.offset:#x}"


@dataclass(frozen=True, slots=True)
class Block:
    """A heading and the calls below it, the innermost first.

    :param heading: without its colon; empty for the first one of a report about a mutex.
    :param lost: the runtime had forgotten the stack: its ``history_size`` is too small.
    """

    heading: str
    stack: tuple[Frame, ...] = ()
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """A block that is one of the accesses of a race.

    :param what: ``"read"``, ``"write"``, ``"atomic read"`` or ``"atomic write"``.
    :param size: bytes.
    :param thread: ``"main thread"`` or ``"T1"``.
    :param mutexes: those that the thread held: ``"write M1"``.
    """

    what: str
    size: int
    address: int
    thread: str
    mutexes: tuple[str, ...]
    stack: tuple[Frame, ...] = ()
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where the memory lies.

    :param kind: ``"global"``, ``"heap block"``, ``"stack"``, ``"TLS"`` or ``"file descriptor"``.
    :param name: of the variable; the number of a file descriptor.
    :param size: bytes; 0 where the log does not say.
    :param thread: whose stack it is, or who allocated or opened it.
    :param stack: where it was allocated or opened.
    """

    kind: str
    name: str = ""
    size: int = 0
    thread: str = ""
    stack: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread that a report speaks of.

    :param id: ``"T1"``.
    :param name: that it was given; empty if none.
    :param state: ``"running"`` or ``"finished"``, at the time of the report.
    :param by: the thread that started it.
    :param stack: where that was done.
    """

    id: str
    name: str
    state: str
    by: str
    stack: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Mutex:
    """A mutex that a report speaks of.

    :param stack: where it was made, or used for the first time.
    """

    id: str
    address: int
    stack: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One report.

    :param kind: as the log has it: ``"data race"``, ``"lock-order-inversion (potential deadlock)"``.
    :param pid: of the process; 0 where the log does not say.
    :param blocks: stacks that are none of the accesses, such as where a mutex was taken.
    :param remarks: lines that are no heading of a stack, such as the cycle of a lock-order inversion.
    :param complete: its end is there; else the log was cut off, or is still being written.
    :param mixed: its lines stand among those of other processes: which belong to it is a guess.
    """

    kind: str
    pid: int
    accesses: tuple[Access, ...] = ()
    blocks: tuple[Block, ...] = ()
    places: tuple[Place, ...] = ()
    threads: tuple[Thread, ...] = ()
    mutexes: tuple[Mutex, ...] = ()
    remarks: tuple[str, ...] = ()
    complete: bool = True
    mixed: bool = False

    @property
    def stacks(self) -> tuple[tuple[Frame, ...], ...]:
        """What the report is about: the accesses, or else its other stacks, or else where its threads were started."""
        about: tuple[Access | Block | Thread, ...] = self.accesses or self.blocks or self.threads
        return tuple(one.stack for one in about)

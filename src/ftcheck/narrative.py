"""One interleaving in words: who did what, in which order, and which of it matters.

An engine writes it down (:mod:`ftcheck.explore.story`), a report shows it (:mod:`ftcheck.report.interleaving`). It is plain
data, like everything on the ground floor: it can travel from a worker process to the one that prints.

The order of time is that of ``turns``. A turn is what one thread did until another one went on; in it are steps, each one
thing that a thread did, at a line of code. A step *matters* if without it the reader would not see why the others went
wrong; which ones do, the engine decides, because it knows what conflicts with what.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import Any

from ftcheck.verdicts import Location


class Did(enum.Enum):
    """What a thread did in one step. ``name`` and ``value`` of the step say with what."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    NEXT = "next"
    """Took the next item of an iterator."""
    CALL = "call"
    """One call that is atomic, or blocks inside the standard library; ``name`` is the whole call."""
    ACQUIRE = "acquire"
    RELEASE = "release"
    """With the ``value`` ``"exception"``: on the way out of a ``with`` block, because of one."""
    TRY = "try"
    """Tried to take a lock without waiting; ``value`` is ``"taken"`` or ``"held"``."""
    WAIT = "wait"
    """Cannot go on: for a lock, for what a call waits for, or for threads to end."""
    OUTSIDE = "outside"
    """Blocks where nobody controls it: in a socket, a lock in C, a child process; ``value``: the function."""
    TIMEOUT = "timeout"
    """Waited for a lock for as long as it wanted to."""
    SLEEP = "sleep"
    """Sleeps; with the ``value`` ``"over"``, wakes up."""
    START = "start"
    JOIN = "join"
    BEGIN = "begin"
    END = "end"
    RAISE = "raise"
    """``name`` is the exception's type, ``value`` its message."""


class Handover(enum.Enum):
    """Why another thread went on after a turn."""

    PREEMPTED = "preempted"
    """The thread could have gone on: the scheduler stopped it. These are the switches that break code."""
    WAITED = "waited"
    ENDED = "ended"
    GAVE_WAY = "gave way"
    """By ``time.sleep(0)``, or because it had run for long while others could not."""
    RUN_ENDED = "run ended"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a thread did.

    :param name: what it was done to, as the code calls it: ``self.value``, ``lock``; the same object has the same name
        everywhere, and no two have one.
    :param value: what was read, or what was written, as a short text; None where it is not known.
    :param place: where: a number into :attr:`Interleaving.places`; -1 where there is none.
    :param holder: of :attr:`Did.WAIT`: the thread that holds the lock; -1 where there is none.
    :param since: where that thread took it: a number into ``places``, or -1.
    :param threads: of start, join, and waiting for threads: which.
    """

    did: Did
    name: str = ""
    value: str | None = None
    place: int = -1
    matters: bool = False
    holder: int = -1
    since: int = -1
    threads: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """What one thread did until another one went on.

    :param left_out: steps that did not matter and were too many to be kept.
    """

    thread: int
    steps: tuple[Step, ...]
    handover: Handover
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that a thread holds at the end of a run that got stuck.

    :param since: where it was taken: a number into :attr:`Interleaving.places`, or -1; **made**: where it was made.
    """

    thread: int
    lock: str
    since: int
    made: int = -1


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception that ended a thread.

    :param thread: -1 where nobody knows which.
    :param frames: of the traceback, the outermost first; the harness's own are left out.
    :param message: may have several lines.
    """

    thread: int
    kind: str
    message: str
    frames: tuple[Location, ...]

    @property
    def headline(self) -> str:
        """``KeyError: 'x'``: the type and the first line of the message."""
        first = self.message.partition("\n")[0]
        return f"{self.kind}: {first}" if first else self.kind


@dataclass(frozen=True, slots=True)
class Interleaving:
    """One run, as a report shows it.

    :param ending: how it ended: ``"complete"``, ``"deadlock"``, or what limit ended it.
    :param names: of the threads, by number: 0 is the test itself.
    :param turns: in the order of time.
    :param places: the lines of code that the steps refer to.
    :param raised: in the order of time, as far as it is known.
    :param waiting: the threads that are stuck: (thread, step) with ``did`` wait.
    :param held: what locks threads hold in a run that got stuck.
    :param preemptions: times a thread was stopped although it could have gone on.
    :param complete: False: there was no memory to note everything, and things are missing.
    """

    ending: str
    names: tuple[str, ...]
    turns: tuple[Turn, ...]
    places: tuple[Location, ...]
    raised: tuple[Raised, ...] = ()
    waiting: tuple[Stuck, ...] = ()
    held: tuple[Held, ...] = ()
    preemptions: int = 0
    complete: bool = True

    def name(self, thread: int) -> str:
        """``thread 1``, and the test itself is ``the test``."""
        return "the test" if thread == 0 else f"thread {thread}"

    def place(self, number: int) -> Location | None:
        """The place with this number."""
        return self.places[number] if 0 <= number < len(self.places) else None


@dataclass(frozen=True, slots=True)
class Stuck:
    """A thread that waits, in a run in which nobody could go on."""

    thread: int
    step: Step


def interleaving_from_plain(data: dict[str, Any]) -> Interleaving:
    """The inverse of :func:`ftcheck.verdicts.to_plain` for an :class:`Interleaving`.

    :raises KeyError, TypeError, ValueError: ``data`` is not what :func:`~ftcheck.verdicts.to_plain` made.
    """
    return Interleaving(
        ending=data["ending"],
        names=tuple(data["names"]),
        turns=tuple(
            Turn(
                turn["thread"],
                tuple(_step_from_plain(step) for step in turn["steps"]),
                Handover(turn["handover"]),
                turn["left_out"],
            )
            for turn in data["turns"]
        ),
        places=tuple(Location(**place) for place in data["places"]),
        raised=tuple(
            Raised(one["thread"], one["kind"], one["message"], tuple(Location(**frame) for frame in one["frames"]))
            for one in data["raised"]
        ),
        waiting=tuple(Stuck(one["thread"], _step_from_plain(one["step"])) for one in data["waiting"]),
        held=tuple(Held(**one) for one in data["held"]),
        preemptions=data["preemptions"],
        complete=data["complete"],
    )


def _step_from_plain(data: dict[str, Any]) -> Step:
    return dataclasses.replace(Step(**data), did=Did(data["did"]), threads=tuple(data["threads"]))

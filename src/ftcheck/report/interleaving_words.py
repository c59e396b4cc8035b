"""The words and signs of the report of an interleaving: one step as people read it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ftcheck.narrative import Did, Interleaving, Step


@dataclass(frozen=True, slots=True)
class Signs:
    """What the output can show."""

    arrow: str = "→"
    dots: str = "…"
    line: str = "─"
    bar: str = "│"
    cross: str = "┼"
    encoding: str = "utf-8"

    @classmethod
    def of(cls, encoding: str) -> Signs:
        """Those of an encoding, or their stand-ins in ASCII; one that Python does not know is taken for ASCII."""
        own = cls(encoding=encoding)
        try:
            "".join(dataclasses.astuple(own)).encode(encoding)
        except UnicodeEncodeError:
            return cls("->", "...", "-", "|", "+", encoding)
        except LookupError:
            return cls("->", "...", "-", "|", "+", "ascii")
        return own


def said(step: Step, told: Interleaving, signs: Signs) -> str:
    """One step in words: ``counter.value → 0``."""
    match step.did:
        case Did.READ:
            return f"{step.name} {signs.arrow} {step.value}" if step.value is not None else f"reads {step.name}"
        case Did.WRITE:
            return f"{step.name} = {step.value}" if step.value is not None else f"writes {step.name}"
        case Did.DELETE:
            return f"del {step.name}"
        case Did.NEXT:
            return f"next item of {step.name}"
        case Did.CALL:
            return step.name
        case Did.ACQUIRE:
            return f"acquires {step.name}"
        case Did.RELEASE:
            return f"releases {step.name}"
        case Did.TRY:
            return f"acquires {step.name}" if step.value == "taken" else f"does not get {step.name}: it is held"
        case Did.TIMEOUT:
            return f"stops waiting for {step.name}: timeout"
        case Did.OUTSIDE:
            return f"blocks outside of control, in {step.value}" if step.value else "blocks outside of control"
        case Did.SLEEP:
            return "wakes up" if step.value else "sleeps"
        case Did.START:
            return f"starts {_threads(step, told)}"
        case Did.JOIN:
            return f"has waited for {_threads(step, told)}"
        case Did.BEGIN:
            return "begins"
        case Did.END:
            return "ends"
        case Did.RAISE:
            return f"{step.name}: {step.value}" if step.value else step.name
        case Did.WAIT:
            return waits(step, told)


def waits(step: Step, told: Interleaving, since: bool = True) -> str:
    """A step that is waiting, in words.

    :param since: say where the holder took the lock, too.
    """
    if step.threads:
        return f"waits for {_threads(step, told)} to end"
    if not step.name:
        return "waits"
    holder = told.place(step.since)
    if step.holder < 0:
        return f"waits in {step.name}" if "(" in step.name else f"waits for {step.name}"
    taken = f" since line {holder.line}" if holder is not None and since else ""
    return f"waits for {step.name}, held by {told.name(step.holder)}{taken}"


def _threads(step: Step, told: Interleaving) -> str:
    names = [told.name(number) for number in step.threads]
    return names[0] if len(names) == 1 else f"threads {', '.join(str(number) for number in step.threads)}"

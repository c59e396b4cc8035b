"""Static state as text: for each module what it locks, and each static variable that tests have written.

It stands behind the findings, because it is none: a static variable that is written is where a data race can be, and whether
there is one is for the other parts to say.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.text import Text

from ftcheck.coverage import counted
from ftcheck.static_state import Image, Place, Static, StaticState

_IMAGES_SHOWN = 6
_STATICS_SHOWN = 12
_TESTS_SHOWN = 3
_WIDTHS = (1, 2, 4, 8)
_WORDS = {"steadily": "steadily", "once": "once", "unknown": "last"}
_STYLES = {"steadily": "yellow", "once": "cyan", "unknown": "cyan"}
_QUIET = "no write by a test was seen"


def show(
    console: Console, state: StaticState, *, where: Callable[[str], str], everything: bool, brief: bool = False
) -> None:
    """Print it.

    :param where: a node id as it must be typed in the current folder.
    :param everything: however many variables and tests there are; **brief**: nothing but their number.
    """
    title = ("static state of ", "bold"), (", ".join(state.chosen), "bold"), f": {_number(state)}"
    console.print(Text.assemble(*title), soft_wrap=True)
    if brief:
        return
    written = {one.place.file for one in state.statics}
    quiet = [] if everything or len(state.images) <= _IMAGES_SHOWN else [
        one for one in state.images if one.file not in written and not one.problem]  # fmt: skip
    for image in state.images:
        if image in quiet:
            continue
        for row in _image(image, state, where, everything):
            console.print(row, soft_wrap=True)
    if quiet:
        names = ", ".join(_head(one) for one in quiet[:_IMAGES_SHOWN])
        names += f" and {len(quiet) - _IMAGES_SHOWN} more (pytest -v shows all)" if len(quiet) > _IMAGES_SHOWN else ""
        console.print(Text(f"  {_QUIET} in {len(quiet)} others: {names}"), soft_wrap=True)
    for name in state.unmatched:
        console.print(Text(f"  {name}: no such extension module was imported", style="yellow"), soft_wrap=True)
    if state.lost:
        tests = ", ".join(map(where, state.lost[:_TESTS_SHOWN]))
        more = f" and {len(state.lost) - _TESTS_SHOWN} more" if len(state.lost) > _TESTS_SHOWN else ""
        line = f"  not known of {tests}{more}: the process ended before the test did"
        console.print(Text(line, style="yellow"), soft_wrap=True)


def _number(state: StaticState) -> str:
    tests = counted(state.tests, "test")
    if not state.statics:
        return f"{_QUIET} ({tests})"
    return f"{counted(len(state.statics), 'variable')} written in {tests}"


def _head(image: Image) -> str:
    names = ", ".join(image.modules)
    return f"library {os.path.basename(image.file)} of {names}" if image.library else names


def _image(image: Image, state: StaticState, where: Callable[[str], str], everything: bool) -> Iterator[Text]:
    sections = ", ".join(f"{name} {size:,} bytes" for name, size in image.sections)
    yield Text.assemble("  ", (_head(image), "bold"), f"  ({sections})" if sections else "")
    if image.imported_by:
        yield Text(f"    imported in {where(image.imported_by)}; what it wrote until that was done is not counted")
    if image.problem:
        yield Text(f"    NOT watched: {image.problem}", style="yellow")
        return
    statics = [one for one in state.statics if one.place.file == image.file]
    if not image.sections:
        yield Text("    it has no writable static memory")
        return
    yield _locks(image, bool(statics))
    shown = statics if everything or len(statics) <= _STATICS_SHOWN else statics[: _STATICS_SHOWN - 1]
    for static in shown:
        yield from _static(static, where, everything)
    if len(shown) < len(statics):
        yield Text(f"    ... and {len(statics) - len(shown)} more (pytest -v shows all)")
    if not statics:
        yield Text(f"    {_QUIET}")
    for left in state.left_out:
        if left.file == image.file:
            yield Text(f"    left out, as the interpreter's own: {left.what} ({left.number})", style="dim")


def _locks(image: Image, written: bool) -> Text:
    locking = image.locking
    once = f"; done once: {', '.join(locking.once)}" if locking.once else ""
    blind = f" ({locking.blind})" if locking.blind else ""
    if locking.locks:
        return Text(f"    locks: {', '.join(locking.locks)}{blind}{once}")
    text = f"no lock of any kind that can be seen{blind}"
    if written:
        text += ": a write by two threads at once would be a data race, unless it is atomic"
    return Text(f"    {text}{once}", style="yellow" if written else "")


def _static(static: Static, where: Callable[[str], str], everything: bool) -> Iterator[Text]:
    how = f"{_WORDS[static.how]:<8}"
    value = _value(static)
    note = f"  ({static.place.note})" if static.place.note else ""
    yield Text.assemble("    ", (how, _STYLES[static.how]), "  ", (name(static.place), "bold"), f"{value}{note}")
    most = len(static.tests) if everything else _TESTS_SHOWN
    tests = ", ".join(map(where, static.tests[:most]))
    more = f" and {static.count - most:,} more" if static.count > most else ""
    yield Text(f"              {_by(static)}{tests}{more}{_evidence(static)}", style="dim")


def name(place: Place) -> str:
    """A variable with its place: ``counter  .bss+0x10 (8 bytes)``; without a name, ``mod.so .bss+0x10 (8 bytes)``."""
    size = counted(place.size, "byte")
    here = f"{place.section}+{place.offset:#x} ({size})"
    return f"{place.name}  {here}" if place.name else f"{os.path.basename(place.file)} {here}"


def _value(static: Static) -> str:
    """What it was and what it became, where that is short."""
    old, new = bytes.fromhex(static.old), bytes.fromhex(static.new)
    whole = static.changed == static.place.size
    part = "" if whole else f" at +{static.at:#x}"
    if static.changed == len(old) and len(old) in _WIDTHS:
        return f"  {int.from_bytes(old, 'little'):#x} -> {int.from_bytes(new, 'little'):#x}{part}"
    return "" if whole else f"  {counted(static.changed, 'byte')} changed{part}"


def _by(static: Static) -> str:
    each = f"in each of {static.processes} processes " if static.how != "steadily" and static.processes > 1 else ""
    return f"{each}by " if static.count == 1 else f"{each}by {static.count:,} tests: "


def _evidence(static: Static) -> str:
    """Why it is said to be once or steadily."""
    if static.how == "steadily":
        return ", in several rounds" if static.rounds else ""
    if static.how == "unknown":
        return "; nothing ran after it that could have written it again"
    seen = ["its later rounds"] if static.rounds else []
    if static.later:
        seen.append(f"the {counted(static.later, 'test')} after it" if static.later > 1 else "the test after it")
    return f"; not by {' nor '.join(seen)}"

"""Adds up what each test has written in static memory, over all processes of a run.

Each process has static variables of its own. So whether one is written *once* or *steadily* is asked of each process by
itself: was it written again there, by another test or in another part of the same one? Where any process says so, it is
steadily. A variable is the same one in all processes where file, section and offset are.

Memory that no symbol names is cut at every edge that any test's change has; parts that lie together and have the same
history are one again. So what two tests have written stays apart where they wrote different words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ftcheck.static_state import SHOWN, TESTS, How, Image, LeftOut, Place, Static, StaticState, TestWrites, Write, matches


@dataclass(frozen=True, slots=True)
class _Seen:
    """A write, and the run of a test that it belongs to."""

    run: TestWrites
    write: Write


class StaticsBook:
    """Collects :class:`TestWrites`.

    :param chosen: names and patterns of the modules, as they were given.
    """

    def __init__(self, chosen: Sequence[str]) -> None:
        self._chosen = tuple(chosen)
        self._runs: list[TestWrites] = []
        self._begun: dict[str, None] = {}
        self._told: set[str] = set()

    def begun(self, test: str) -> None:
        """Something is known of this test; whether all is, is seen at the end."""
        self._begun[test] = None

    def note(self, run: TestWrites) -> None:
        """One test, run once in one process."""
        self._runs.append(run)
        self._told.add(run.test)

    def state(self) -> StaticState:
        """All of it."""
        images = self._images()
        modules = {module for image in images for module in image.modules}
        left: dict[tuple[str, str], set[int]] = defaultdict(set)
        for run in self._runs:
            for file, what, place in run.left_out:
                left[(file, what)].add(place)
        return StaticState(
            chosen=self._chosen,
            tests=len(self._told),
            images=images,
            statics=tuple(sorted(self._statics(), key=_order)),
            left_out=tuple(LeftOut(file, what, len(found)) for (file, what), found in sorted(left.items())),
            unmatched=tuple(one for one in self._chosen if not matches(one, modules)),
            lost=tuple(test for test in self._begun if test not in self._told),
        )

    def _images(self) -> tuple[Image, ...]:
        """Each once. One that was there before the first test in any process was not imported by a test alone."""
        found: dict[str, Image] = {}
        for run in self._runs:
            for image in run.images:
                known = found.get(image.file)
                if known is None:
                    found[image.file] = image
                else:
                    by = known.imported_by if image.imported_by else ""
                    names = tuple(sorted({*known.modules, *image.modules}))
                    found[image.file] = replace(known, modules=names, imported_by=by, problem=known.problem or image.problem)
        return tuple(sorted(found.values(), key=lambda one: (one.modules, one.library, one.file)))

    def _statics(self) -> Iterator[Static]:
        named: dict[Place, list[_Seen]] = {}
        nameless: dict[tuple[str, str], list[_Seen]] = {}
        for run in sorted(self._runs, key=lambda run: run.number):
            for write in run.writes:
                place = write.place
                if place.name or place.note:
                    named.setdefault(place, []).append(_Seen(run, write))
                else:
                    nameless.setdefault((place.file, place.section), []).append(_Seen(run, write))
        for place, seen in named.items():
            yield self._static(place, seen)
        for seen in nameless.values():
            for place, parts in _pieces(seen):
                yield self._static(place, parts)

    def _static(self, place: Place, seen: Sequence[_Seen]) -> Static:
        tests = tuple(dict.fromkeys(one.run.test for one in seen))
        how, later, rounds = self._how(seen)
        first = seen[0].write
        return Static(place, how, tests[:TESTS], len(tests), first.at, first.changed, first.old, first.new, later, rounds,
                      len({one.run.process for one in seen}))  # fmt: skip

    def _how(self, seen: Iterable[_Seen]) -> tuple[How, int, bool]:
        """Once or steadily; how many tests came later; whether rounds of a test say so."""
        by_process: dict[str, list[_Seen]] = defaultdict(list)
        for one in seen:
            by_process[one.run.process].append(one)
        several = any(len(one.write.when) > 1 for found in by_process.values() for one in found)
        if several or any(len(found) > 1 for found in by_process.values()):
            return "steadily", 0, several
        later, rounds = 0, False
        for process, (only,) in by_process.items():
            later += sum(run.process == process and run.number > only.run.number for run in self._runs)
            rounds |= only.write.when[-1] < only.run.parts - 1
        return ("once" if later or rounds else "unknown"), later, rounds


def _order(one: Static) -> tuple[str, int, str, int]:
    """Those that are written steadily come first."""
    return one.place.file, ("steadily", "unknown", "once").index(one.how), one.place.section, one.place.offset


def _pieces(seen: Sequence[_Seen]) -> Iterator[tuple[Place, list[_Seen]]]:
    edges = sorted({edge for one in seen for edge in _range(one.write)})
    joined: list[tuple[int, int, list[_Seen]]] = []
    for begin, end in pairwise(edges):
        inside = [one for one in seen if _range(one.write)[0] <= begin and end <= _range(one.write)[1]]
        if inside and joined and joined[-1][1] == begin and _history(joined[-1][2]) == _history(inside):
            joined[-1] = (joined[-1][0], end, joined[-1][2])
        elif inside:
            joined.append((begin, end, inside))
    for begin, end, inside in joined:
        place = replace(inside[0].write.place, offset=begin, size=end - begin)
        yield place, [_Seen(one.run, _cut(one.write, begin, end)) for one in inside]


def _range(write: Write) -> tuple[int, int]:
    return write.place.offset, write.place.offset + write.place.size


def _history(seen: Iterable[_Seen]) -> list[tuple[str, int, tuple[int, ...]]]:
    return [(one.run.process, one.run.number, one.write.when) for one in seen]


def _cut(write: Write, begin: int, end: int) -> Write:
    """Of the value, what is kept of it in this range."""
    skip = begin - write.place.offset
    cut = slice(2 * skip, 2 * min(skip + end - begin, SHOWN))
    return replace(write, at=0, changed=end - begin, old=write.old[cut], new=write.new[cut])

"""What reports of the real ThreadSanitizer amount to: whose they are, which are the same, and what is said of them.

A data race becomes a :class:`ftcheck.native.races.DataRace`, as ours are, and is shown in the same words; below it stands
what only ThreadSanitizer knows: where the memory was allocated, which mutexes were held, who started the threads.

**The same.** Two reports are the same if they are of one kind and about one variable, and their two places are the same: of
each stack the first call that is neither in the runtime nor in the interpreter (nor in one of its headers, whose inlined
functions everybody has). They are counted. Whether a side reads or writes is no difference: ``counter++`` does both.

**The interpreter's own.** Where both stacks begin in the interpreter, the race is one of its own: ThreadSanitizer finds
many, some of them wanted. It is listed, and accuses no test. A stack that was lost might have begun anywhere: such a report
is taken for one of these only where the other stack names no call outside of the interpreter at all; and it is said.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ftcheck.native import races
from ftcheck.native.races import DataRace, Found
from ftcheck.native.symbols import Line
from ftcheck.native.tsan_log import FATAL
from ftcheck.native.tsan_report import Access, Block, Frame, Place, Report, Thread
from ftcheck.verdicts import Verdict

type Owner = Literal["runtime", "interpreter", "other"]

_RACES = re.compile(r"data race|heap-use-after-free|race on ", re.IGNORECASE)
_RUNTIME = re.compile(r"lib(tsan|clang_rt|c|pthread|m|dl|rt|stdc\+\+|c\+\+(abi)?|gcc_s)[.-]|ld-(linux|musl)", re.IGNORECASE)
_RUNTIME_SOURCE = re.compile(r"/(libsanitizer|compiler-rt/lib)/|/sysdeps/nptl/|/csu/libc-start\.c$")
_LIBRARY = re.compile(
    r"(_*interceptor_)?"
    r"(mem(cpy|move|set|cmp|chr|mem)|str\w+|(re|m|c)alloc|reallocarray|cfree|free|(posix_)?memalign|aligned_alloc|p?valloc"
    r"|operator (new|delete).*|pthread_\w+|sem_\w+|(u|nano)?sleep|p?(read|write)v?(64)?|open(at)?(64)?|close|fork"
    r"|__tsan_\w+)$"
)
"""Functions of the C library whose stand-ins belong to a runtime that is linked into the program itself (clang)."""
_INTERPRETER = re.compile(r"(lib)?python\d[\d.]*[a-z]*([.-].*)?$")
_INTERPRETER_SOURCE = re.compile(r"(^|/)(Objects|Python|Modules|Parser|Include)/[\w/]+\.[ch]$")
_HEADER = re.compile(r"(^|/)(include/python\d|Include/)")
_FREES = re.compile(r"(_*interceptor_)?(free|cfree|realloc|operator delete.*)$")
_NAMELESS = ("", "??", "<null>")
_HOLDING = " while holding mutex "
_STACK = 6


def owner(frame: Frame) -> Owner:
    """Whose code a call is in: ThreadSanitizer's or the C library's, the interpreter's, or somebody else's."""
    module = frame.module.rpartition("/")[2]
    if _RUNTIME.match(module) or _RUNTIME_SOURCE.search(frame.file):
        return "runtime"
    if not frame.file and _LIBRARY.match(frame.function):
        return "runtime"
    if _INTERPRETER.match(module) or module.partition(".")[0] in sys.stdlib_module_names:
        return "interpreter"
    if not module and _INTERPRETER_SOURCE.search(frame.file):
        return "interpreter"
    return "other"


def _below_runtime(stack: Sequence[Frame]) -> tuple[Frame, ...]:
    """Without the calls at its top that are the runtime's."""
    first = next((number for number, one in enumerate(stack) if owner(one) != "runtime"), len(stack))
    return tuple(stack[first:])


def _place(stack: Sequence[Frame]) -> Frame | None:
    """What tells this stack from others; None where nothing is known of it."""
    foreign = [one for one in stack if owner(one) == "other" and not _HEADER.search(one.file)]
    return next(iter([*foreign, *_below_runtime(stack), *stack]), None)


def _stacks(report: Report) -> list[tuple[Frame, ...]]:
    """The stacks that a report is about: two, if it is no cycle of several locks."""
    if report.accesses or any(_HOLDING not in one.heading for one in report.blocks[:1]) or not report.blocks:
        return list(report.stacks[:2])
    return [one.stack for one in report.blocks if _HOLDING in one.heading]


def is_race(report: Report) -> bool:
    """Whether it is about two accesses."""
    return _RACES.match(report.kind) is not None


def interpreters_own(report: Report) -> bool:
    """Whether all its stacks begin in the interpreter (calls of the runtime at their top are not counted)."""
    stacks = [_below_runtime(stack) for stack in _stacks(report)]
    known = [stack for stack in stacks if stack]
    if not known or any(owner(stack[0]) != "interpreter" for stack in known):
        return False
    complete = len(known) == len(stacks) and (len(stacks) > 1 or not is_race(report))
    return complete or all(owner(frame) != "other" for stack in known for frame in stack)


def _key(report: Report) -> tuple[object, ...]:
    places = [_place(stack) for stack in _stacks(report)]
    return (report.kind, _variable(report), *sorted(_spelled(place) for place in places))


def _variable(report: Report) -> str:
    """The variable that it is about; empty where it is none, or none that is known."""
    return next((one.name for one in report.places if one.kind == "global" and one.name not in _NAMELESS), "")


def _spelled(place: Frame | None) -> str:
    if place is None:
        return ""
    return f"{place.file}:{place.line}" if place.file else f"{place.module}+{place.offset:#x}"


@dataclass(frozen=True, slots=True)
class Entry:
    """Reports that are the same.

    :param report: the first of them.
    :param times: how many there are.
    :param own: it is the interpreter's own.
    """

    report: Report
    times: int
    own: bool

    @property
    def verdict(self) -> Verdict:
        """Of a test to which it belongs."""
        if self.report.kind.startswith(FATAL):
            return Verdict.CRASH
        return Verdict.DATA_RACE if is_race(self.report) else Verdict.FAILURE

    @property
    def race(self) -> DataRace | None:
        """As our own detector would have it; None where it is none, or one of its accesses is missing."""
        if not is_race(self.report) or len(self.report.accesses) < 2:
            return None
        later, earlier = (_access(one, self.report.kind) for one in self.report.accesses[:2])
        return DataRace(later, earlier, self.times, _variable(self.report))

    @property
    def lost(self) -> bool:
        """Whether nothing is known of one of its sides."""
        return any(not stack for stack in _stacks(self.report))

    @property
    def headline(self) -> str:
        """One line: what, and where."""
        race = self.race
        if race is None:
            places = [place for stack in _stacks(self.report) if (place := _place(stack)) is not None]
            return ": ".join(filter(None, [self.report.kind, ", ".join(_where(one) for one in places)]))
        if not self.lost:
            return race.headline
        of = f" of {race.variable}" if race.variable else ""
        later, earlier = (
            f"{one.what}{{}} at {one.where if one.stack else 'a place that is lost'}" for one in (race.later, race.earlier)
        )
        return f"data race: {later.format(of)}, {earlier.format('')}"

    @property
    def text(self) -> str:
        """All that is known, for a person."""
        race = self.race
        if race is not None:
            rows = [races.text(Found((race,)))]
        else:
            times = "once" if self.times == 1 else f"{self.times:,} times"
            rows = [f"{self.report.kind}, seen {times}:"]
            for access in self.report.accesses:
                rows += _rows(Block(f"{access.thread}: {access.what}", access.stack, access.lost))
            for block in self.report.blocks:
                rows += _rows(block)
        return "\n".join([*rows, *_more(self.report)])


def _access(one: Access, kind: str) -> races.Access:
    freed = "use-after-free" in kind and any(_FREES.match(each.function) for each in one.stack[:1])
    stack = _below_runtime(one.stack)
    lines = tuple(Line(each.function, each.file, each.line if each.file else each.offset, each.module) for each in stack)
    return races.Access("free" if freed else one.what, one.thread, lines, None)


def _where(frame: Frame) -> str:
    return f"{frame} ({frame.function})"


def _rows(block: Block) -> list[str]:
    stack = _below_runtime(block.stack) or block.stack
    rows = [f"  {block.heading or 'here'}:"]
    rows += [f"    {one} in {one.function}" for one in stack[:_STACK]]
    if len(stack) > _STACK:
        rows.append(f"    ... {len(stack) - _STACK} more calls")
    return rows


def _more(report: Report) -> list[str]:
    rows = [f"  {_memory(place)}" for place in report.places if _memory(place)]
    if is_race(report) and report.kind not in ("data race", "heap-use-after-free"):
        rows.insert(0, f"  {report.kind}")
    for access in report.accesses:
        if access.mutexes:
            rows.append(f"  {access.thread} held {', '.join(access.mutexes)}")
        if access.lost:
            rows.append(f"  the stack of {access.thread} was lost: TSAN_OPTIONS=history_size=7 has more of them kept")
    rows += [f"  {one.id} was made {_at(one.stack)}" for one in report.mutexes if one.stack]
    rows += [_thread(one) for one in report.threads if report.accesses or report.blocks]
    if not report.accesses and not report.blocks:
        rows += [row for one in report.threads for row in _rows(Block(f"{one.id}, started by {one.by or '?'}", one.stack))]
    for block in report.blocks if report.accesses else ():
        rows += _rows(block)
    rows += [f"  {remark}" for remark in report.remarks]
    if not report.complete:
        rows.append("  the log ends in the middle of this report")
    if report.mixed:
        rows.append("  several processes wrote at the same time: which of their lines belong to this report is a guess")
    return rows


def _thread(one: Thread) -> str:
    name = f" {one.name!r}" if one.name else ""
    return f"  {one.id}{name} was started by {one.by or 'nobody known'} {_at(one.stack)}".rstrip()


def _memory(place: Place) -> str:
    size = f" of {place.size:,} bytes" if place.size else ""
    if place.kind == "global":
        return "" if place.name in _NAMELESS else f"global variable {place.name}{size}"
    if place.kind == "heap block":
        return f"heap block{size}, allocated by {place.thread} {_at(place.stack)}".rstrip()
    if place.kind == "file descriptor":
        return f"file descriptor {place.name}, of {place.thread} {_at(place.stack)}".rstrip()
    return f"{'thread-local storage' if place.kind == 'TLS' else place.kind} of {place.thread}"


def _at(stack: Sequence[Frame]) -> str:
    place = _place(stack)
    return "" if place is None else f"at {_where(place)}"


def merged(reports: Iterable[Report]) -> tuple[Entry, ...]:
    """Reports that are the same as one, in the order in which they came."""
    entries: dict[tuple[object, ...], Entry] = {}
    for report in reports:
        key = (_key(report), interpreters_own(report))
        known = entries.get(key)
        if known is None:
            entries[key] = Entry(report, 1, key[1])
        elif report.complete and not known.report.complete:
            entries[key] = replace(known, report=report, times=known.times + 1)
        else:
            entries[key] = replace(known, times=known.times + 1)
    return tuple(entries.values())

"""Reads what the real ThreadSanitizer writes: the logs of ``TSAN_OPTIONS=log_path=PREFIX``, or what it says on stderr.

Its runtimes, gcc's and clang's, write the same text (``tsan_report.cpp`` of LLVM's compiler-rt, from which gcc takes its
own); there is no other format. A report is::

    ==================
    WARNING: ThreadSanitizer: data race (pid=4711)
      Write of size 4 at 0x55d0c0ffee60 by thread T2 (mutexes: write M1):
        #0 bump counter.c:10:46 (counter.so+0x11d0)

      Previous write of size 4 at 0x55d0c0ffee60 by main thread:
        [failed to restore the stack]
    ...
    SUMMARY: ThreadSanitizer: data race counter.c:10:46 in bump
    ==================

A process that dies leaves a report without its end: what is there is kept, and marked as not complete. Where several
processes write to one file, their lines may be mixed: each line then goes to the report in which it can come next, and the
reports are marked as a guess. Anything else in the file is passed over. Files are read line by line, whatever their size.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ftcheck.native.tsan_report import Access, Block, Frame, Mutex, Place, Report, Thread

FATAL = "FATAL: "
"""Begins the kind of a report of a crash, or of a fault of the runtime itself."""
_LONGEST_LINE = 1 << 16
"""Bytes. A longer line is taken for several: in a binary file, the rest of it may be one."""
_LOST = "[failed to restore the stack]"

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_BEGIN = re.compile(r"WARNING: ThreadSanitizer: (?P<kind>.+?) \(pid=(?P<pid>\d+)\)\s*$")
_DEADLY = re.compile(r"==(?P<pid>\d+)==\s?(?:ERROR|FATAL): ThreadSanitizer:? (?P<kind>.+)$")
_FATAL = re.compile(r"(?:FATAL: ThreadSanitizer: |ThreadSanitizer: CHECK failed: )(?P<kind>.+)$")
_TITLE = re.compile(r"WARNING: ThreadSanitizer: |==\d+==\s?(?:ERROR|FATAL): ThreadSanitizer|FATAL: ThreadSanitizer: ")
_INSIDE = re.compile(
    r"(?<=\S)(?=WARNING: ThreadSanitizer: |    #\d+ |  (?:Previous \w+ |Location is |Mutex M\d+ |Thread T\d+ |As if ))"
)
"""A line ends there, though nothing says so: another process has written between its parts."""
_RULE = re.compile(r"={10,}$")
_SUMMARY = re.compile(r"SUMMARY: ThreadSanitizer: ")
_NUMBERED = re.compile(r"\s*#(?P<number>\d+)\s+(?P<rest>.*)$")
_MODULE = re.compile(r"(?:(?P<head>.*) )?\((?P<module>.+)\+(?P<offset>0x[0-9a-f]+)\)$")
_SOURCE = re.compile(r"(?P<file>.+?)(?::(?P<line>\d+))?(?::(?P<column>\d+))?$")
_WHO = r"(?P<thread>main thread|thread T\d+)"
_ACCESS = re.compile(
    r"(?P<previous>Previous )?(?P<what>(?:atomic )?(?:read|write)) of size (?P<size>\d+) at (?P<address>0x[0-9a-f]+)"
    rf" by {_WHO}(?: '[^']*')?(?: \(mutexes: (?P<mutexes>[^)]*)\)?)?\)?$",
    re.IGNORECASE,
)
_GLOBAL = re.compile(r"Location is global '(?P<name>.*)'(?: of size (?P<size>\d+))? at 0x[0-9a-f]+")
_HEAP = re.compile(rf"Location is heap block of size (?P<size>\d+) at 0x[0-9a-f]+ allocated by {_WHO}$")
_OF_THREAD = re.compile(rf"Location is (?P<kind>stack|TLS) of {_WHO}\.$")
_DESCRIPTOR = re.compile(rf"Location is file descriptor (?P<name>\d+)(?: \w+)? by {_WHO} at$")
_THREAD = re.compile(
    r"Thread (?P<id>T\d+)(?: '(?P<name>.*)')? \(tid=\d+, (?P<state>[\w ]+)\)(?: created by (?P<by>main thread|thread T\d+))?"
)
_MUTEX = re.compile(r"Mutex (?P<id>M\d+) \((?P<address>0x[0-9a-f]+)\) created at$")
_NO_REMARK = re.compile(r"Hint: |\(.*\)$|Thread T\d+$|(Previous )?\w+$")


class LogError(Exception):
    """A file that cannot be read, or is no log of ThreadSanitizer. The message says what to do."""


@dataclass
class _Open:
    """A report of which more may come."""

    kind: str
    pid: int
    blocks: list[tuple[str, list[Frame], bool]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    mixed: bool = False
    over: bool = False
    ruled: bool = False

    @property
    def expected(self) -> int:
        """The number of the call that comes next."""
        return len(self.blocks[-1][1]) if self.blocks else 0

    def previous_is_next(self) -> bool:
        """Whether the second access of a race can come now."""
        return sum(_ACCESS.match(heading) is not None for heading, *_ in self.blocks) == 1

    def close(self, *, complete: bool) -> Report:
        """The report, as far as it is there."""
        found: dict[type, list[object]] = {kind: [] for kind in (Access, Block, Place, Thread, Mutex)}
        for heading, frames, lost in self.blocks:
            one = _typed(heading, tuple(frames), lost)
            found[type(one)].append(one)
        return Report(
            kind=self.kind,
            pid=self.pid,
            accesses=tuple(found[Access]),  # type: ignore[arg-type]
            blocks=tuple(found[Block]),  # type: ignore[arg-type]
            places=tuple(found[Place]),  # type: ignore[arg-type]
            threads=tuple(found[Thread]),  # type: ignore[arg-type]
            mutexes=tuple(found[Mutex]),  # type: ignore[arg-type]
            remarks=tuple(self.remarks),
            complete=complete,
            mixed=self.mixed,
        )


def _typed(heading: str, stack: tuple[Frame, ...], lost: bool) -> Access | Block | Place | Thread | Mutex:
    if (m := _ACCESS.match(heading)) is not None:
        held = tuple(part.strip() for part in (m["mutexes"] or "").split(",") if part.strip())
        return Access(m["what"].lower(), int(m["size"]), int(m["address"], 16), _short(m["thread"]), held, stack, lost)
    if (m := _GLOBAL.match(heading)) is not None:
        return Place("global", m["name"], int(m["size"] or 0))
    if (m := _HEAP.match(heading)) is not None:
        return Place("heap block", "", int(m["size"]), _short(m["thread"]), stack)
    if (m := _OF_THREAD.match(heading)) is not None:
        return Place(m["kind"], thread=_short(m["thread"]))
    if (m := _DESCRIPTOR.match(heading)) is not None:
        return Place("file descriptor", m["name"], 0, _short(m["thread"]), stack)
    if (m := _THREAD.match(heading)) is not None:
        return Thread(m["id"], m["name"] or "", m["state"], _short(m["by"] or ""), stack)
    if (m := _MUTEX.match(heading)) is not None:
        return Mutex(m["id"], int(m["address"], 16), stack)
    return Block(heading, stack, lost)


def _short(thread: str) -> str:
    return thread.removeprefix("thread ")


def frame(text: str) -> Frame:
    """A call as a stack shows it, without its number: ``bump race.c:10:46 (race.so+0xd01e8) (BuildId: 39f7)``."""
    text = re.sub(r"\s*\(BuildId: \w*\)$", "", text.strip())
    text = re.sub(r"^0x[0-9a-f]+(\s+(in\s+)?|$)", "", text)
    module, offset = "", 0
    if (m := _MODULE.match(text)) is not None:
        text, module, offset = m["head"] or "", m["module"], int(m["offset"], 16)
    function, source = _parts(text)
    if not source or source == "<null>":
        return Frame(_known(function), module=module, offset=offset)
    m = _SOURCE.match(source)
    assert m is not None  # it matches any text but the empty one
    return Frame(_known(function), m["file"], int(m["line"] or 0), int(m["column"] or 0), module, offset)


def _parts(text: str) -> tuple[str, str]:
    """Function and source. Both may have spaces: ``operator new(unsigned long) /my files/new.cpp:64``."""
    if text.endswith("<null>"):
        return text.removesuffix("<null>").strip(), ""
    if " /" in text:
        function, _, source = text.partition(" /")
        return function, f"/{source}"
    function, _, source = text.rpartition(" ")
    return (function, source) if function and re.search(r"[./]|:\d", source) else (text, "")


def _known(function: str) -> str:
    return "?" if function in ("", "<null>", "??") else function


def parse(lines: Iterable[str]) -> Iterator[Report]:
    """The reports in these lines, in the order in which they end; at last those that have no end."""
    still: list[_Open] = []
    for line in _pieces(lines):
        text = line.strip()
        if (begun := _begun(text)) is not None:
            yield from _begin(still, begun)
        elif _RULE.match(text):
            for one in [one for one in still if one.over][:1]:
                still.remove(one)
                yield one.close(complete=True)
            for one in still[:1] if len(still) == 1 else ():
                one.ruled = True  # its end, without a summary; or the beginning of another process' report
        elif still:
            _take(still, line, text)
            for one in [one for one in still if one.over and one.kind.startswith(FATAL)]:
                still.remove(one)  # no rule comes behind these
                yield one.close(complete=True)
    for one in still:
        yield one.close(complete=one.over or one.ruled)


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    """The lines, without what a CI service puts before each of them; what other processes put into them, apart."""
    margin = ""
    for raw in lines:
        line = _COLOUR.sub("", raw.rstrip("\r\n"))
        if (m := _TITLE.search(line)) is not None and (m.start() == 0 or line[m.start() - 1].isspace()):
            margin = _shape(line[: m.start()])
        if margin and _shape(line[: len(margin)]) == margin:
            line = line[len(margin) :]
        yield from _INSIDE.split(line)


def _shape(margin: str) -> str:
    """It has the time in it, perhaps."""
    return re.sub(r"\d", "0", margin)


def _begun(text: str) -> _Open | None:
    if (m := _BEGIN.search(text)) is not None:
        return _Open(m["kind"], int(m["pid"]))
    if (m := _DEADLY.search(text)) is not None:
        return _Open(f"{FATAL}{m['kind'].partition(' (pc ')[0]}", int(m["pid"]))
    if (m := _FATAL.search(text)) is not None:
        return _Open(f"{FATAL}{m['kind']}", 0)
    return None


def _begin(still: list[_Open], begun: _Open) -> Iterator[Report]:
    """Another report begins: one of the same process that is still there was cut off."""
    for one in list(still):
        if one.pid in (begun.pid, 0) or begun.pid == 0 or one.over:
            still.remove(one)
            yield one.close(complete=one.over or one.ruled)
        else:
            one.mixed = begun.mixed = True
    still.append(begun)


def _take(still: list[_Open], line: str, text: str) -> None:
    """A line that belongs to one of the reports of which more may come."""
    newest = still[-1]
    if newest.ruled and (line.startswith("  ") or _SUMMARY.match(text)) and text:
        newest.ruled = False  # it goes on
    if (m := _NUMBERED.match(line)) is not None:
        number = int(m["number"])
        fits = [one for one in still if one.expected == number and (one.blocks or not number)]
        one = fits[-1] if fits else newest
        if not one.blocks or (not number and one.expected):
            one.blocks.append(("", [], False))
        one.blocks[-1][1].append(frame(m["rest"]))
    elif _SUMMARY.match(text):
        open_ones = [one for one in still if not one.over]
        said = [one for one in open_ones if one.kind.removeprefix(FATAL)[:4] in text and _names_it(one, text)]
        for one in (said or open_ones)[:1]:
            one.over = True
    elif text == _LOST:
        if newest.blocks:
            heading, frames, _ = newest.blocks[-1]
            newest.blocks[-1] = (heading, frames, True)
    elif text and not newest.over:
        one = newest
        if text.startswith("Previous "):
            one = next((each for each in reversed(still) if each.previous_is_next()), newest)
        _heading(one, line)


def _names_it(one: _Open, text: str) -> bool:
    return any(str(each) in text for _, frames, _ in one.blocks[:1] for each in frames[:2])


def _heading(one: _Open, line: str) -> None:
    """A line that is no call: it begins a block, or is a remark."""
    indented = line.startswith("  ")
    text = line.strip().lstrip("): ")
    heading = text.removesuffix(":")
    typed = not isinstance(_typed(heading, (), False), Block)
    if typed or (indented and text.endswith(":")):
        one.blocks.append((heading, [], False))
    elif indented and text and not _NO_REMARK.match(text):
        one.remarks.append(text)


def lines_of(file: BinaryIO) -> Iterator[str]:
    """The lines of a log: whatever is no UTF-8 is replaced, and no line is longer than memory allows."""
    while piece := file.readline(_LONGEST_LINE):
        yield piece.decode(errors="replace")


def parse_bytes(content: bytes) -> list[Report]:
    """The reports in a part of a log."""
    return list(parse(lines_of(io.BytesIO(content))))


def read(path: Path) -> Iterator[Report]:
    """The reports of a file, one after the other.

    :raises LogError: it cannot be read, or ThreadSanitizer is not even named in it.
    """
    named = False

    def watching(lines: Iterable[str]) -> Iterator[str]:
        nonlocal named
        for line in lines:
            named = named or "ThreadSanitizer" in line
            yield line

    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            yield from parse(watching(lines_of(file)))
    except OSError as error:
        raise LogError(f"{path} cannot be read: {error.strerror or error}") from None
    if not named and size:
        raise LogError(
            f"{path} is no log of ThreadSanitizer: its name does not stand in it. With TSAN_OPTIONS=log_path=PREFIX "
            "the logs are PREFIX.PID, a file for each process"
        )

"""The child process: makes the interpreters, has each run the test alone, then all of them at once, round by round.

What happens is written line by line into a file, each line before what may kill the process: so a crash has a place.

1. Each interpreter is made and imports the test's module, one after the other.
2. Each runs the test once, while the others stand still. A test that passes in the first and fails in a later one has found
   something that the first has left behind in the process.
3. All run it at the same moment, until the rounds or the seconds are used up or 20 rounds have failed.
4. They are closed, and the process ends as any interpreter does.

Static memory of the extension modules is compared after each step (:mod:`ftcheck.native.statics`). What the import for the
first interpreter writes is initialisation. What later imports and the test write is shared by all interpreters.
"""

from __future__ import annotations

import faulthandler
import itertools
import json
import os
import shutil
import signal
import sys
import threading
import time
from concurrent import interpreters
from pathlib import Path
from typing import Any

from ftcheck.native.statics import SUPPORTED, StaticWatch
from ftcheck.static_state import TestWrites

_ENOUGH = 20
"""Failing rounds after which nothing more is to be learned."""
_LONG_ENOUGH = 200_000
"""Nanoseconds that a round should take, so that its calls can meet: a shorter test is called several times."""
_REPEATED = 50
"""Times, at most."""


class Child:
    """All of it.

    :param task: as :mod:`ftcheck.subinterpreters.engine` writes it.
    """

    def __init__(self, task: dict[str, Any]) -> None:
        self._task = task
        self._out = os.open(task["results"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._number: int = task["interpreters"]
        self._extensions: dict[str, str] = {}
        self._interpreters: list[interpreters.Interpreter] = []
        self._queues: list[interpreters.Queue] = []
        self._written: dict[tuple[str, str], set[str]] = {}
        self._gil: set[int] = set()
        self._calls, self._repeat = 0, 1
        self._line = memoryview(bytearray(self._number))
        self._watch: StaticWatch | None = None
        if SUPPORTED:
            self._watch = StaticWatch((), f"interpreters-{os.getpid()}", lambda names, finished: self._watched())
            self._watch.begin()

    def run(self) -> None:
        """Do it."""
        if self._make() and self._one_after_the_other():
            self._rounds()
        self._say(during="the end")
        for number, interpreter in enumerate(self._interpreters, 1):
            self._say(during=f"closing interpreter {number}")
            interpreter.close()
        if self._watch is not None:
            self._watch.end()
        self._say(during="the exit of the process", done=True)

    def _make(self) -> bool:
        """Whether the test's module could be imported in all of them."""
        source = Path(__file__).with_name("inside.py").read_text(encoding="utf-8")
        task = json.dumps(
            {name: self._task[name] for name in ("module", "file", "function", "parameters", "folders", "path")}
        )
        for number in range(1, self._number + 1):
            self._say(during=f"making interpreter {number}")
            queue = interpreters.create_queue()
            interpreter = interpreters.create()
            self._queues.append(queue)
            self._interpreters.append(interpreter)
            interpreter.prepare_main(task=task, results=queue, line=self._line)
            interpreter.exec(source)
            self._say(during=f"importing the test in interpreter {number}")
            self._begin(f"imported in interpreter {number}")
            said = self._ask(number, "ftcheck_load()")
            self._take(said)
            if number > 1:
                self._finish("the import for another interpreter")
            self._say(loaded=number, refused=said["refused"], error=said["error"], extensions=sorted(self._extensions))
            if said["refused"] or said["error"]:
                return False
        return True

    def _one_after_the_other(self) -> bool:
        """Whether it makes sense to go on: no interpreter skips the test, or fails whatever the others do."""
        go_on = True
        for number in range(1, self._number + 1):
            self._say(during=f"interpreter {number}, which runs alone")
            self._begin(f"run in interpreter {number}")
            said = self._ask(number, f"ftcheck_run({self._folder(number, 0)!r}, 0, 0, 0, 1)")
            self._take(said)
            self._finish("the test")
            self._say(alone=number, **_short(said))
            self._calls += 1
            go_on = go_on and not said["refused"] and said["failed"] is None and said["skipped"] is None
            if not go_on and number == 1 and said["failed"] is None:
                return False
        return go_on

    def _rounds(self) -> None:
        rounds, seconds = self._task["rounds"], self._task["seconds"]
        began, number, failing = time.monotonic(), 0, 0
        limit = "rounds"
        self._begin("rounds")
        while rounds is None or number < rounds:
            if seconds is not None and number and time.monotonic() - began >= seconds:
                limit = "seconds"
                break
            number += 1
            self._say(during=f"round {number}", round=number)
            said = self._round(number)
            self._calls += len(said) * self._repeat
            self._repeat = self._how_often(said)
            failed = [{"interpreter": which, **one["failed"]} for which, one in said.items() if one["failed"] is not None]
            self._say(ended=number, overlapped=_overlapped(list(said.values())), failed=failed)
            failing += bool(failed)
            if failing >= _ENOUGH:
                limit = "failures"
                break
        self._finish("the test")
        self._say(limit=limit, seconds=time.monotonic() - began)

    def _round(self, round: int) -> dict[int, dict[str, Any]]:
        said: dict[int, dict[str, Any]] = {}

        def work(number: int) -> None:
            about = f"{self._folder(number, round)!r}, {number - 1}, {self._number}, {(round - 1) % 255 + 1}, {self._repeat}"
            said[number] = self._ask(number, f"ftcheck_run({about})")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(1, self._number + 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number in sorted(said):
            self._take(said[number])
        return said

    def _how_often(self, said: dict[int, dict[str, Any]]) -> int:
        """How often the test is called in the next round, by how long this one took."""
        if self._task["folders"]:
            return 1  # it would find what the call before has left there
        each = min(one["end"] - one["begin"] for one in said.values()) / self._repeat
        return max(1, min(_REPEATED, int(_LONG_ENOUGH / max(1.0, each))))

    def _ask(self, number: int, call: str) -> dict[str, Any]:
        self._interpreters[number - 1].exec(call)
        answer: dict[str, Any] = json.loads(str(self._queues[number - 1].get()))
        if answer.get("gil"):
            self._gil.add(number)
        return answer

    def _take(self, said: dict[str, Any]) -> None:
        self._extensions |= said["extensions"]

    def _folder(self, number: int, round: int) -> str:
        return os.path.join(self._task["folder"], f"interpreter{number}-round{round}")

    # --- static memory --------------------------------------------------------------------------------------------

    def _watched(self) -> dict[str, str]:
        """Not those of the standard library: the interpreter's own tests are for these."""
        own = sys.stdlib_module_names
        return {name: file for name, file in self._extensions.items() if name.partition(".")[0] not in own}

    def _begin(self, what: str) -> None:
        if self._watch is not None:
            self._watch.start(what)

    def _finish(self, by: str) -> None:
        if self._watch is None:
            return
        writes: TestWrites = self._watch.finish()
        for write in writes.writes:
            place = write.place
            name = place.name or f"{place.section}+{place.offset:#x}"
            if not place.note:  # what the interpreter writes in the name of a module is known to it
                self._written.setdefault((name, os.path.basename(place.file).partition(".")[0]), set()).add(by)
        self._say(statics=[[*key, sorted(by)] for key, by in sorted(self._written.items())])

    def _say(self, **line: object) -> None:
        about = {
            "gil": sorted(self._gil),
            "calls": self._calls,
            "watched": -1 if self._watch is None else len(self._watched()),
        }
        os.write(self._out, json.dumps({**line, **about}).encode() + b"\n")


def _short(said: dict[str, Any]) -> dict[str, Any]:
    return {"failed": said["failed"], "skipped": said["skipped"], "refused": said["refused"]}


def _overlapped(said: list[dict[str, Any]]) -> bool:
    """Whether two calls were under way at the same moment."""
    spans = sorted((one["begin"], one["end"]) for one in said)
    return any(later[0] < earlier[1] for earlier, later in itertools.pairwise(spans))


def _end_with(parent: int, folder: str) -> None:
    """End this process, and those that the test has started, when the other end of a pipe is closed."""

    def wait() -> None:
        try:
            os.read(parent, 1)
        except OSError:
            return  # the test has closed it
        shutil.rmtree(folder, ignore_errors=True)  # nobody else is left to do it
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="ftcheck-parent", daemon=True).start()


def main(file: str) -> None:
    """Do what this file says."""
    with open(file, encoding="utf-8") as stream:
        task = json.load(stream)
    _end_with(task["parent"], os.path.dirname(file))
    faulthandler.enable(sys.stderr)
    faulthandler.register(signal.SIGUSR1, sys.stderr, all_threads=True)
    Child(task).run()
    sys.stdout.flush()

"""The parent's side: starts a child process for one test, follows what it writes, and says what came of it.

Each test has a process of its own, whatever the run's isolation: its interpreters, and what its extension modules keep in
static memory, are new, and a crash ends nothing else. The child has ended on every way out of :func:`run`.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ftcheck.subinterpreters.outcome import Failed, Outcome, Task

_PROGRAM = (
    "import json, sys\n"
    "sys.path[:] = json.load(open(sys.argv[1], encoding='utf-8'))['path']\n"
    "from ftcheck.subinterpreters.child import main\n"
    "main(sys.argv[1])\n"
)
_TICK = 0.01
_LAST_WORDS = 1.0
"""Seconds for a process that hangs to write its stacks."""
_MOST = 64 * 1024


def run(task: Task, heartbeat: Callable[[int], object] = lambda round: None) -> Outcome:
    """Run the test in so many interpreters.

    :param heartbeat: called with the number of each round as it begins, from 1, and with 1 before there are any.
    """
    with tempfile.TemporaryDirectory(prefix="ftcheck-interpreters-", ignore_cleanup_errors=True) as folder:
        return _Run(task, Path(folder), heartbeat).follow()


class _Run:
    def __init__(self, task: Task, folder: Path, heartbeat: Callable[[int], object]) -> None:
        self._task, self._folder, self._heartbeat = task, folder, heartbeat
        self._results, self._stderr, self._stdout = folder / "results", folder / "stderr", folder / "stdout"
        self._lines: list[dict[str, Any]] = []
        self._read = self._current = 0

    def follow(self) -> Outcome:
        """Start the child and wait for its end."""
        file = self._folder / "task.json"
        theirs, ours = os.pipe()  # nobody writes: the child ends when this process does, however that ends
        file.write_text(json.dumps({**self._plain(), "parent": theirs}), encoding="utf-8")
        with open(self._stdout, "wb") as stdout, open(self._stderr, "wb") as stderr:
            child = subprocess.Popen(
                [sys.executable, *subprocess._args_from_interpreter_flags(), "-c", _PROGRAM, str(file)],  # type: ignore[attr-defined]
                stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True, pass_fds=(theirs,),
            )  # fmt: skip
            os.close(theirs)
            hung = False
            try:
                hung = self._wait(child)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)  # and what the test has started
                child.wait()
                os.close(ours)
        self._take()
        return self._outcome(None if hung else child.returncode)

    def _plain(self) -> dict[str, Any]:
        task = self._task
        return {
            "interpreters": task.interpreters, "file": task.file, "module": task.module, "function": task.function,
            "parameters": {name: base64.b64encode(data).decode() for name, data in task.parameters.items()},
            "folders": list(task.folders), "path": list(task.path), "rounds": task.rounds, "seconds": task.seconds,
            "results": str(self._results), "folder": str(self._folder / "tmp"),
        }  # fmt: skip

    def _wait(self, child: subprocess.Popen[bytes]) -> bool:
        """Whether it hangs."""
        self._heartbeat(1)
        sign = time.monotonic()
        while child.poll() is None:
            time.sleep(_TICK)
            if self._take():
                sign = time.monotonic()
            elif time.monotonic() - sign > self._task.timeout:
                self._heartbeat(max(1, self._current))  # whoever watches this process is told that it is at work
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGUSR1)  # it writes its stacks
                    time.sleep(_LAST_WORDS)
                return True
        return False

    def _take(self) -> bool:
        """Read what the child has written since the last time; whether there was anything."""
        with contextlib.suppress(OSError), open(self._results, "rb") as file:
            file.seek(self._read)
            data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._read += len(whole)
            new = [json.loads(line) for line in whole.splitlines()]
            for line in new:
                self._lines.append(line)
                self._current = line.get("round", self._current)
                if "during" in line:
                    self._heartbeat(max(1, self._current))
            return bool(new)
        return False

    def _outcome(self, status: int | None) -> Outcome:
        """:param status: of the child; None: it was ended, because it hung."""
        lines, last = self._lines, self._lines[-1] if self._lines else {}
        done = any(line.get("done") for line in lines)
        ended = [line for line in lines if "ended" in line]
        alone = [line for line in lines if "alone" in line]
        loaded = [line for line in lines if "loaded" in line]
        limits = [line for line in lines if "limit" in line]
        failed = [_failed(line["alone"], 0, line["failed"]) for line in alone if line["failed"] is not None]
        failed += [_failed(one["interpreter"], line["ended"], one) for line in ended for one in line["failed"]]
        refused = dict.fromkeys(name for line in (*loaded, *alone) for name in line["refused"])
        stderr = self._text(self._stderr)
        during = next((line["during"] for line in reversed(lines) if "during" in line), "its start")
        died = "" if status == 0 and done else _death(status) if status is not None else ""
        skips = [line["skipped"] for line in alone]
        trouble = ""
        if not lines:
            trouble, died = f"the child process has run nothing ({_last_line(stderr) or died or 'no reason given'})", ""
        elif (
            died.startswith("status") and "Error" in stderr and not done and not during.startswith(("round", "interpreter"))
        ):
            trouble, died = f"{during}: {_last_line(stderr)}", ""
        return Outcome(
            interpreters=self._task.interpreters,
            rounds=self._current,
            overlapped=sum(line["overlapped"] for line in ended),
            calls=last.get("calls", 0),
            seconds=limits[-1]["seconds"] if limits else 0.0,
            limit=limits[-1]["limit"] if limits else "hang" if status is None else "settled",
            refused=tuple(refused),
            not_imported=next((line["error"] for line in loaded if line["error"] and not line["refused"]), ""),
            failed=tuple(failed),
            skipped=skips[0] if skips and skips[0] else "",
            crash=died,
            hang=during if status is None and not trouble else "",
            during=during,
            stacks=stderr if died or status is None else "",
            gil=tuple(last.get("gil", ())),
            statics=tuple(_static(*one) for one in next((line["statics"] for line in lines[::-1] if "statics" in line), ())),
            watched=last.get("watched", -1),
            output=self._text(self._stdout) + ("" if died or status is None else stderr),
            trouble=trouble,
        )

    def _text(self, file: Path) -> str:
        with contextlib.suppress(OSError):
            text = file.read_text(encoding="utf-8", errors="replace")
            return text if len(text) <= _MOST else f"{text[:_MOST]}\n[... only the first {_MOST} characters are kept]\n"
        return ""


def _failed(interpreter: int, round: int, data: dict[str, Any]) -> Failed:
    return Failed(interpreter, round, **{name: value for name, value in data.items() if name != "interpreter"})


def _static(name: str, file: str, by: list[str]) -> str:
    return f"{name} of {file} (written by {' and '.join(by)})"


def _death(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
        return f"signal {-status}"
    return f"status {status}"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""

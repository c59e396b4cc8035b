"""What a run has left behind: processes that carry its mark, temporary folders of ours."""

import os
import time

MARK = "FTCHECK_TEST_MARK"
_LIMIT = 40
"""Seconds for what is still ending; init has to reap what was orphaned, and a worker without its controlling process tears
its fixtures down first."""


def left_behind(mark, temporary):
    """Command lines and names of files that are still there after a while.

    :param mark: the value of the environment variable ``MARK`` in all processes of the run.
    :param temporary: its ``TMPDIR``.
    """
    deadline = time.monotonic() + _LIMIT
    while (found := [*_processes(mark), *_folders(temporary)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _folders(temporary):
    return [name for name in os.listdir(temporary) if name.startswith("ftcheck")]


def _processes(mark):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as environment:
                marked = f"{MARK}={mark}".encode() in environment.read().split(b"\0")
            if marked:
                with open(f"/proc/{pid}/cmdline", "rb") as command:
                    yield f"{pid}: {command.read().replace(b'\0', b' ').decode(errors='replace')}"
        except OSError:
            continue

"""A throw-away folder inside the cache, with a private pip, where a download or an assembly is
prepared.

Only one process works at a time (flock); what an earlier process left when it was killed, the next
one removes.  Everything is made in here and moved to its final place by one rename, so a half-made
result is never seen.  The commands' temporary files are in here too: there is one disk that can be
full, and the message can name it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from subprocess import TimeoutExpired

from console import Trouble, detail, disk_full, is_disk_full, last_line, run, say

NEEDED_MB = 400  # at the peak (338 were seen); 110 stay
NETWORK_WORDS = re.compile(
    r"resol(v|ution)|Name or service|Connection|connect to|timed? ?out|unreachable"
    r"|Failed to fetch|certificate|SSL|proxy",
    re.IGNORECASE,
)


class Workshop:
    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder, self.cache = folder, cache
        self._pip: list[str] | None = None

    def command(
        self,
        what: str,
        command: Sequence[str],
        todo: str,
        timeout: float = 600,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Run a step and return what it printed; if it fails, raise Trouble with `todo` as advice."""
        try:
            done = run(
                command,
                timeout=timeout,
                cwd=cwd,
                env={"TMPDIR": str(self.folder), "LC_ALL": "C", **(env or {})},
            )
        except FileNotFoundError:
            raise Trouble(f"{what}: there is no {command[0]} on this machine", todo) from None
        except TimeoutExpired:
            raise Trouble(f"{what}: no end after {timeout:.0f} s", todo) from None
        if done.returncode == 0:
            return done.stdout
        output = done.stdout + done.stderr
        if is_disk_full(output):
            raise disk_full(self.cache, NEEDED_MB)
        for line in output.splitlines():
            detail(f"{Path(command[0]).name}: {line}")
        raise Trouble(f"{what} failed: {telling_line(output)}", todo)

    @property
    def pip(self) -> list[str]:
        """The command of a pip of our own: the system's may be absent, or not allowed to install."""
        if self._pip is None:
            home = self.folder / "tools"
            python = str(home / "bin" / "python")
            # In two steps, because venv hides what ensurepip says.
            bare = [sys.executable, "-m", "venv", "--without-pip", str(home)]
            for step in (bare, [python, "-m", "ensurepip"]):
                advice = "Install Python's venv module: apt install python3-venv"
                self.command("making a private virtual environment", step, advice)
            self._pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input"]
            self._pip += ["--no-cache-dir", "--retries", "2", "--timeout", "20"]
        return self._pip

    def pip_get(self, verb: str, name: str, *arguments: str, timeout: float = 600) -> None:
        """`pip download` or `pip install` of what the messages call `name`."""
        self.command(
            f"pip {verb} {name}",
            [*self.pip, verb, "-q", *arguments],
            "Is the package index reachable?  pip's settings apply: PIP_INDEX_URL, PIP_CERT, HTTPS_PROXY.\n"
            "Add --verbose to see all that pip printed.",
            timeout,
        )

    def tool(self, name: str) -> str:
        """A program from the package index, installed into the private environment."""
        self.pip_get("install", name, name)
        return str(Path(self.pip[0]).parent / name)


def telling_line(output: str) -> str:
    """The line of a failed command that names the cause: the network if that is it, else the last error."""
    lines = [line for line in output.splitlines() if not line.startswith("WARNING: Location")]
    errors = [line for line in lines if re.search(r"^(E:|Err:|cause:)|\berror\b", line, re.IGNORECASE)]
    # pip ends with "no matching distribution" when it reached nothing; why not is in a warning before that.
    network = [line.rpartition("connection broken by ")[2] for line in lines if NETWORK_WORDS.search(line)]
    return last_line("\n".join(network or errors or lines), 240)


@contextlib.contextmanager
def alone(cache: Path) -> Iterator[bool]:
    """Make the cache folder and hold its lock; yield whether another run had it, and had to be waited for."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        file = open(cache / "lock", "a")  # noqa: SIM115 (it is closed below)
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(cache, NEEDED_MB) from error
        raise Trouble(
            f"the cache folder {cache} cannot be written: {error.strerror}",
            "Set FTCHECK_CACHE to a folder that you may write to.",
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            waited = False
        except BlockingIOError:
            say(f"another run is working in {cache}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
            waited = True
        yield waited


@contextlib.contextmanager
def workshop(cache: Path) -> Iterator[Workshop]:
    """Open a workshop in `cache` (whose lock is held), and clear it away afterwards, whatever happened."""
    for left_over in cache.glob("work-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    if shutil.disk_usage(cache).free < NEEDED_MB * 2**20:
        raise disk_full(cache, NEEDED_MB)
    folder = Path(tempfile.mkdtemp(prefix="work-", dir=cache))
    try:
        yield Workshop(folder, cache)
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(cache, NEEDED_MB) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def cache_folder() -> Path:
    """Where made interpreters stay: FTCHECK_CACHE, or one of the user's caches; it need not exist yet."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(os.environ.get("FTCHECK_CACHE") or os.path.join(home, "ftcheck")).absolute()

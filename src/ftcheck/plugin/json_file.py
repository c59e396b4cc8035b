"""The file of ``--ftcheck-json``: checked before anything is run, and written so that a full disk loses nothing.

A long run that ends with "permission denied" has lost its report, so the check does what writing will do: it makes the
folder, and a file in it. The report goes into a temporary file beside its place, which is renamed when it is complete:
whoever looks finds the old report or the new one, never half of one. What is no regular file (``/dev/stdout``, a pipe)
cannot be renamed over, and is written to directly.
"""

from __future__ import annotations

import errno
import os
import re
import stat

import pytest


class JsonFile:
    """A place for a report.

    :param given: as it was typed; ``~`` and ``$NAME`` are expanded as in pytest's ``--junitxml``.
    """

    def __init__(self, given: str) -> None:
        self.given = given
        self.path = os.path.abspath(os.path.expanduser(os.path.expandvars(given)))
        number = re.fullmatch(r"/dev/(stdout|stderr|fd/(\d+))|/proc/self/fd/(\d+)", self.path)
        self._descriptor: int | None = None
        if number is not None:  # opening one again would write at the beginning of what it is redirected to
            self._descriptor = int(number[2] or number[3] or {"stdout": 1, "stderr": 2}[number[1]])

    @property
    def replaces(self) -> bool:
        """Whether what stands there is kept until the new report is complete."""
        return self._descriptor is None and not _is_special(os.path.realpath(self.path))

    def check(self) -> None:
        """Find out whether it can be written.

        :raises pytest.UsageError: it cannot; the message says why.
        """
        try:
            self._try_out()
        except OSError as error:
            raise pytest.UsageError(
                f"--ftcheck-json={self.given}: {self.path} cannot be written ({error.strerror}). "
                "Nothing was run. Name a file in a folder that you may write to."
            ) from None

    def _try_out(self) -> None:
        if not self.given.strip():
            raise OSError(errno.ENOENT, "the name is empty")
        if self._descriptor is not None:
            os.fstat(self._descriptor)
            return
        target = os.path.realpath(self.path)
        if os.path.isdir(target):
            raise OSError(errno.EISDIR, "it is a folder")
        if os.path.exists(target) and not os.access(target, os.W_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        if _is_special(target):
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        temporary = _beside(target)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        os.unlink(temporary)

    def write(self, text: str) -> None:
        """Write all of it, or leave the file as it was.

        :raises OSError: no space left, a quota, a pipe that nobody reads.
        """
        data = text.encode()
        target = os.path.realpath(self.path)
        if self._descriptor is not None:
            _write(os.dup(self._descriptor), data)
        elif _is_special(target):
            # Without a reader a pipe would not even open; that is an error then, not a hang.
            descriptor = os.open(target, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
            os.set_blocking(descriptor, True)
            _write(descriptor, data)
        else:
            _replace(target, data)


def _is_special(path: str) -> bool:
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def _beside(target: str) -> str:
    """Short, because a file's name may be as long as names can be."""
    return os.path.join(os.path.dirname(target), f".ftcheck-{os.getpid()}.tmp")


def _write(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _replace(target: str, data: bytes) -> None:
    temporary = _beside(target)
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)  # a test may have removed it
        with open(temporary, "wb") as file:
            if os.path.exists(target):
                os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # some file systems find out here that there is no space
        os.replace(temporary, target)
    except BaseException:  # Ctrl-C, too
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise

"""Reads the metadata of a wheel that lies elsewhere, without fetching the wheel.

An index may serve the metadata beside the wheel (PEP 658, PEP 714), and says so. Else it is within the wheel, which is a ZIP
archive: its directory is at the end, and most servers give parts of a file (RFC 9110, "Range Requests"). So some kilobytes
are enough, however large the wheel is. Of a server that gives whole files only, no more than a small file is taken.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from packaging.metadata import parse_email

_BLOCK = 64 << 10
_LARGEST_METADATA = 4 << 20
_LARGEST_READ = 16 << 20
"""Of one wheel, in parts: a directory that is longer is none of a wheel."""


class UnknownMetadataError(Exception):
    """It cannot be had. The message says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a file, from **start** on; **size** is that of the whole file."""

    start: int
    size: int
    data: bytes


Fetch = Callable[[int, int], Part]
"""Bytes of a file, from the first to before the second number; a negative first one counts from the end. The part that comes
may be longer: whoever sends whole files sends that."""


class _InParts(io.RawIOBase):
    """A file of which parts are fetched as they are read."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch, self._fetched = fetch, 0
        self._parts = [fetch(-_BLOCK, 0)]
        self._size, self._at = self._parts[0].size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        part = next((one for one in self._parts if one.start <= self._at < one.start + len(one.data)), None)
        if part is None:
            self._fetched += wanted
            if self._fetched > _LARGEST_READ:
                raise UnknownMetadataError("its directory is too long")
            part = self._fetch(self._at, min(self._size, self._at + max(wanted, _BLOCK)))
            if part.start > self._at or not part.data:
                raise UnknownMetadataError("its server sent another part than was asked for")
            self._parts.append(part)
        data = part.data[self._at - part.start :][:wanted]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def from_wheel(file: io.RawIOBase | Path) -> bytes:
    """The metadata within a wheel.

    :raises UnknownMetadataError: there is none, or it cannot be read.
    """
    try:
        with zipfile.ZipFile(file if isinstance(file, Path) else io.BufferedReader(file)) as archive:
            names = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA") and one.count("/") == 1]
            if len(names) != 1:
                raise UnknownMetadataError(f"it holds {len(names)} files with metadata")
            with archive.open(names[0]) as stream:
                data = stream.read(_LARGEST_METADATA + 1)
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, ValueError, RuntimeError) as error:
        raise UnknownMetadataError(f"it is no wheel that can be read: {error}") from None
    if len(data) > _LARGEST_METADATA:
        raise UnknownMetadataError("its metadata is too long")
    return data


def in_parts(fetch: Fetch) -> bytes:
    """The metadata within a wheel of which parts can be fetched.

    :raises UnknownMetadataError: it cannot be had.
    """
    return from_wheel(_InParts(fetch))


def requires(metadata: bytes) -> tuple[str, ...]:
    """``Requires-Dist``, as it stands there."""
    raw, _ = parse_email(metadata)
    return tuple(raw.get("requires_dist") or ())

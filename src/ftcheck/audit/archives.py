"""Unpacks wheels and sdists into a temporary folder, and nothing outside of it.

An archive may be hostile or broken. All names are looked at before the first file is written: a name that leads out of the
folder, a link, or a device ends it. So does an archive that would unpack to more than the limits, by what its directory says
and by what really comes out of it.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from ftcheck.audit.options import AuditError

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may come out of one archive: bytes, and files."""

    size: int = 4 << 30
    files: int = 200_000


def unpack_wheel(path: Path, into: Path, limits: Limits | None = None) -> None:
    """Unpack a wheel the way an installer does, without installing it: what is in ``NAME.data/platlib`` goes to the top.

    :raises AuditError: it cannot be read, or must not be unpacked.
    """
    limits = limits or Limits()
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            _check(path, [(one.filename, one.file_size) for one in infos], limits)
            left = limits.size
            for one in infos:
                if stat.S_ISLNK(one.external_attr >> 16):
                    raise AuditError(f"{path.name} holds a link ({one.filename}), which no wheel may: it was not unpacked")
                if one.flag_bits & 1:
                    raise AuditError(f"{path.name} is encrypted")
                if not one.is_dir():
                    with archive.open(one) as stream:
                        left -= _write(path, stream, into / one.filename, left)
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, ValueError) as error:
        raise AuditError(f"{path.name} is no wheel that can be read: {error}. Was it cut off? Get it again.") from None
    except OSError as error:
        raise AuditError(f"{path} cannot be read or unpacked: {error.strerror or error}") from None
    for kind in ("platlib", "purelib"):
        for folder in into.glob(f"*.data/{kind}"):
            shutil.copytree(folder, into, dirs_exist_ok=True)


def unpack_sdist(path: Path, into: Path, limits: Limits | None = None) -> Path:
    """Unpack an sdist.

    :returns: the folder of the project in it.
    :raises AuditError: it cannot be read, or must not be unpacked.
    """
    limits = limits or Limits()
    try:
        if zipfile.is_zipfile(path):
            unpack_wheel(path, into, limits)
        else:
            with tarfile.open(path) as archive:
                for member in _members(path, archive, limits):
                    stream = archive.extractfile(member)
                    if stream is not None:
                        _write(path, stream, into / member.name, member.size)
    except (tarfile.TarError, EOFError, zlib.error, ValueError) as error:
        raise AuditError(f"{path.name} is no sdist that can be read: {error}. Was it cut off? Get it again.") from None
    except OSError as error:
        raise AuditError(f"{path} cannot be read or unpacked: {error.strerror or error}") from None
    tops = [one for one in into.iterdir() if one.is_dir()]
    return tops[0] if len(tops) == 1 else into


def _members(path: Path, archive: tarfile.TarFile, limits: Limits) -> Iterator[tarfile.TarInfo]:
    """Its plain files. (Links are left out: no source is lost by that.)"""
    seen: list[tuple[str, int]] = []
    size = 0
    for member in archive:
        seen.append((member.name, member.size))
        size += member.size
        _check(path, seen[-1:], Limits(limits.size - size + member.size, limits.files))
        if len(seen) > limits.files:
            raise AuditError(f"{path.name} holds more than {limits.files:,} files: it was not looked at")
        if member.isfile():
            yield member


def _check(path: Path, names: list[tuple[str, int]], limits: Limits) -> None:
    if len(names) > limits.files:
        raise AuditError(f"{path.name} holds {len(names):,} files, more than the {limits.files:,} that are unpacked")
    if (size := sum(size for _, size in names)) > limits.size:
        raise AuditError(f"{path.name} would unpack to {size / 2**20:,.0f} MiB or more, over the limit: it was not unpacked")
    for name, _ in names:
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or "\0" in name or (len(name) > 1 and name[1] == ":"):
            raise AuditError(f"{path.name} holds a file name that leads out of it ({name!r}): it was not unpacked")


def _write(path: Path, stream: IO[bytes], target: Path, most: int) -> int:
    """Copy one file, up to a size; gives how much that was."""
    os.makedirs(target.parent, exist_ok=True)
    written = 0
    with open(target, "wb") as out:
        while data := stream.read(_CHUNK):
            written += len(data)
            if written > most:
                raise AuditError(f"{path.name} unpacks to more than it says, or than the limit: given up")
            out.write(data)
    return written

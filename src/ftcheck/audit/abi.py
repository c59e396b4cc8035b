"""Which wheels a free-threaded interpreter can use, and in what words that is said.

Tags are :mod:`packaging.tags`'s. A free-threaded build has an ABI of its own (``cp314t``), because its objects begin with
other fields: it can load neither ``cp314`` wheels nor those of the stable ABI (``abi3``), whose structures are those of
builds with the GIL (PEP 703; CPython issue 137956). A free-threaded stable ABI (``abi3t``) comes with 3.15.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.tags import Tag, compatible_tags, cpython_tags, platform_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

OLDEST = (3, 14)
"""The first version that is asked about, whatever the interpreter is."""


@dataclass(frozen=True, slots=True)
class Target:
    """What it is to run on: a free-threaded CPython of this version, here."""

    version: tuple[int, int]

    @property
    def abi(self) -> str:
        """``"cp314t"``."""
        return f"cp{self.version[0]}{self.version[1]}t"

    @property
    def words(self) -> str:
        """``"3.14t"``."""
        return f"{self.version[0]}.{self.version[1]}t"

    def tags(self) -> frozenset[Tag]:
        """Of all wheels that can be installed."""
        return _tags(self)


@functools.cache
def _tags(target: Target) -> frozenset[Tag]:
    platforms = list(platform_tags())
    own = cpython_tags(target.version, [target.abi], platforms)
    python = f"cp{target.version[0]}{target.version[1]}"
    return frozenset([*own, *compatible_tags(target.version, python, platforms)])


def target_of(version: Iterable[int]) -> Target:
    """The free-threaded build of that version; or of the first that counts, where it is older."""
    major, minor, *_ = version
    return Target(max((major, minor), OLDEST))


def target_named(abi: str) -> Target:
    """The target with this ABI tag, ``"cp314t"``.

    :raises ValueError: that is no such tag.
    """
    digits = abi.removeprefix("cp").removesuffix("t")
    return Target((int(digits[:1]), int(digits[1:])))


@dataclass(frozen=True, slots=True)
class Wheel:
    """What the name of a wheel says."""

    file: str
    name: str
    version: Version
    tags: frozenset[Tag]

    @property
    def abis(self) -> tuple[str, ...]:
        """Its ABI tags; of one without, the Python tag: ``"py3"``."""
        return tuple(sorted({tag.interpreter if tag.abi == "none" else tag.abi for tag in self.tags}))

    @property
    def pure(self) -> bool:
        """Whether it is for all platforms and needs no ABI."""
        return any(tag.abi == "none" and tag.platform == "any" for tag in self.tags)

    def fits(self, target: Target) -> bool:
        """Whether the interpreter could load it, on the platform that it is for."""
        return fits(self.tags, target)


def fits(tags: Iterable[Tag], target: Target) -> bool:
    """Whether an interpreter could load what has these tags, on the platform that it is for."""
    python = f"cp{target.version[0]}{target.version[1]}"
    return any(
        (tag.abi == target.abi and tag.interpreter == python)
        or (tag.abi == "abi3t" and target.version >= (3, 15))
        or (tag.abi == "none" and (tag.interpreter.startswith("py3") or tag.interpreter == python))
        for tag in tags
    )


def wheel(file: str) -> Wheel | None:
    """What a file name says; None: it is no wheel's."""
    try:
        name, version, _, tags = parse_wheel_filename(file)
    except InvalidWheelFilename, InvalidVersion:
        return None
    return Wheel(file, canonicalize_name(name), version, tags)


def why_not(some: Wheel, target: Target) -> str:
    """Why a wheel is not for this target."""
    abis = ", ".join(some.abis)
    if some.fits(target):
        return f"this wheel is for {', '.join(sorted({tag.platform for tag in some.tags}))}"
    limited = " (the stable ABI is that of builds with the GIL)" if "abi3" in some.abis else ""
    return f"this wheel is for {abis}{limited}, not {target.abi}"

"""What a report of ``pytest --ftcheck-statics=MODULE --ftcheck-json=FILE`` says of static variables, to be confirmed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ftcheck.audit.confirm.words import ConfirmError
from ftcheck.coverage import counted
from ftcheck.report.json_report import ReportError, from_json
from ftcheck.static_state import Static, StaticState

_OF_A_COMPILER = re.compile(r"(?:\.\d+|\.(?:part|isra|constprop|lto_priv)(?:\.\d+)?)+\Z")
"""What compilers put behind the name of a static variable in a function, to tell it from others."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What is in reports.

    :param variables: names as they stand in C source, each once.
    :param modules: dotted names of the extension modules that they are in.
    :param left_out: variables for which no source can be looked up, and why.
    """

    variables: tuple[str, ...]
    modules: tuple[str, ...]
    left_out: tuple[str, ...]


def read(paths: Sequence[Path]) -> Reported:
    """Read reports.

    :raises ConfirmError: one cannot be read, or says nothing of static variables.
    """
    variables: dict[str, None] = {}
    modules: dict[str, None] = {}
    left_out: list[str] = []
    for path in paths:
        state = _state(path)
        files = {one.file: one.modules for one in state.images}
        for one in state.statics:
            place = f"{Path(one.place.file).name} {one.place.section}+{one.place.offset:#x}"
            if one.place.note:
                left_out.append(f"{one.place.name or place} ({one.place.note})")
            elif not one.place.name:
                left_out.append(f"{place} (no symbol names it: keep the symbols when it is built)")
            else:
                variables[_in_source(one)] = None
                modules.update(dict.fromkeys(files.get(one.place.file, ())))
        if not state.statics:
            raise ConfirmError(f"{path}: its tests have written no static variable, so there is nothing to confirm")
    if not variables:
        raise ConfirmError(f"none of {counted(len(left_out), 'static variable')} can be looked up: {'; '.join(left_out)}")
    return Reported(tuple(variables), tuple(modules), tuple(dict.fromkeys(left_out)))


def _state(path: Path) -> StaticState:
    try:
        report = from_json(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfirmError(f"the report {path} cannot be read: {error.strerror or error}", 2) from None
    except ReportError as error:
        raise ConfirmError(str(error), 2) from None
    if report.statics is None:
        raise ConfirmError(
            f"{path} says nothing of static variables: make it with pytest --ftcheck-statics=MODULE --ftcheck-json={path}", 2
        )
    return report.statics


def _in_source(one: Static) -> str:
    """Its own name, without that of the function it is in (``function.name``, ``function()::name``)."""
    name = _OF_A_COMPILER.sub("", one.place.name)
    return re.split(r"::|\.", name)[-1]

"""The audit as JSON, for machines. ``audit-1.schema.json`` beside this file is the same in the words of JSON Schema.

Within a version of the format, keys may be added, never removed, renamed or given another meaning.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from ftcheck.audit import table
from ftcheck.audit.model import Audit, Distribution, Module, Readiness
from ftcheck.audit.options import AuditError
from ftcheck.verdicts import to_plain

SCHEMA, VERSION = "ftcheck-audit", 1


def to_json(audit: Audit) -> dict[str, Any]:
    """What :func:`json.dumps` takes."""
    modules = audit.modules
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "subject": to_plain(audit.subject),
        "interpreter": to_plain(audit.interpreter),
        "counts": {readiness.value: audit.count(readiness) for readiness in Readiness},
        "looked_at": {
            "distributions": len(audit.rows),
            "modules": len(modules),
            "files_read": sum(not one.binary.problem for one in modules),
            "called": sum(one.called is not None for one in modules),
            "imported": sum(one.imported is not None for one in modules),
            "in_subinterpreters": sum(one.subinterpreter is not None for one in modules),
            "projects_asked": audit.asked,
            "requirements_followed": audit.followed,
            "source_files": sum(row.sources.files for row in audit.rows if row.sources is not None),
            "source_functions": sum(row.sources.functions for row in audit.rows if row.sources is not None),
            "seconds": round(audit.seconds, 3),
        },
        "needs_attention": audit.needs_attention,
        "distributions": [_row(row) for row in audit.rows],
        "troubles": to_plain(audit.troubles),
        "limits": to_plain(audit.limits),
    }


def _row(row: Distribution) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(row)
    return {**plain, "verdict": to_plain(table.verdict(row)), "needs_attention": row.needs_attention,
            "modules": [_module(one) for one in row.modules]}  # fmt: skip


def _module(one: Module) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(one)
    binary = plain["binary"]
    binary["needs"] = dict(one.binary.needs)
    binary["slots"] = {
        name: {"gil": reading.slots.gil, "interpreters": reading.slots.interpreters} if reading.slots else None
        for name, reading in one.binary.readings
    }
    binary["readings"] = {name: {"way": reading.way, "why": to_plain(reading.why)} for name, reading in one.binary.readings}
    return {**plain, "verdict": to_plain(table.verdict(one)), "turns_gil_on": one.readiness is Readiness.TURNS_GIL_ON}


def write(where: str, text: str) -> None:
    """Write a file, whole or not at all; ``-`` is standard output.

    :raises AuditError: it cannot be written.
    """
    if where == "-":
        print(text)
        return
    path = Path(where)
    try:
        if path.exists() and not path.is_file():  # a device or a pipe
            path.write_text(text + "\n", encoding="utf-8")
            return
        descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with open(descriptor, "w", encoding="utf-8") as stream:
                stream.write(text + "\n")
            os.chmod(beside, 0o666 & ~_umask())
            os.replace(beside, path)
        except BaseException:
            os.unlink(beside)
            raise
    except OSError as error:
        raise AuditError(f"{where} cannot be written: {error.strerror or error}") from None


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def flush() -> None:
    """Send what was printed; whoever reads it may have seen enough (``| head``)."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""What stays the same of a finding when code above it moves, and the file of those that are known already.

A fingerprint is a hash of the rule, the file, the function, and the line's text without white space; of several that are the
same, the number among them. Line numbers are not in it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from ftcheck.audit.rules.words import SourceFinding

SCHEMA, VERSION = "ftcheck-rules-baseline", 1
KNOWN = "in the baseline"


class BaselineError(Exception):
    """A baseline file cannot be used; says why, and what to do."""


def fingerprint(rule: str, path: str, function: str, code: str, seen: Counter[str]) -> str:
    """Sixteen hexadecimal digits.

    :param path: relative to what was scanned. :param seen: counts those that would be the same; it is changed.
    """
    text = "\0".join((rule, path.replace("\\", "/"), function, "".join(code.split())))
    seen[text] += 1
    return hashlib.sha256(f"{text}\0{seen[text]}".encode(errors="surrogatepass")).hexdigest()[:16]


def load(path: Path) -> Mapping[str, str]:
    """Fingerprints, and the reason that the file gives for each.

    :raises BaselineError: it is not there, or is no baseline.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["schema"] != SCHEMA:
            raise KeyError("schema")
        if plain["version"] != VERSION:
            raise BaselineError(
                f"{path} is of version {plain['version']}, not {VERSION}: write it anew with --write-baseline"
            )
        return {str(one["fingerprint"]): str(one.get("reason") or KNOWN) for one in plain["findings"]}
    except OSError as error:
        raise BaselineError(f"cannot read the baseline {path}: {error.strerror}. Write it with --write-baseline") from None
    except ValueError, KeyError, TypeError, AttributeError:
        raise BaselineError(f"{path} is no baseline of ftcheck rules. Write it with --write-baseline {path}") from None


def text(findings: Iterable[SourceFinding]) -> str:
    """A baseline file: everything that nothing else suppresses. A reason may be added to each by hand."""
    rows = [
        {
            "fingerprint": one.fingerprint,
            "rule": one.rule,
            "path": one.path,
            "function": one.function,
            "code": one.code,
            "reason": "",
        }
        for one in findings
        if not one.suppressed or one.suppressed == KNOWN
    ]
    return json.dumps({"schema": SCHEMA, "version": VERSION, "findings": rows}, indent=1) + "\n"

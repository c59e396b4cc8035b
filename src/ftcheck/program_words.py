"""Which Python program a command line runs: ``python -X dev app.py``, ``-m package``, ``app.py``, ``gunicorn app:app``.

``ftcheck guard`` and ``ftcheck select`` run the program in another way than it was typed: with something before it, or with
another interpreter. So they must know which of the words are the interpreter's options and which are the program.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

_INTERPRETER = re.compile(r"python(\d+(\.\d+)?t?)?(-freethreaded|-nogil)?")
_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")
"""Options of the interpreter that take the next word (``Modules/getopt.c``)."""


class ProgramError(ValueError):
    """It is no Python program, as far as can be told; says what to do instead."""


@dataclass(frozen=True, slots=True)
class Program:
    """A Python program.

    :param python: the path of the interpreter that was typed; empty: none was.
    :param options: those of the interpreter.
    :param words: ``SCRIPT``, ``-m MODULE`` or ``-c CODE``, and its arguments.
    :param command: the name by which a script was found on ``PATH``; empty: it was not.
    """

    python: str
    options: tuple[str, ...]
    words: tuple[str, ...]
    command: str = ""


def read(words: Sequence[str]) -> Program:
    """What these words run.

    :raises ProgramError: no Python program, or none at all.
    """
    if not words:
        raise ProgramError("there is no command; it follows behind --, as in: -- python app.py")
    first, rest = words[0], list(words[1:])
    if _INTERPRETER.fullmatch(os.path.basename(first)):
        python = shutil.which(first)
        if python is None:
            raise ProgramError(f"there is no {first} (not on PATH)")
        options, program = _apart(rest)
        if not program:
            raise ProgramError(f"{first} is to run nothing: a script, -m MODULE or -c CODE is missing")
        return Program(os.path.abspath(python), tuple(options), tuple(program))
    if first.startswith("-"):
        options, program = _apart(list(words))
        if not program:
            raise ProgramError(f"{' '.join(words)} runs nothing: a script, -m MODULE or -c CODE is missing")
        return Program("", tuple(options), tuple(program))
    if os.path.isdir(first) or first.endswith((".py", ".pyz", ".pyw")):
        if not os.path.exists(first):
            raise ProgramError(f"there is no {first}")
        return Program("", (), tuple(words))
    found = shutil.which(first)
    if found is None:
        raise ProgramError(f"there is no command {first} (not on PATH), and no such folder")
    if not _is_python_script(found):
        raise ProgramError(
            f"{found} is neither a Python interpreter nor a Python script, so what it does cannot be seen from here; "
            "name the Python program itself: a script, or python -m MODULE"
        )
    return Program("", (), (os.path.abspath(found), *rest), first if os.sep not in first else "")


def _apart(words: list[str]) -> tuple[list[str], list[str]]:
    """The interpreter's options, and the program."""
    options: list[str] = []
    while words and words[0].startswith("-") and words[0] != "-":
        word = words[0]
        letters = word[1:] if not word.startswith("--") else ""
        for letter in ("m", "c"):
            # `-m pkg`, `-mpkg`, and behind letters of other options: `-um pkg`, but not the value of `-Wc`
            at = letters.find(letter)
            if at >= 0 and not any(one in letters[:at] for one in "WXmc"):
                if at:
                    options.append(f"-{letters[:at]}")
                value = [letters[at + 1 :]] if letters[at + 1 :] else []
                rest = [*value, *words[1:]]
                return options, [f"-{letter}", *rest] if rest else []
        options.append(words.pop(0))
        if word in _WITH_VALUE and words:
            options.append(words.pop(0))
    return options, words


def _is_python_script(path: str) -> bool:
    """By its first lines; pip writes two where the interpreter's path is too long for one."""
    try:
        with open(path, "rb") as file:
            beginning = file.read(512)
    except OSError:
        return False
    lines = beginning.split(b"\n")[:2]
    return beginning.startswith(b"#!") and any(b"python" in line for line in lines)

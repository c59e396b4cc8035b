"""``ftcheck-cc`` and ``ftcheck-c++``: a C and a C++ compiler whose code says which memory it accesses.

They run the real compiler, with ``-fsanitize=thread`` where it compiles and without it where it links: the calls of that
sanitizer go to ``ftcheck._core``, not to its own runtime. What is linked needs the library ``ftcheck._standin``, which does
nothing: so it can be imported without ftcheck, too.

Where one command compiles and links, it is taken apart: each source becomes an object file first.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

INSTRUMENT = (
    "-fsanitize=thread",
    "-g",
    "-fno-omit-frame-pointer",
    "-fno-optimize-sibling-calls",  # who has called whom is seen by their frames
    "-fplt",  # the calls of -fno-plt are seen as well, but not told apart from the taking of addresses
    "-fno-lto",  # else the accesses would be seen when it is linked
    "-U_FORTIFY_SOURCE",  # its memcpy() has another name
    "-fno-builtin-memcpy",
    "-fno-builtin-memmove",
    "-fno-builtin-memset",
)
"""Added where code is compiled; the last one of two that contradict each other counts."""
GCC_ONLY = (
    "-Wno-tsan",  # a fence is taken for an order of everything: no reason to warn
    *(("-mindirect-branch=thunk-extern",) if platform.machine() == "x86_64" else ()),
)
"""Calls through pointers are seen: _core/indirect.c."""
CLANG_ONLY = ("-fsanitize-coverage=func,indirect-calls,trace-pc",)
"""The same."""
_SOURCES = {".c", ".cc", ".cp", ".cxx", ".cpp", ".c++", ".C", ".CPP", ".i", ".ii"}
_ONLY_COMPILES = {"-c", "-S"}
_NEITHER = {"-E", "-M", "-MM", "-fsyntax-only", "--version", "-dumpversion", "-dumpmachine", "-dumpfullversion", "--help"}
_TAKES_A_WORD = {
    "-o", "-x", "-I", "-L", "-l", "-D", "-U", "-include", "-isystem", "-iquote", "-idirafter", "-imacros",
    "-MF", "-MT", "-MQ",
    "-T", "-u", "-z", "-arch", "-target", "-Xlinker", "-Xpreprocessor", "-Xassembler", "-Xclang", "-mllvm", "--param",
}  # fmt: skip


class CompilerError(Exception):
    """There is nothing to compile with, or not like this. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Command:
    """A compiler's command line, understood as far as this needs.

    :param words: all of it, but for the compiler itself.
    :param sources: the numbers of those that are source files.
    :param compiles: some source is compiled.
    :param links: something is linked.
    """

    words: tuple[str, ...]
    sources: tuple[int, ...]
    compiles: bool
    links: bool


def understand(words: Sequence[str]) -> Command:
    """What a command line asks for.

    :raises CompilerError: for another sanitizer, which cannot be had together with this.
    """
    kept = [word for word in words if word not in ("-fsanitize=thread", "-static-libtsan", "-shared-libsan")]
    for word in kept:
        if word.startswith("-fsanitize=") and word != "-fsanitize=undefined":
            raise CompilerError(f"{word} and ftcheck-cc cannot be had together: leave one of them out")
    sources, inputs, language, skip = [], 0, "", False
    for number, word in enumerate(kept):
        if skip:
            skip = False
            continue
        if word == "-x":
            language = kept[number + 1] if number + 1 < len(kept) else ""
        elif word.startswith("-x"):
            language = word[2:]
        if word in _TAKES_A_WORD:
            skip = True
        elif word == "-" or not word.startswith(("-", "@")):
            inputs += 1
            if language not in ("", "none") or Path(word).suffix in _SOURCES:
                sources.append(number)
        elif word.startswith("@"):
            inputs += 1
    stops = any(word in _ONLY_COMPILES for word in kept)
    neither = any(word in _NEITHER for word in kept) or inputs == 0
    return Command(tuple(kept), tuple(sources), bool(sources) and not neither, not stops and not neither)


def plan(command: Command, compiler: str, objects: str, standin: str) -> list[list[str]]:
    """The commands to run instead, one after the other.

    :param compiler: the real one.
    :param objects: a folder for object files.
    :param standin: the library to link with.
    """
    instrument = [*INSTRUMENT, *(CLANG_ONLY if "clang" in Path(compiler).name else GCC_ONLY)]
    link = [standin, "-fno-lto", "-Wl,-z,now"]  # to look up functions at their first call needs a register of indirect.c
    if not command.links:
        return [[compiler, *command.words, *(instrument if command.compiles else ())]]
    if not command.sources:
        return [[compiler, *command.words, *link]]
    commands, words = [], list(command.words)
    for number in command.sources:
        source = command.words[number]
        words[number] = str(Path(objects) / f"{number}-{Path(source).stem or 'stdin'}.o")
        commands.append([compiler, *_for_compiling(command, number), "-c", source, "-o", words[number], *instrument])
    return [*commands, [compiler, *_without_language(words), *link]]


def _for_compiling(command: Command, number: int) -> list[str]:
    """The options of a command that also links, for compiling one of its sources."""
    kept, words, skip = [], command.words, False
    for at, word in enumerate(words):
        if skip:
            skip = False
        elif word == "-o":
            skip = True
        elif at in command.sources or word.startswith(("-l", "-L", "-Wl,", "-shared")):
            skip = word in ("-l", "-L")
        elif word in _TAKES_A_WORD and at + 1 < len(words):
            if word != "-x" or at < number:
                kept += [word, words[at + 1]]
            skip = True
        elif word.startswith(("-", "@")):
            kept.append(word)
    return kept


def _without_language(words: list[str]) -> list[str]:
    """``-x c`` says what sources are; the object files that stand for them are none."""
    kept: list[str] = []
    for number, word in enumerate(words):
        if not (word.startswith("-x") or (number > 0 and words[number - 1] == "-x")):
            kept.append(word)
    return kept


def real_compiler(name: str, variable: str, candidates: Sequence[str]) -> str:
    """The compiler to run: what the variable names, or the first of these that there is.

    :raises CompilerError: there is none.
    """
    chosen = os.environ.get(variable, "")
    for candidate in [chosen] if chosen else candidates:
        found = shutil.which(candidate)
        if found is not None and Path(found).resolve().name != name:
            return found
    missing = f"{chosen}, which {variable} names, is not there" if chosen else f"none of {', '.join(candidates)} is there"
    raise CompilerError(f"{missing}: install a compiler, or set {variable} to one")


def standin() -> str:
    """The library that stands in for the runtime where ftcheck is not at work.

    :raises CompilerError: this platform has none.
    """
    found = importlib.util.find_spec("ftcheck._standin")
    if found is None or found.origin is None:
        raise CompilerError("extensions can be watched from the inside on Linux with glibc, on x86-64 and aarch64, only")
    return found.origin


def run(name: str, variable: str, candidates: Sequence[str], words: Sequence[str]) -> int:
    """Do what the command line says.

    :returns: the exit status: that of the first command that fails, or 2 where nothing could be run.
    """
    try:
        compiler = real_compiler(name, variable, candidates)
        command = understand(words)
        with tempfile.TemporaryDirectory(prefix="ftcheck-cc-") as objects:
            for one in plan(command, compiler, objects, standin() if command.links else ""):
                status = subprocess.run(one, check=False).returncode
                if status:
                    return status
    except CompilerError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    return 0


def cc() -> int:
    """The command ``ftcheck-cc``."""
    return run("ftcheck-cc", "FTCHECK_CC", ("gcc", "clang", "cc"), sys.argv[1:])


def cxx() -> int:
    """The command ``ftcheck-c++``."""
    return run("ftcheck-c++", "FTCHECK_CXX", ("g++", "clang++", "c++"), sys.argv[1:])

"""``ftcheck-cc`` and ``ftcheck-c++``: a C and a C++ compiler whose code says which memory it accesses.

They run the real compiler, with ``-fsanitize=thread`` where it compiles and without it where it links: the calls of that
sanitizer go to ``ftcheck._core``, not to its own runtime. What is linked needs the library ``ftcheck._standin``, which does
nothing: so it can be imported without ftcheck, too. The library has no name of its own, so that the dynamic linker finds it
where it was when this was linked, whatever the search path is.

Where one command compiles and links, it is taken apart: each source becomes an object file first. All else is one command,
and this process becomes it: so signals and the exit status are the compiler's own.

See :mod:`~ftcheck.native.command` for how a command line is read, and :mod:`~ftcheck.native.pyx_lines` for what becomes of
Cython's files.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftcheck.native import pyx_lines
from ftcheck.native.command import (
    ASKS,
    COMPILES,
    LANGUAGE,
    LINKING,
    LINKS,
    OPTION,
    PREPROCESSES,
    SOURCE,
    Command,
    CompilerError,
    Piece,
    response_file,
    understand,
)
from ftcheck.native.toolchain import C_COMPILERS, CXX_COMPILERS, INSIDE, is_clang, real_compiler, standin

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["CompilerError", "cc", "cxx", "real_compiler", "standin", "understand"]

PREPROCESS = ("-fsanitize=thread", "-U_FORTIFY_SOURCE")
"""Added where code is only preprocessed: ccache compiles the result later, so its macros must be the same."""
INSTRUMENT = (
    "-fsanitize=thread",
    "-gdwarf-4",  # of version 5, addr2line of binutils 2.40 takes the first file for another (where #line names the first)
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
    "-Wno-error=maybe-uninitialized",  # GCC is more often wrong about that in instrumented code: no reason to stop
    *(("-mindirect-branch=thunk-extern",) if os.uname().machine == "x86_64" else ()),
)
"""Calls through pointers are seen: _core/indirect.c."""
CLANG_ONLY = (
    ("-mretpoline-external-thunk",)
    if os.uname().machine == "x86_64"
    else ("-fsanitize-coverage=func,indirect-calls,trace-pc",)  # which has a call at the beginning of each function, too
)
"""The same."""
LINK = ("-Wl,-z,now",)
"""To look up a function at its first call needs a register of _core/indirect.c."""
CLANG_TAKEN_APART = ("-Qunused-arguments",)
"""An option that only one half of the command needs is no reason to warn."""
_LONG = 100_000
"""Characters of a command line above which its words go into a file: the system has a limit."""


# -- what to run -------------------------------------------------------------------------------------------------------


def plan(command: Command, compiler: Sequence[str], clang: bool, objects: str, standin: str) -> list[list[str]]:
    """The commands to run instead, one after the other.

    :param compiler: the real one.
    :param clang: it is clang, or one that takes its options; else it is GCC.
    :param objects: a folder for object files.
    :param standin: the library to link with.
    """
    instrument = [*INSTRUMENT, *(CLANG_ONLY if clang else GCC_ONLY)]
    if command.stage == ASKS or (command.stage != LINKS and not command.has_sources):
        return [[*compiler, *command.words]]
    if command.stage == PREPROCESSES:
        return [[*compiler, *command.words, *PREPROCESS]]
    if command.stage == COMPILES:
        return [[*compiler, *command.words, *instrument]]
    link = [] if _is_partial(command) else ["-Wl,--push-state,-Bdynamic,--as-needed", standin, "-Wl,--pop-state", *LINK]
    quiet = CLANG_TAKEN_APART if clang and command.has_sources else ()
    options = [word for piece in command.pieces if piece.kind == OPTION for word in piece.words]
    commands: list[list[str]] = []
    linked: list[str] = []
    for number, piece in enumerate(command.pieces):
        if piece.kind == SOURCE:
            name = os.path.splitext(os.path.basename(piece.words[0]))[0].strip("-") or "stdin"
            made = os.path.join(objects, f"{number}-{name}.o")
            language = ["-x", piece.language] if piece.language else []
            what = [*language, "-c", piece.words[0], "-o", made, *_dependencies(command, name), *instrument, *quiet]
            commands.append([*compiler, *options, *what])
            linked += [made]
        elif piece.kind != LANGUAGE:
            linked += ["-x", piece.language, *piece.words, "-x", "none"] if piece.language else piece.words
    return [*commands, [*compiler, *linked, *link, *quiet]]


def _is_partial(command: Command) -> bool:
    """``-r``: what is made is an object file again, and those need no libraries."""
    return any(
        piece.words[0] == "-r" or (piece.kind == LINKING and {"-r", "--relocatable"} & set(piece.words[0].split(",")))
        for piece in command.pieces
    )


def _dependencies(command: Command, name: str) -> list[str]:
    """What a command that also links calls the file for ``make``, and the target in it, if it does not say so."""
    if not command.has("-MD", "-MMD"):
        return []
    output = command.output
    file = [] if command.has("-MF") else ["-MF", f"{os.path.splitext(output)[0] if output else name}.d"]
    return file + ([] if command.has("-MT", "-MQ") else ["-MQ", output or f"{name}.o"])


def _with_lines(command: Command, folder: str) -> tuple[Command, dict[str, str]]:
    """The command with copies of Cython's files that say where they are from, and which file each stands for."""
    pieces: list[Piece] = []
    copies: dict[str, str] = {}
    for number, piece in enumerate(command.pieces):
        name = piece.words[0]
        if piece.kind == SOURCE and pyx_lines.made_by_cython(name):
            with open(name, encoding="utf-8", errors="surrogateescape") as file:
                text = pyx_lines.with_lines(file.read(), name)
            if text is not None:
                copy = os.path.join(folder, str(number), os.path.basename(name))
                os.mkdir(os.path.dirname(copy))
                with open(copy, "w", encoding="utf-8", errors="surrogateescape") as file:
                    file.write(text)
                copies[copy] = name
                pieces += [Piece(OPTION, ("-iquote", os.path.dirname(name) or ".")), piece._replace(words=(copy,))]
                continue
        pieces.append(piece)
    return command._replace(pieces=tuple(pieces)), copies


def _name_originals(command: Sequence[str], copies: dict[str, str]) -> None:
    """The file for ``make`` names what a copy stands for."""
    if not any(word.startswith(("-MD", "-MMD")) for word in command):
        return
    words = dict(itertools.pairwise(command))
    output = next((word[2:] for word in command if word.startswith("-o") and word != "-o"), words.get("-o", ""))
    joined = next((word[3:] for word in command if word.startswith("-MF") and word != "-MF"), "")
    sources = [os.path.basename(copy) for copy in copies]
    for file in {words.get("-MF", joined) or os.path.splitext(name)[0] + ".d" for name in ([output] if output else sources)}:
        if os.path.exists(file):
            with open(file, encoding="utf-8", errors="surrogateescape") as before:
                text = before.read()
            for copy, original in copies.items():
                text = text.replace(copy, original.replace(" ", "\\ "))
            with open(file, "w", encoding="utf-8", errors="surrogateescape") as after:
                after.write(text)


# -- running it --------------------------------------------------------------------------------------------------------


def run(name: str, variable: str, candidates: Sequence[str], words: Sequence[str]) -> int:
    """Do what the command line says. Returns only where there is more than one thing to do.

    :returns: the exit status: that of the first command that fails, or 2 where nothing could be run.
    """
    try:
        library = standin()
        compiler = real_compiler(name, variable, candidates)
        command = understand(words)
        os.environ[INSIDE] = name
        if _is_one(command):
            [one] = plan(command, compiler, command.has_sources and is_clang(compiler), "", library)
            if sum(map(len, one)) <= _LONG:
                os.execv(one[0], one)
        return _several(command, compiler, library)
    except CompilerError as error:
        print(f"{name}: {error}", file=sys.stderr)
    except OSError as error:
        print(f"{name}: {error}: can the compiler be run, and the temporary folder be written to?", file=sys.stderr)
    return 2


def _is_one(command: Command) -> bool:
    sources = [piece.words[0] for piece in command.pieces if piece.kind == SOURCE]
    if command.stage == LINKS:
        return not sources
    return command.stage != COMPILES or not any(map(pyx_lines.made_by_cython, sources))


def _several(command: Command, compiler: Sequence[str], library: str) -> int:
    import signal
    import subprocess
    import tempfile

    running: list[subprocess.Popen[bytes]] = []
    ended: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        """No exception: one in the middle of starting a compiler would leave it alone."""
        ended.append(number)
        for one in running:
            one.terminate()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    with tempfile.TemporaryDirectory(prefix="ftcheck-cc-") as folder:
        command, copies = _with_lines(command, folder)
        for number, one in enumerate(plan(command, compiler, is_clang(compiler), folder, library)):
            if sum(map(len, one)) > _LONG:
                file = os.path.join(folder, f"{number}.words")
                with open(file, "w", encoding="utf-8", errors="surrogateescape") as text:
                    text.write(response_file(one[len(compiler) :]))
                one = [*compiler, f"@{file}"]
            running[:] = [subprocess.Popen(one)]
            if ended:
                running[0].terminate()
            status = running[0].wait()
            if ended:
                return 128 + ended[0]
            if status < 0:
                print(f"{os.path.basename(one[0])} was ended by {signal.Signals(-status).name}", file=sys.stderr)
            if status:
                return status if status > 0 else 128 - status
            _name_originals(one, copies) if copies else None
    return 0


def cc() -> int:
    """The command ``ftcheck-cc``."""
    return run("ftcheck-cc", "FTCHECK_CC", C_COMPILERS, sys.argv[1:])


def cxx() -> int:
    """The command ``ftcheck-c++``."""
    return run("ftcheck-c++", "FTCHECK_CXX", CXX_COMPILERS, sys.argv[1:])

"""A C or C++ compiler's command line, understood as far as ``ftcheck-cc`` needs (:mod:`~ftcheck.native.compiler`).

GCC and clang have a thousand options, and most of them do not matter here. Four things do: which words are inputs (so which
words belong to the option before them), what an input is, how far the command goes (preprocess, compile, link), and the few
options that contradict what we add.

A compiler wrapper starts hundreds of times in one build. So this imports next to nothing, and the values are named tuples.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

OPTION, LINKING, LANGUAGE, OUTPUT = "option", "linking", "language", "output"
SOURCE, HEADER, INPUT = "source", "header", "input"
"""Kinds of pieces. LINKING: only the linker wants it. SOURCE: C, C++ or Objective-C; an INPUT is anything else, such as an
object file or assembler code, in which no access can be seen."""

ASKS, PREPROCESSES, COMPILES, LINKS = "asks", "preprocesses", "compiles", "links"
"""How far a command goes. ASKS: nowhere, it wants to know something (``--version``, ``-print-search-dirs``)."""

_SOURCES = {".c", ".i", ".cc", ".cp", ".cxx", ".cpp", ".CPP", ".c++", ".C", ".ii", ".m", ".mi", ".mm", ".M", ".mii"}
_HEADERS = {".h", ".hh", ".hpp", ".hxx", ".H", ".hp", ".h++", ".HPP", ".tcc"}
_SOURCE_LANGUAGES = {
    "c", "c++", "cpp-output", "c++-cpp-output", "objective-c", "objective-c++",
    "objective-c-cpp-output", "objective-c++-cpp-output", "objc-cpp-output", "objc++-cpp-output",
}  # fmt: skip
_STAGES = {
    **dict.fromkeys(("-E", "--preprocess", "-M", "-MM", "-fsyntax-only"), PREPROCESSES),
    **dict.fromkeys(("-c", "--compile", "-S", "--assemble"), COMPILES),
}
_QUESTIONS = {"--version", "-dumpversion", "-dumpmachine", "-dumpfullversion", "-dumpspecs", "--help", "--target-help"}
_TAKES_A_WORD = {
    "-I", "-D", "-U", "-A", "-B", "-F", "-G", "-b", "-include", "-imacros", "-isystem", "-iquote", "-idirafter", "-iprefix",
    "-iwithprefix", "-iwithprefixbefore", "-isysroot", "-imultilib", "-imultiarch", "-iframework", "-iframeworkwithsysroot",
    "-ivfsoverlay", "-cxx-isystem", "-include-pch", "-MF", "-MT", "-MQ", "-MJ", "-aux-info", "-dumpbase", "-dumpdir",
    "-dumpbase-ext", "-specs", "-wrapper", "-arch", "-target", "-Xpreprocessor", "-Xassembler", "-Xclang", "-Xanalyzer",
    "-mllvm", "-resource-dir", "-working-directory", "-serialize-diagnostics", "--serialize-diagnostics", "--param",
    "--sysroot", "--include", "--target", "--config", "--define-macro", "--undefine-macro", "--include-directory",
}  # fmt: skip
_LINKING_WITH_A_WORD = {"-L", "-l", "-T", "-u", "-z", "-e", "-h", "-Xlinker", "-rpath", "-framework", "--library-directory",
                        "-Tbss", "-Tdata", "-Ttext"}  # fmt: skip
_LINKING = ("-Wl,", "-L", "-l")
_NEVER = {"-fsanitize=thread", "-static-libtsan", "-ltsan", "-fwhole-program-vtables", "-fsplit-lto-unit",
          "-fvirtual-function-elimination", "-gsplit-dwarf", "-s"}  # fmt: skip
"""Left out: TSan's own runtime, what takes the source lines away, and what is only allowed with link-time optimisation."""
_NEVER_TO_THE_LINKER = {"-s", "-S", "--strip-all", "--strip-debug"}
_EXCLUDED = {"address", "hwaddress", "memory", "leak", "kernel-address", "kernel-hwaddress", "kernel-memory", "dataflow",
             "realtime", "type", "fuzzer", "fuzzer-no-link", "cfi", "safe-stack", "memtag", "numerical"}  # fmt: skip
"""Sanitizers that compilers refuse together with ``-fsanitize=thread``, or that need a program of their own."""


class CompilerError(Exception):
    """There is nothing to compile with, or not like this. The message says what to do."""


class Piece(NamedTuple):
    """An option with the word that it takes, or an input.

    :param language: of an input: what ``-x`` says; empty: its name says it.
    """

    kind: str
    words: tuple[str, ...]
    language: str = ""


class Command(NamedTuple):
    """A command line in pieces.

    :param stage: how far it goes: one of the four above.
    """

    pieces: tuple[Piece, ...]
    stage: str

    @property
    def words(self) -> list[str]:
        """What to give to a compiler that is to do the same."""
        return [word for piece in self.pieces for word in piece.words]

    @property
    def has_sources(self) -> bool:
        """Whether there is anything in which accesses can be seen."""
        return any(piece.kind in (SOURCE, HEADER) for piece in self.pieces)

    @property
    def output(self) -> str:
        """What ``-o`` says; empty: it is not there."""
        return next((_value(piece.words, "-o") for piece in reversed(self.pieces) if piece.kind == OUTPUT), "")

    def has(self, *options: str) -> bool:
        """Whether one of these is there, with or without a word of its own."""
        return any(piece.words[0].startswith(options) for piece in self.pieces if piece.kind == OPTION)


def understand(words: Sequence[str]) -> Command:
    """What a command line asks for.

    :raises CompilerError: for what cannot be had together with this.
    """
    pieces = [kept for piece in _pieces(list(_expanded(words))) for kept in _acceptable(piece)]
    inputs = [piece for piece in pieces if piece.kind in (SOURCE, HEADER, INPUT)]
    stages = {_STAGES[piece.words[0]] for piece in pieces if piece.words[0] in _STAGES}
    asked = any(piece.words[0] in _QUESTIONS for piece in pieces)
    if asked or not (inputs or any(piece.words[0].startswith("-l") for piece in pieces)):
        return Command(tuple(pieces), ASKS)
    if PREPROCESSES in stages:
        return Command(tuple(pieces), PREPROCESSES)
    if COMPILES in stages or (inputs and all(piece.kind == HEADER for piece in inputs)):
        return Command(tuple(pieces), COMPILES)
    if any(piece.words == ("-static",) for piece in pieces) and not any(piece.words[0] == "-shared" for piece in pieces):
        raise CompilerError("with -static the library that ftcheck needs cannot be loaded: leave -static out")
    return Command(tuple(pieces), LINKS)


def _pieces(words: Sequence[str]) -> Iterator[Piece]:
    language, rest = "", iter(words)
    for word in rest:
        if word == "-" or not word.startswith("-"):
            yield Piece(_kind_of_input(word, language), (word,), language)
            continue
        option = (word, *([following] if (following := _word_after(word, rest)) is not None else []))
        if word.startswith("-x") and not word.startswith("-xros"):
            language = _value(option, "-x").removeprefix("none")
            yield Piece(LANGUAGE, option)
        elif word.startswith("-o") and not word.startswith(("-object", "-objc")):
            yield Piece(OUTPUT, option)
        elif word in _LINKING_WITH_A_WORD or word.startswith(_LINKING):
            yield Piece(LINKING, option)
        else:
            yield Piece(OPTION, option)


def _word_after(word: str, rest: Iterator[str]) -> str | None:
    """The word that belongs to this option, if one does."""
    return next(rest, None) if word in _TAKES_A_WORD or word in _LINKING_WITH_A_WORD or word in ("-o", "-x") else None


def _value(option: Sequence[str], name: str) -> str:
    return option[1] if len(option) > 1 else option[0].removeprefix(name)


def _kind_of_input(name: str, language: str) -> str:
    if language:
        return SOURCE if language in _SOURCE_LANGUAGES else HEADER if language.endswith("-header") else INPUT
    suffix = os.path.splitext(name)[1]
    return SOURCE if suffix in _SOURCES else HEADER if suffix in _HEADERS else INPUT


def _acceptable(piece: Piece) -> list[Piece]:
    """The piece; or what remains of it; or nothing."""
    word = piece.words[0]
    if word in _NEVER or piece.words == ("-l", "tsan") or word.startswith("-gsplit-dwarf="):
        return []
    if word.startswith("-fsanitize="):
        return _other_sanitizers(piece, word.removeprefix("-fsanitize=").split(","))
    if word.startswith("-Wl,"):
        return _without(piece, "-Wl", [part for part in word.split(",")[1:] if part not in _NEVER_TO_THE_LINKER])
    if word.startswith("-Wp,"):
        return _without(piece, "-Wp", [part for part in word.split(",")[1:] if "_FORTIFY_SOURCE" not in part])
    if word in ("-m32", "-mx32"):
        raise CompilerError(f"{word}: only code of 64 bits can be watched: leave {word} out")
    return [piece]


def _without(piece: Piece, name: str, parts: Sequence[str]) -> list[Piece]:
    return [piece._replace(words=(",".join([name, *parts]),))] if parts else []


def _other_sanitizers(piece: Piece, names: Sequence[str]) -> list[Piece]:
    """``-fsanitize=undefined`` and its parts can stay."""
    for name in names:
        if name in _EXCLUDED or name.startswith("cfi-"):
            raise CompilerError(
                f"-fsanitize={name} and ftcheck-cc cannot be had together: leave -fsanitize={name} out of this build "
                f"(CFLAGS, CXXFLAGS, LDFLAGS, or an option of the project), or build for {name} with the plain compiler"
            )
    rest = [name for name in names if name != "thread"]
    return [piece._replace(words=("-fsanitize=" + ",".join(rest),))] if rest else []


# -- response files ----------------------------------------------------------------------------------------------------


def _expanded(words: Sequence[str], depth: int = 0) -> Iterator[str]:
    """With the words that are in a file in place of ``@file``. One that cannot be read stands for itself, as with GCC."""
    for word in words:
        if word.startswith("@") and depth < 20:
            try:
                with open(word[1:], encoding="utf-8", errors="surrogateescape") as file:
                    text = file.read()
            except OSError:
                yield word
                continue
            yield from _expanded(list(_split(text)), depth + 1)
        else:
            yield word


def _split(text: str) -> Iterator[str]:
    """The words of a response file: quotes of both kinds; a backslash makes the next character an ordinary one anywhere."""
    word, quote, escaped, begun = "", "", False, False
    for character in text:
        if escaped:
            word, escaped = word + character, False
        elif character == "\\":
            escaped = begun = True
        elif quote:
            word, quote = (word, "") if character == quote else (word + character, quote)
        elif character in "'\"":
            quote, begun = character, True
        elif character.isspace():
            if begun:
                yield word
            word, begun = "", False
        else:
            word, begun = word + character, True
    if begun:
        yield word


def response_file(words: Sequence[str]) -> str:
    """The text of a response file with these words."""
    return "".join(
        "".join("\\" + character if character in "\\'\"" or character.isspace() else character for character in word) + "\n"
        if word
        else '""\n'
        for word in words
    )

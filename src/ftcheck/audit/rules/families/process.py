"""FT401, FT402, FT403, FT404: calls into libraries, and into the process, that all threads share."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ftcheck.audit.rules.capi import LIBC, LIBRARIES, PROCESS
from ftcheck.audit.rules.context import Extension, Place
from ftcheck.audit.rules.scanner.calls import Call
from ftcheck.audit.rules.words import Hit, Rule

RULES = (
    Rule(
        "FT401",
        "libc-mt-unsafe",
        "B",
        "a function of the C library is called that is not thread-safe",
        "It returns a pointer to a result that all threads share, or changes one. With the GIL held nobody else called it.",
        "The function that takes a buffer (..._r), or state of your own for each thread.",
        "struct tm *parts = localtime(&now);",
        "struct tm parts;\nlocaltime_r(&now, &parts);",
        "A lock of yours does not help: other libraries call it as well. Which ones are thread-safe differs between "
        "C libraries. "
        "What runs at import only is left out.",
        "POSIX.1-2017, System Interfaces, 2.9.1; man pages, ATTRIBUTES",
    ),
    Rule(
        "FT402",
        "library-mt-unsafe",
        "C",
        "a function of a library is called that needs a lock",
        "The library's own manual asks for one. The GIL was that lock.",
        "One lock around all calls of that library, or a build of it that has one.",
        "plan = fftw_plan_dft_1d(n, in, out, FFTW_FORWARD, FFTW_ESTIMATE);",
        "PyMutex_Lock(&planner);\nplan = fftw_plan_dft_1d(n, in, out, FFTW_FORWARD, "
        "FFTW_ESTIMATE);\nPyMutex_Unlock(&planner);",
        "Only libraries of a short list: FFTW, HDF5, GNU readline, parsers made by lex and yacc.",
        "manuals of these libraries",
    ),
    Rule(
        "FT403",
        "process-global",
        "C",
        "something is changed that belongs to the whole process",
        "Working directory, umask, signal handlers: all threads see the change, at any moment.",
        "A call that takes it as an argument (openat), or a place where no other thread runs yet.",
        "chdir(path);",
        "int folder = open(path, O_DIRECTORY);\nopenat(folder, name, flags);",
        "Programs with one thread by design look like any other.",
        "POSIX.1-2017",
    ),
    Rule(
        "FT404",
        "fork",
        "C",
        "the process is forked",
        "The child has one thread only, and every lock that another thread held stays locked for ever.",
        "posix_spawn, or exec at once after fork.",
        "pid_t child = fork();",
        "posix_spawn(&child, path, NULL, NULL, argv, environ);",
        "Whether exec follows is not looked at.",
        "POSIX.1-2017, fork, RATIONALE",
    ),
)


def find(extension: Extension) -> Iterator[Hit]:
    """Look for them."""
    for place in extension.places():
        for call in place.function.calls:
            if not call.member and _is_the_librarys(place, call):
                yield from _call(place, call)


def _is_the_librarys(place: Place, call: Call) -> bool:
    """Whether the name is the C library's: not one of the project's own, nor of a class or another namespace."""
    before = place.text(call.index - 1)
    if before == "::":
        return place.text(call.index - 2) == "std" or place.text(call.index - 2) in ("(", ";", "=", "{", "}")
    if place.unit.code[call.index - 1].kind == "name" and before not in ("return", "else", "case", "do", "goto"):
        return False  # a declaration
    return place.project.graph.resolve(place.unit, call.name) is None and call.name not in place.project.macros


def _call(place: Place, call: Call) -> Iterator[Hit]:
    if call.name in LIBC:
        if call.name == "setlocale" and place.argument(call, 1) in ("NULL", "nullptr", "0"):
            return  # only asks
        tier, instead = LIBC[call.name]
        yield place.hit("FT401", call.line, f"{call.name} is not thread-safe: {instead}", "C" if tier == "C" else None)
    elif call.name in PROCESS:
        yield place.hit("FT403", call.line, f"{call.name} changes what belongs to the whole process")
    elif call.name in ("fork", "vfork", "forkpty"):
        yield place.hit("FT404", call.line, f"{call.name}: locks that other threads hold stay locked in the child")
    elif not place.locked(call.index):
        for pattern, (library, instead) in LIBRARIES.items():
            if re.fullmatch(pattern, call.name):
                yield place.hit("FT402", call.line, f"{call.name} of {library}: {instead}")

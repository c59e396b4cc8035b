"""Which compiler ``ftcheck-cc`` runs, what kind it is, and which library it links with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence

from ftcheck.native.command import CompilerError

C_COMPILERS = ("gcc", "clang", "cc")
CXX_COMPILERS = ("g++", "clang++", "c++")
"""In this order, where nothing is said."""
INSIDE = "FTCHECK_CC_INSIDE"
"""In the environment of what ``ftcheck-cc`` runs: it must not come back to it."""


def real_compiler(
    name: str, variable: str, candidates: Sequence[str], environment: Mapping[str, str] = os.environ
) -> list[str]:
    """The compiler to run: what the variable names, or the first of these that there is.

    :param variable: may hold several words: ``ccache gcc``, ``gcc -m64``.
    :raises CompilerError: there is none.
    """
    typed = _words(environment.get(variable, ""))
    if not typed and variable == "FTCHECK_CXX" and environment.get("FTCHECK_CC"):
        typed = plus_plus(_words(environment["FTCHECK_CC"]))
    if environment.get(INSIDE) or {"ftcheck-cc", "ftcheck-c++"} & {os.path.basename(word) for word in typed}:
        leads = f"{variable}={environment.get(variable, '')}" if environment.get(variable) else "the compiler that was found"
        raise CompilerError(f"{leads} leads back to {name}: set {variable} to a real compiler, such as {candidates[0]}")
    for candidate in [typed] if typed else [[word] for word in candidates]:
        found = shutil.which(candidate[0])
        if found is not None:
            return [found, *candidate[1:]]
    missing = f"there is no {typed[0]}, which {variable} names" if typed else f"there is none of {', '.join(candidates)}"
    raise CompilerError(
        f"{missing}: install a compiler (apt install gcc g++, dnf install gcc gcc-c++, or clang), or set {variable} to one"
    )


def _words(text: str) -> list[str]:
    if "'" in text or '"' in text or "\\" in text:
        import shlex

        return shlex.split(text)
    return text.split()


def plus_plus(words: Sequence[str]) -> list[str]:
    """The C++ compiler that belongs to a C compiler: clang++-19 to clang-19. Objects of two compilers do not always fit.

    :returns: empty: that cannot be told by its name.
    """
    for number, word in enumerate(words):
        folder, name = os.path.split(word)
        for one, other in (("clang", "clang++"), ("gcc", "g++")):
            if one in name and not word.startswith("-"):
                return [*words[:number], os.path.join(folder, other.join(name.rsplit(one, 1))), *words[number + 1 :]]
    return []


def is_clang(compiler: Sequence[str]) -> bool:
    """Whether this is clang: by its name, or else by what it says of itself."""
    for word in compiler:
        name = os.path.basename(os.path.realpath(shutil.which(word) or word))
        if "clang" in name:
            return True
        if "gcc" in name or "g++" in name:
            return False
    import subprocess

    said = subprocess.run([*compiler, "--version"], capture_output=True, text=True, errors="replace", check=False)
    return "clang" in said.stdout


def standin() -> str:
    """The library that stands in for the runtime where ftcheck is not at work.

    :raises CompilerError: this platform has none.
    """
    import importlib.machinery

    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        found = os.path.join(folder, f"_standin{suffix}")
        if os.path.exists(found):
            return found
    import platform

    raise CompilerError(
        f"not supported here ({platform.system()}, {platform.machine()}): extensions can be watched from the inside on "
        "Linux with glibc, on x86-64 and aarch64. Build with your usual compiler: pytest --ftcheck does all else without it"
    )

"""``ftcheck build`` on the command line: its options, and what it prints. :mod:`ftcheck.native.build` does the work."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    type _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_BUILD = """\
Build a project's extension modules so that pytest --ftcheck sees each of their memory accesses, and reports data races in
C, C++, Cython and cffi code as two source lines. Only the extension is built for it; the interpreter stays what it is.

  ftcheck build .                         the source tree here (it is copied first, and left as it is)
  ftcheck build multidict                 the newest source distribution on the package index
  ftcheck build 'multidict==6.7.1'        another one; a downloaded .tar.gz can be named, too
  ftcheck build . --compiler clang        with clang and clang++ (default: gcc and g++, if they are there)
  ftcheck build . -- -Csetup-args=-Dx=1   what is behind -- is for pip

The result has a folder of its own, .ftcheck/build/NAME-VERSION-INTERPRETER. No environment is changed. Then run the tests:

  pytest --ftcheck --ftcheck-built=.ftcheck/build/NAME-VERSION-INTERPRETER

To build it in another way, name the compilers ftcheck-cc and ftcheck-c++ to your build system:

  CC=ftcheck-cc CXX=ftcheck-c++ pip install --no-cache-dir --no-build-isolation --no-binary NAME NAME
"""
_BUILD_END = """\
Exit status: 0 all of its extension modules are instrumented; 1 some are not, which are named; 2 wrong usage; 3 it could
not be built. FTCHECK_CC and FTCHECK_CXX name the compilers as well.
"""


def add_to(commands: _Commands) -> None:
    """Declare it."""
    build = commands.add_parser(
        "build",
        help="build a project's extension modules so that pytest --ftcheck sees into them",
        description=_BUILD,
        epilog=_BUILD_END,
        usage="ftcheck build PATH|REQUIREMENT [--into DIR] [--compiler NAME] [-- PIP-OPTION ...]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    build.add_argument("what", metavar="PATH|REQUIREMENT", help="a source tree, a source distribution, or a requirement")
    build.add_argument("--into", type=Path, metavar="DIR", help="the folder to make, in place of the one above")
    build.add_argument("--compiler", default="", metavar="NAME", help="gcc, clang, or another: clang-19, 'gcc -m64'")


def apart(words: list[str]) -> tuple[list[str], list[str]]:
    """What is for us, and what is behind ``--`` and for another program: pip, or the one that is to be run."""
    if words[:1] not in (["build"], ["guard"], ["select"]) or "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def run(what: str, *, into: Path | None, compiler: str, pip_options: Sequence[str]) -> int:
    """Build.

    :returns: the exit status.
    """
    from ftcheck.native import build  # not for another command
    from ftcheck.native.making import BuildError

    def say(text: str) -> None:
        print(f"ftcheck: {text}", file=sys.stderr, flush=True)

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        built = build.build(what, into=into, compiler=compiler, pip_options=pip_options, say=say)
    except BuildError as error:
        print(f"ftcheck build: {error}", file=sys.stderr)
        return 2 if error.usage else 3
    except KeyboardInterrupt:
        print("ftcheck build: stopped; nothing is left of it", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    print(build.text(built))
    return 1 if built.plain else 0

"""What is to be run in several interpreters, and what came of it: frozen values of plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Task:
    """One test.

    :param file, module: of the test: it is imported by this name, from this file.
    :param function: its qualified name in the module: ``test_x`` or ``TestA.test_x``.
    :param parameters: pickled, by name: each interpreter has its own copy, made when its modules are there.
    :param folders: names of parameters that are an empty folder, a new one for each call.
    :param path: ``sys.path``.
    :param rounds: at most; None: no such limit. **seconds**: no round begins after so many; None: no such limit.
    :param timeout: seconds without a sign of life after which it counts as a hang.
    """

    interpreters: int
    file: str
    module: str
    function: str
    parameters: Mapping[str, bytes]
    folders: tuple[str, ...]
    path: tuple[str, ...]
    rounds: int | None
    seconds: float | None
    timeout: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that raised.

    :param interpreter: its number, from 1.
    :param round: from 1; 0: before them, when the interpreters run the test one after the other.
    :param text: the traceback.
    """

    interpreter: int
    round: int
    kind: str
    message: str
    file: str
    line: int
    function: str
    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a test.

    :param refused: extension modules that cannot be imported in such an interpreter.
    :param not_imported: why the test's module cannot be imported there, though nothing has refused; a traceback.
    :param failed: calls that raised.
    :param skipped: why every interpreter skips the test.
    :param crash: how the process died: ``SIGSEGV``, or its exit status; empty: it did not. **hang**: what did not end.
    :param during: what was being done then: ``round 3``.
    :param stacks: what the process left behind at its end.
    :param gil: interpreters (numbers) in which the GIL was on at the end.
    :param statics: static variables that the test, or an import for a second interpreter, has written: all share them.
    :param watched: extension modules whose static memory was looked at; -1: it cannot be done here.
    :param output: what the child wrote to stdout and stderr.
    :param trouble: why nothing was run at all.
    """

    interpreters: int
    rounds: int = 0
    overlapped: int = 0
    calls: int = 0
    seconds: float = 0.0
    limit: str = "rounds"
    refused: tuple[str, ...] = ()
    not_imported: str = ""
    failed: tuple[Failed, ...] = ()
    skipped: str = ""
    crash: str = ""
    hang: str = ""
    during: str = ""
    stacks: str = ""
    gil: tuple[int, ...] = ()
    statics: tuple[str, ...] = ()
    watched: int = -1
    output: str = ""
    trouble: str = ""

    @property
    def failed_rounds(self) -> int:
        """Rounds in which a call failed."""
        return len({one.round for one in self.failed if one.round})

    @property
    def alone(self) -> tuple[int, ...]:
        """Interpreters in which the test failed when nothing else ran."""
        return tuple(sorted({one.interpreter for one in self.failed if not one.round}))

    @property
    def leaks(self) -> bool:
        """Whether the test passes in the first interpreter and fails in a later one, when nothing else runs."""
        return bool(self.alone) and 1 not in self.alone

"""One interleaving, composed by hand: what :func:`interleavings` draws, and what :meth:`Interleaving.run` runs.

``@pytest.mark.ftcheck(explore=True)`` searches by itself. Who wants to write the search into the test (a model beside the
code, operations drawn one by one, a schedule that a bug report names) lets Hypothesis draw one explicit schedule: a short
list of preemptions, each by a thread's number and its own count of scheduling points. Leaving one out does not move the
others, so Hypothesis shrinks the list like any other, to the fewest preemptions that still fail. Length and places are drawn
up front, because nothing can be drawn on another thread than Hypothesis' own.

Entering control takes tens of milliseconds, and a run far less. Where somebody says when a test is over (our pytest plugin,
by :func:`kept`), control is entered once, while Hypothesis draws, which no deadline counts; elsewhere for each run.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftcheck import workload
from ftcheck.explore.schedule import Choice, Schedule, Why

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from ftcheck.explore.control import Control, Run

_MOST_THREADS = 63  # a run has 64, the test's own included
_PROJECT = ("pyproject.toml", "setup.cfg", "setup.py", "pytest.ini", "tox.ini", ".git")
_FARTHEST = (8, 40, 200)
"""Places of preemptions are drawn up to one of these: most bodies are short, and nobody knows yet how long this one is."""


class DeadlockError(Exception):
    """The threads of an interleaving wait for each other, or for what nobody is left to do. They were let go."""


@dataclass(frozen=True, slots=True)
class Interleaving:
    """One explicit schedule: which thread is stopped where, and who goes on.

    ``Interleaving("1p4-2")``: thread 1 is preempted at its scheduling point 4, and thread 2 goes on. Several decisions are
    separated by dots; ``Interleaving("")`` has none. All else follows the order of the threads: one goes on as long as it
    can, then the lowest-numbered one that can run. Threads are numbered as they start, from 1; thread 0 is the test itself.
    It is the notation behind the ``~`` of a replay token. A decision whose place the run does not come to has no effect.

    :param schedule: the decisions, as text.
    :param scope: installed packages whose code has scheduling points as well as the project's own.
    :raises ValueError: it is no schedule.
    """

    schedule: str = ""
    scope: tuple[str, ...] = ()
    _threads: int | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.schedule, str):
            raise TypeError(f"Interleaving() takes a schedule as text, such as '1p4-2', not {self.schedule!r}")
        read = Schedule.parse(self.schedule)
        ordered = sorted(read.choices, key=lambda one: (one.thread, one.step))
        object.__setattr__(self, "schedule", str(Schedule(tuple(ordered))))
        object.__setattr__(self, "scope", _packages(self.scope, "Interleaving()"))

    def __repr__(self) -> str:
        scope = f", scope={self.scope!r}" if self.scope else ""
        return f"ftcheck.Interleaving({self.schedule!r}{scope})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How Hypothesis shows it: so that it can be pasted."""
        printer.text(repr(self))

    @property
    def preemptions(self) -> int:
        """How many decisions stop a thread that could have gone on."""
        return Schedule.parse(self.schedule).preemptions

    def run(self, *bodies: Callable[[], Any]) -> None:
        """Run callables in one thread each, in this interleaving; wait for all of them; raise their failures together.

        Like :func:`ftcheck.concurrently`, but the order in which the threads go on is not left to chance::

            @given(st.integers(0, 9), ftcheck.interleavings(threads=2))
            def test_add(amount, interleaving):
                account = Account()
                interleaving.run(lambda: account.add(amount), lambda: account.add(1))
                assert account.total == amount + 1

        :param bodies: what the threads run; called without arguments, results are dropped.
        :raises ExceptionGroup: one or more bodies raised, as from :func:`ftcheck.concurrently`.
        :raises DeadlockError: it ends in a deadlock; the message says who waits for whom.
        :raises Exception: two accesses in an extension are a data race (:mod:`ftcheck.native`); the message says which.
        :raises TypeError: a body cannot be called, or there are more bodies than threads were asked for.
        :raises RuntimeError: it cannot run here: inside a run that is controlled or supervised already, where no tool id of
            ``sys.monitoring`` is free; or the run was given up as too long.
        """
        __tracebackhide__ = True
        if self._threads is not None and len(bodies) > self._threads:
            raise TypeError(
                f"this interleaving was drawn for {self._threads} threads, and run() got {len(bodies)} bodies: "
                f"ask for interleavings(threads={len(bodies)})"
            )
        workload.checked(bodies)
        _refuse_where_it_cannot()
        caller = sys._getframe(1).f_code
        with contextlib.ExitStack() as stack:
            keeper = _keeper.get()
            if keeper is None:
                keeper = stack.enter_context(contextlib.closing(_Keeper(project_of(caller.co_filename))))
            control = keeper.control(self.scope)
            for code in (caller, *bodies):
                control.see(code)
            run = _run(control, self.schedule, bodies)
            text = _told(run) if _is_last_word() else ""
        _raise_what_came_of_it(run, self, text)


def interleavings(
    threads: int = 2, *, preemptions: int = 3, within: int | None = None, scope: Sequence[str] = ()
) -> SearchStrategy[Interleaving]:
    """A Hypothesis strategy: draws one :class:`Interleaving`, and shrinks to the fewest preemptions. ::

        @given(st.integers(0, 9), ftcheck.interleavings(threads=2))
        def test_add(amount, interleaving):
            account = Account()
            interleaving.run(lambda: account.add(amount), lambda: account.add(1))
            assert account.total == amount + 1

    It needs no marker and no option. For a search that is much faster, and needs no such argument, see
    ``@pytest.mark.ftcheck(explore=True)``.

    :param threads: that run, besides the test: the bodies, and the threads that these start.
    :param preemptions: at most so many.
    :param within: they come at the first so many points of each thread. Bugs are found sooner if it is about as many as
        there are; by default it is often 8, sometimes 40, sometimes 200.
    :param scope: installed packages whose code has scheduling points as well as the project's own.
    :raises ImportError: Hypothesis is not installed.
    :raises TypeError: an argument of another type.
    :raises ValueError: fewer than 2 threads or more than 63, or a package that is not there.
    """
    numbers = [("threads", threads, 2, _MOST_THREADS), ("preemptions", preemptions, 0, 1_000)]
    numbers += [("within", within, 1, 1_000_000)] if within is not None else []
    for name, value, least, most in numbers:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"interleavings(): {name} must be a whole number, not {value!r}")
        if not least <= value <= most:
            raise ValueError(f"interleavings(): {name} must be from {least} to {most}, not {value}")
    packages = _packages(scope, "interleavings()")
    try:
        from hypothesis import strategies as st
    except ImportError:
        raise ImportError("interleavings() is a Hypothesis strategy: pip install hypothesis") from None
    steps = st.one_of(*(st.integers(1, most) for most in (_FARTHEST if within is None else (within,))))
    places = st.tuples(st.integers(1, threads), steps, st.integers(1, threads - 1))
    chosen = st.lists(places, max_size=preemptions, unique_by=lambda place: place[:2])

    @st.composite
    def interleaving(draw: Callable[[Any], Any]) -> Interleaving:
        if (keeper := _keeper.get()) is not None and workload.supervisor.get() is None:
            with contextlib.suppress(RuntimeError):  # run() says it
                keeper.control(packages)
        choices = [Choice(thread, step, Why.PREEMPTED, to + (to >= thread)) for thread, step, to in draw(chosen)]
        return Interleaving(str(Schedule(tuple(choices))), packages, threads)

    return interleaving()


@contextlib.contextmanager
def kept(root: Path | None) -> Iterator[None]:
    """While this is entered, control is entered at most once, for all runs of the test; and left with it.

    :param root: code below it has scheduling points, where it is not installed. None: somebody else has control.
    """
    with contextlib.nullcontext() if root is None else contextlib.closing(_Keeper(root)) as keeper:
        token = _keeper.set(keeper)
        try:
            yield
        finally:
            _keeper.reset(token)


def project_of(file: str) -> Path:
    """The folder of the project that a file belongs to: the nearest one above with a project's files in it, or its own."""
    own = Path(file).absolute().parent
    return next((folder for folder in (own, *own.parents) if any((folder / name).exists() for name in _PROJECT)), own)


class _Keeper:
    """Control, entered when it is first asked for, and again where the scope is another one."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._stack = contextlib.ExitStack()
        self._entered: tuple[tuple[str, ...], Control] | None = None

    def control(self, packages: tuple[str, ...]) -> Control:
        """:raises RuntimeError: the process cannot be taken under control."""
        from ftcheck.explore.control import Control
        from ftcheck.explore.scope import Scope
        from ftcheck.explore.scopes import folder_of

        if self._entered is None or self._entered[0] != packages:
            self.close()
            scope = Scope([str(self._root) + os.sep], [folder_of(name) for name in packages])
            try:
                self._entered = packages, self._stack.enter_context(Control(scope))
            except RuntimeError as error:
                raise RuntimeError(_INSIDE if "under control already" in str(error) else str(error)) from None
        return self._entered[1]

    def close(self) -> None:
        self._entered = None
        self._stack.close()


_keeper: contextvars.ContextVar[_Keeper | None] = contextvars.ContextVar("ftcheck_keeper", default=None)


def _packages(names: Sequence[str], where: str) -> tuple[str, ...]:
    from ftcheck.explore.scopes import folder_of

    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{where}: scope must be names of packages, such as ['cachetools'], not {names!r}")
    for name in names:
        try:
            folder_of(name)
        except LookupError as error:
            raise ValueError(f"{where}: scope: {error}") from None
    return tuple(names)


def _refuse_where_it_cannot() -> None:
    from ftcheck.stress import process_wide

    if (ask := process_wide.in_charge.get()) is not None:
        ask(process_wide.Watched("ftcheck.Interleaving.run", "brings a schedule of its own"))
    if workload.supervisor.get() is not None:
        raise RuntimeError(_INSIDE)


_INSIDE = (
    "Interleaving.run() controls the threads of the whole process, and cannot run inside of a test that ftcheck explores "
    "or reruns already: call ftcheck.concurrently() there, or take the marker off this test"
)


def _run(control: Control, schedule: str, bodies: Sequence[Callable[[], object]]) -> Run:
    __tracebackhide__ = True
    from ftcheck.explore.control import Attempt, Log

    log = Log.SWITCHES | Log.DECISIONS | Log.OPERATIONS | Log.VALUES
    return control.run(lambda: workload.concurrently(*bodies), Attempt("plan", Schedule.parse(schedule).to_core()), log)


def _raise_what_came_of_it(run: Run, which: Interleaving, text: str) -> None:
    __tracebackhide__ = True
    from ftcheck.explore.control import Ending
    from ftcheck.explore.native import DataRaceError

    if run.ending not in (Ending.COMPLETE, Ending.DEADLOCK):
        raise RuntimeError(f"{which!r} was given up after {run.steps:,} points: a livelock, perhaps, or just long")
    failure = run.failure
    if run.ending is Ending.DEADLOCK:
        outcome, _, text = text.partition("\n\n")
        failure = DeadlockError(outcome or "deadlock")
    elif failure is None and run.races is not None:
        failure = DataRaceError(run.races.found().headline)
    if text and not _noted(text) and failure is not None:
        failure.add_note(text)
    if failure is not None:
        raise failure


def _told(run: Run) -> str:
    from ftcheck import _core
    from ftcheck.explore.story import tell
    from ftcheck.report.interleaving import render

    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return render(
        tell(run, _core.trace(), names={}, unfinished=_core.unfinished(), makers=_core.makers()), encoding=encoding
    )


def _is_last_word() -> bool:
    """Whether people see this run: Hypothesis' many attempts at a smaller example need no text."""
    context = _example()
    return context is None or bool(context.is_final)


def _noted(text: str) -> bool:
    """Give it to Hypothesis, which shows it if the example fails, here or later in the test."""
    if _example() is None:
        return False
    from hypothesis import note

    note(text)
    return True


def _example() -> Any:
    """Hypothesis' own word on the example that is running; None outside of one."""
    if "hypothesis" not in sys.modules:
        return None
    from hypothesis import control

    return control.current_build_context() if control.currently_in_test_context() else None

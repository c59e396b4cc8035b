"""Random small programs: the systematic search sees exactly what a model of them says that there is.

The model (:mod:`tests.explore.generated`) shares nothing with the engine, so this also finds what the search and its brute
force agree on: a scheduling point that is missing, a blocked thread that could go on, a deadlock that is none. No outcome
may be missing, and none may be too many; and no Mazurkiewicz trace is run twice.
"""

import collections
import importlib.util
import sys

import pytest

from ftcheck import _core
from ftcheck.explore.control import Attempt, Ending, Log
from ftcheck.explore.scope import Scope
from tests.explore.generated import generate
from tests.explore.search import settle
from tests.explore.traces import normal_form

KINDS = {
    "data": ("attribute", "container", "locked"),
    "locks": ("attribute", "locked", "locked", "condition", "semaphore"),
    "bare locks": ("attribute", "bare_lock", "bare_lock", "locked"),
    "queues": ("attribute", "queue", "queue", "queue"),
    "events": ("attribute", "event", "event", "child"),
    "time": ("attribute", "event", "sleep", "locked"),
}
PROGRAMS = 30
"""Of each kind."""
RUNS = 120
"""Of the search; where it does not come to its end by then, only what it has seen is compared."""
COMMUTING = {"bare locks"}
"""Two threads that both fail to give a lock back do not disturb each other, which is not known before they have."""


@pytest.fixture
def imported(tmp_path):
    """Makes a module of a source; gives it, and the file."""
    names = []

    def load(name, source):
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        names.append(name)
        spec.loader.exec_module(module)
        return module, str(path)

    yield load
    for name in names:
        del sys.modules[name]


def searched(entered, module):
    """The outcomes, how often each trace was run, and whether that was all."""
    outcomes, traces = set(), collections.Counter()
    settle(entered, module.program)
    _core.tree_reset(-1, True)
    for _ in range(RUNS):
        run = entered.run(module.program, Attempt("dpor"), Log.OPERATIONS)
        assert run.failure is None
        if run.ending is not Ending.REDUNDANT:
            outcomes.add((run.ending.name, tuple(sorted(module.SEEN.items()))))
            traces[normal_form(_core.trace()[2])] += 1
        more = _core.tree_advance()
        assert more is not None, "it went another way than its prefix says"
        if not more:
            return outcomes, traces, True
    return outcomes, traces, False


@pytest.mark.parametrize("kind", KINDS)
def test_the_search_sees_what_there_is(control, quiet_threads, imported, kind):
    ended = 0
    for seed in range(PROGRAMS):
        generated = generate(f"{kind} {seed}", KINDS[kind])
        expected = generated.outcomes()
        module, file = imported(f"generated_{seed}", generated.source)
        outcomes, traces, everything = searched(control(Scope([file]), limit=3_000), module)
        assert outcomes <= expected, generated.source
        if everything:
            ended += 1
            assert outcomes == expected, generated.source
            assert kind in COMMUTING or set(traces.values()) == {1}, generated.source
    assert ended > PROGRAMS // 2

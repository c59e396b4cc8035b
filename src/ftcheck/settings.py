"""How one test is rerun: the options of :mod:`ftcheck.option_table`, resolved.

An option can be set per test (``@pytest.mark.ftcheck(threads=8)``), per run (``--ftcheck-threads=8``) and per project
(``ftcheck_threads = 8`` in the ini file); the nearer one wins, key by key (:func:`resolve`). ``rounds`` and ``seconds``
are both limits and the first one reached ends the test; their defaults hold only where neither is set, so asking for
``seconds=30`` is not cut short by a number of rounds that nobody asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ftcheck.option_table import DEFAULT_ROUNDS, DEFAULT_SECONDS, DEFAULT_TIMEOUT, OPTIONS


@dataclass(frozen=True, slots=True)
class Settings:
    """How one test is rerun.

    :param threads: bodies that run at the same time.
    :param rounds: the most rounds that are run, or None for no such limit.
    :param seconds: wall-clock seconds after which no new round begins, or None for no such limit.
    :param timeout: seconds after which a round, or the set-up or teardown of a test, counts as a hang.
    :param share: function-scoped fixtures and parameters that the threads of a round share: names, or True for all of them.
    :param noise: probability (0 to 1) of a random delay at the start of each line of code in the test's own package.
    :param allow: changes of the whole process that do not make a test run alone: their names, or True for all of them.
    :param skip: why this test is left out, or None.
    :param explore: run it under controlled interleavings instead of really in parallel.
    :param schedules: interleavings that are run at most.
    :param points: where threads may be stopped: ``"accesses"``, ``"instructions"`` or ``"lines"``.
    :param scope: installed packages whose code is explored as well as the project's own.
    :param races: with explore: list the pairs of accesses that nothing orders.
    :param replay: the token of the one interleaving to run, or None.
    :param interpreters: run it in so many interpreters at the same time, instead of in threads; None: in threads.
    :param native: by which rule accesses in extensions are ordered: ``"overlap"`` or ``"strict"``; ``"off"``: they are not
        looked at.
    """

    threads: int
    rounds: int | None
    seconds: float | None
    timeout: float
    share: Literal[True] | tuple[str, ...]
    noise: float
    allow: Literal[True] | tuple[str, ...] = ()
    skip: str | None = None
    explore: bool = False
    schedules: int = 400
    points: str = "accesses"
    scope: tuple[str, ...] = ()
    races: bool = False
    replay: str | None = None
    interpreters: int | None = None
    native: str = "overlap"

    def shares(self, fixture: str) -> bool:
        """Whether the threads of a round share this function-scoped fixture."""
        return self.share is True or fixture in self.share

    def allows(self, call: str) -> bool:
        """Whether several threads may make this call, which changes the whole process."""
        return self.allow is True or call in self.allow


def resolve(layers: Iterable[Mapping[str, Any]]) -> Settings:
    """One :class:`Settings` from parsed layers, the farthest (ini) first, the nearest (the test's own marker) last."""
    merged: dict[str, Any] = {option.name: None for option in OPTIONS}
    for layer in layers:
        merged.update(layer)
    if merged["explore"] is None:
        merged["explore"] = merged["races"]  # it implies that, unless somebody says otherwise
    if merged["rounds"] is None and merged["seconds"] is None:
        merged.update(rounds=DEFAULT_ROUNDS, seconds=DEFAULT_SECONDS)
    for option in OPTIONS:
        if merged[option.name] is None and option.default is not None:
            merged[option.name] = option.parse(option.default)
    return Settings(**merged)


def command_line(settings: Settings, untyped: Settings | None = None) -> list[str]:
    """The options that give a run exactly these settings, as they are typed; without those that are the default.

    :param untyped: what holds where nothing is typed, by the ini file; None: the defaults.
    """
    plain = resolve([]) if untyped is None else untyped
    words = [f"--ftcheck-threads={settings.threads}"]
    limits, without = (settings.rounds, settings.seconds), (plain.rounds, plain.seconds)
    if limits != (DEFAULT_ROUNDS, DEFAULT_SECONDS) or limits != without:
        if settings.rounds is not None:
            words.append(f"--ftcheck-rounds={settings.rounds}")
        if settings.seconds is not None:
            words.append(f"--ftcheck-seconds={_number(settings.seconds)}")
    if settings.share:
        words.append("--ftcheck-share=" + ("all" if settings.share is True else ",".join(settings.share)))
    if settings.allow:
        words.append("--ftcheck-allow=" + ("all" if settings.allow is True else ",".join(settings.allow)))
    if settings.explore or settings.replay is not None or plain.explore:
        explored = settings.explore or settings.replay is not None  # a token is given with the command, or does not fit
        words.append("--ftcheck-explore" if explored else "--ftcheck-explore=no")
    if settings.explore and settings.schedules != plain.schedules:
        words.append(f"--ftcheck-schedules={settings.schedules}")
    if settings.explore and settings.points != plain.points:
        words.append(f"--ftcheck-points={settings.points}")
    if settings.explore and settings.scope != plain.scope:
        words.append("--ftcheck-scope=" + ",".join(settings.scope))
    if settings.explore and (settings.races or plain.races):
        words.append("--ftcheck-races" if settings.races else "--ftcheck-races=no")
    if settings.interpreters is not None and settings.interpreters != plain.interpreters:
        words.append(f"--ftcheck-interpreters={settings.interpreters}")
    if settings.noise or plain.noise:
        words.append(f"--ftcheck-noise={_number(settings.noise)}")
    if settings.native != plain.native:
        words.append(f"--ftcheck-native={settings.native}")
    if settings.timeout != DEFAULT_TIMEOUT or settings.timeout != plain.timeout:
        words.append(f"--ftcheck-timeout={_number(settings.timeout)}")
    return words


def _number(value: float) -> str:
    return repr(int(value)) if value.is_integer() else repr(value)

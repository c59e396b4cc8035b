"""What the runs of a workload say, and no more than that.

*Only without the GIL* needs both: runs that went wrong without it, and enough runs with it that did not. How likely it is
that those with the GIL were luck is :func:`ftcheck.reliance.luck` (Fisher's exact test); above its limit, 1 %, more runs
are made, and if that does not help it is said. A run whose process says that its GIL was not as it should be counts for
nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from ftcheck.audit.confirm.words import Kind, Result, Run, Verdict, Workload
from ftcheck.coverage import grouped
from ftcheck.reliance import LUCK, luck

_MORE = 4
"""Runs are made up to this many times over, where the first ones leave it open."""
_FIRST = 4
"""First calls happen once for each process, which is short: so many times more processes."""


def judge(workload: Workload, run: Callable[[bool], Run], *, times: int) -> Result:
    """Run a workload, off and on in turns, until it is clear or there were enough runs.

    :param run: runs it once, given whether the GIL is on.
    :param times: runs of each kind.
    """
    runs: list[Run] = []
    wanted = times * (_FIRST if workload.kind is Kind.FIRST else 1)
    for number in range(wanted * _MORE):
        if number >= wanted and _clear(runs):
            break
        runs += [run(False), run(True)]
    verdict, why = _said(runs)
    return Result(verdict, workload.callable, f"{why}; {what_was_run(workload, runs)}", (), workload, tuple(runs))


def _off(runs: Sequence[Run]) -> list[Run]:
    return [one for one in runs if not one.forced_gil and one.gil is not True]


def _on(runs: Sequence[Run]) -> list[Run]:
    return [one for one in runs if one.forced_gil and one.gil is not False]


def _clear(runs: Sequence[Run]) -> bool:
    off, on = _off(runs), _on(runs)
    for bad in (_crashed, _hung, _wrong):
        failed = sum(map(bad, off))
        if failed and not any(map(bad, on)) and luck(failed, len(off), len(on)) > LUCK:
            return False
    return True


def _crashed(run: Run) -> bool:
    return run.crashed


def _hung(run: Run) -> bool:
    return run.ended == "hang"


def _wrong(run: Run) -> bool:
    return bool(run.wrong)


def _said(runs: Sequence[Run]) -> tuple[Verdict, str]:
    off, on = _off(runs), _on(runs)
    if not off or not on:
        return Verdict.NOT_CHECKED, "the GIL could not be turned off in any run" if on else "the GIL could not be turned on"
    for bad, verdict, word in (
        (_crashed, Verdict.CRASH, "crashed"),
        (_hung, Verdict.HANG, "did not end"),
        (_wrong, Verdict.WRONG, "gave wrong results"),
    ):
        failed, with_gil = [one for one in off if bad(one)], [one for one in on if bad(one)]
        if failed or (with_gil and bad is _crashed):
            said = f"{_share(failed, off, word)} without the GIL, {_share(with_gil, on, word)} with it"
            if bad is _crashed:
                names = Counter(one.ended for one in (*failed, *with_gil))
                said = f"{', '.join(sorted(names))}: {said}"
            if bad is _wrong and failed:
                said += f" (such as {failed[0].wrong[0]})"
            if not with_gil:
                chance = luck(len(failed), len(off), len(on))
                if chance > LUCK:
                    return Verdict.OPEN, f"{said}, which would be luck with a probability of {chance:.0%}: more --times"
                return verdict, said
            if bad is _crashed:
                return Verdict.WITH_GIL, said
            return Verdict.NOT_REPRODUCED, f"no difference: {said}"
    ends = Counter(one.ended for one in (*off, *on) if one.ended != "well")
    if len(ends) and sum(ends.values()) == len(off) + len(on):
        last = next((one.output.strip().splitlines()[-1:] for one in runs if one.output.strip()), [])
        return Verdict.NOT_CHECKED, f"the program did not run ({', '.join(ends)}): {last[0] if last else 'it said nothing'}"
    rest = f", {sum(ends.values())} of them ended otherwise ({', '.join(ends)})" if ends else ""
    return Verdict.NOT_REPRODUCED, f"none of {len(off) + len(on)} runs crashed, hung or gave another result{rest}"


def _share(some: Sequence[Run], of: Sequence[Run], word: str) -> str:
    return f"{len(some)} of {grouped(len(of), 'run')} {word}"


def what_was_run(workload: Workload, runs: Sequence[Run]) -> str:
    """The denominator: calls, threads, seconds, runs with the GIL off and on."""
    off, on = _off(runs), _on(runs)
    well = [one for one in (*off, *on) if one.ended == "well"]
    calls, seconds = sum(one.calls for one in well), sum(one.seconds for one in (*off, *on))
    compared = sum(one.compared for one in well)
    words = f"{workload.threads} threads, {grouped(len(off), 'run')} with the GIL off and {len(on)} on, {seconds:.1f} s"
    count = f"{grouped(calls, 'call')} in the {grouped(len(well), 'run')} that ended well" if well else "no run ended well"
    raised = Counter[str]()
    for one in well:
        raised.update(dict(one.raised))
    more = f", {', '.join(f'{number:,} raised {name}' for name, number in sorted(raised.items()))}" if raised else ""
    same = f"results compared in {compared} of them" if compared else "results not compared"
    return f"{words}: {count}{more}; {same}" if well else f"{words}: {count}"

"""Brute force, as plainly as can be: every schedule with at most so many preemptions, one run each.

Written without the product's own search (``_core/tree.c``), to judge it: a schedule is a list of decisions that differ from
the run without preemptions, given to the policy ``plan``. After a run, each decision behind the last one that was given is
made in each other way, in a run of its own. So every schedule is run just once.
"""

from ftcheck import _core
from ftcheck.explore.control import Attempt, Log

FREE = 0
"""``enum ftc_why``: the thread could have gone on; to choose another one costs a preemption."""


def schedules(control, program, most, limit):
    """Every schedule with at most ``most`` preemptions, as (run, preemptions); None once more than ``limit`` were run.

    Those with the fewest come first.
    """
    waiting = [[([], 0)]] + [[] for _ in range(most)]
    done = 0
    for cost, now in enumerate(waiting):
        while now:
            if done == limit:
                yield None
                return
            done += 1
            plan, begin = now.pop()
            run = control.run(program, Attempt("plan", plan), Log.SWITCHES | Log.DECISIONS)
            decisions = _core.trace()[1]
            assert _core.unmatched() == 0
            yield run, cost
            for number in range(begin, len(decisions)):
                thread, step, why, enabled, chosen, _ = decisions[number]
                for other in range(enabled.bit_length()):
                    if enabled >> other & 1 and other != chosen and cost + (why == FREE) <= most:
                        waiting[cost + (why == FREE)].append(([*plan, (thread, step, why, other)], number + 1))

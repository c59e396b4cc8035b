"""Engine 1: the bodies of a workload run really in parallel, round after round, lined up so that they overlap.

``engine.py`` drives the rounds, ``overlap.py`` says whether bodies ran at the same moment, ``stall.py`` tells a deadlock
from a hang from slow code, ``noise.py`` adds seeded delays, ``stray.py`` collects what no thread could raise.
"""

from ftcheck.stress.engine import Outcome, run
from ftcheck.stress.stall import Stall

__all__ = ["Outcome", "Stall", "run"]

"""Engine 1: the bodies of a workload run really in parallel, round after round, lined up so that they overlap.

``engine.py`` chooses how many copies of a body run, ``rounds.py`` drives them, ``overlap.py`` says whether bodies ran at the
same moment, ``stall.py`` tells a deadlock from a hang from slow code, ``noise.py`` adds seeded delays, ``stray.py``
collects what no thread could raise, ``process_wide.py`` and ``replaced.py`` notice what two threads cannot do at a time.
"""

from ftcheck.stress.engine import run
from ftcheck.stress.process_wide import ProcessWatch, Watched
from ftcheck.stress.replaced import GlobalsWatch
from ftcheck.stress.rounds import Conditions, Outcome
from ftcheck.stress.stall import Stall

__all__ = ["Conditions", "GlobalsWatch", "Outcome", "ProcessWatch", "Stall", "Watched", "run"]

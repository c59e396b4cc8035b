"""InterlockedWorkStealQueue of SCTBench, corrected: see tests/programs/families/work_stealing.py."""

from tests.programs.families import work_stealing

program = work_stealing.make(work_stealing.SpinLock, fixed=True)

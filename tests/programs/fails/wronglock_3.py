"""wronglock_3 of SCTBench: see tests/programs/families/wronglock.py."""

from tests.programs.families import wronglock

program = wronglock.make(checkers=1, adders=3, fixed=False)

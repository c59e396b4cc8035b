"""reorder_10 of SCTBench, corrected: see tests/programs/families/reorder.py."""

from tests.programs.families import reorder

program = reorder.make(setters=9, checkers=1, fixed=True)

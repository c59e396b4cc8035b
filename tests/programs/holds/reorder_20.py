"""reorder_20 of SCTBench, corrected: see tests/programs/families/reorder.py."""

from tests.programs.families import reorder

program = reorder.make(setters=10, checkers=10, fixed=True)

"""reorder_5 of SCTBench: see tests/programs/families/reorder.py."""

from tests.programs.families import reorder

program = reorder.make(setters=4, checkers=1, fixed=False)

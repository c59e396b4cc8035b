"""twostage_20 of SCTBench: see tests/programs/families/twostage.py."""

from tests.programs.families import twostage

program = twostage.make(writers=19, readers=1, fixed=False)

"""twostage of SCTBench: see tests/programs/families/twostage.py."""

from tests.programs.families import twostage

program = twostage.make(writers=1, readers=1, fixed=False)

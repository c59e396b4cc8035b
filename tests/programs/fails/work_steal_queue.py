"""WorkStealQueue of SCTBench: see tests/programs/families/work_stealing.py."""

import threading

from tests.programs.families import work_stealing

program = work_stealing.make(threading.Lock, fixed=False)

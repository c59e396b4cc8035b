"""pytest-cov beside workers of ours, which come without ``-n`` and may die.

It decides early, and only by ``-n``, whether there will be workers. Each worker, when it starts, erases all data files, and
hands its own in at its end; so with workers that die, and others that start in their place, data of finished tests would
be lost. Its controller, however, combines every data file that it finds at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys


def prepare(options: argparse.Namespace) -> None:
    """Before pytest-cov looks at the options that are known so far, in a run that has workers of ours."""
    if getattr(options, "numprocesses", 0) is None:
        options.numprocesses = 1
    if "PYTEST_XDIST_WORKER" in os.environ and hasattr(options, "cov_append"):
        options.cov_append = True  # in a worker; the controller has erased what is to be erased


def save() -> None:
    """Write down what has been measured so far: this process may not reach its end."""
    coverage = sys.modules.get("coverage")
    measuring = coverage.Coverage.current() if coverage is not None else None
    if measuring is not None:
        with contextlib.suppress(Exception):  # at the end it is written again, and whoever complains there is heard
            measuring.save()

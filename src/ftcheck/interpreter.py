"""Facts about the running interpreter: free-threaded or not, and is the GIL on now.

Who turned it on is found by :mod:`ftcheck.gil_watch`, whose names are here, too.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig

from ftcheck.gil_watch import GilEvent as GilEvent
from ftcheck.gil_watch import GilWatch as GilWatch
from ftcheck.gil_watch import asking as asking
from ftcheck.gil_watch import gil_enabled as gil_enabled


def free_threaded_build() -> bool:
    """Whether this interpreter can run without the GIL at all (``python3.14t``, not ``python3.14``)."""
    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def gil_forced() -> bool | None:
    """``PYTHON_GIL`` or ``-X gil``: True forced on, False forced off, None left to the imported modules."""
    flag = getattr(sys.flags, "gil", None)
    return None if flag is None else bool(flag)


def cpus() -> int:
    """CPUs this process may use (its affinity mask, not the machine's count)."""
    return os.process_cpu_count() or 1


def describe() -> str:
    """One line for a header: ``CPython 3.14.9 free-threaded, GIL off, 2 CPUs``."""
    build = "free-threaded" if free_threaded_build() else "with the GIL (not a free-threaded build)"
    gil = ""
    if free_threaded_build():
        forced = {True: " (forced by PYTHON_GIL=1)", False: " (forced by PYTHON_GIL=0)", None: ""}[gil_forced()]
        gil = f", GIL {'on' if gil_enabled() else 'off'}{forced}"
    number = cpus()
    return (
        f"{platform.python_implementation()} {platform.python_version()} {build}{gil}, "
        f"{number} CPU{'' if number == 1 else 's'}"
    )

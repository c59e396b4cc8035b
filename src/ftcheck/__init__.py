"""ftcheck: is this Python code, or this C extension, thread-safe without the GIL?

The public names. As a pytest plugin (``pytest --ftcheck``, ``@pytest.mark.ftcheck``) it needs no import.

PYTEST_DONT_REWRITE: there is nothing to rewrite here, and where this package is imported before pytest looks at it (in the
reruns of the classification) pytest would warn; with ``-p ftcheck`` and ``filterwarnings = error`` it would stop.
"""

from ftcheck.composing import DeadlockError, Interleaving, interleavings
from ftcheck.coverage import Coverage
from ftcheck.verdicts import FailureGroup, Finding, Location, TestVerdict, Verdict
from ftcheck.workload import concurrently

__version__ = "0.1.0"

__all__ = [
    "Coverage",
    "DeadlockError",
    "FailureGroup",
    "Finding",
    "Interleaving",
    "Location",
    "TestVerdict",
    "Verdict",
    "__version__",
    "concurrently",
    "interleavings",
]

"""ftcheck: is this Python code, or this C extension, thread-safe without the GIL?

The public names. As a pytest plugin (``pytest --ftcheck``, ``@pytest.mark.ftcheck``) it needs no import.
"""

from ftcheck.verdicts import Coverage, FailureGroup, Finding, Location, TestVerdict, Verdict
from ftcheck.workload import concurrently

__version__ = "0.1.0"

__all__ = [
    "Coverage",
    "FailureGroup",
    "Finding",
    "Location",
    "TestVerdict",
    "Verdict",
    "__version__",
    "concurrently",
]

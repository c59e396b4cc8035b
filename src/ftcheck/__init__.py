"""ftcheck: is this Python code, or this C extension, thread-safe without the GIL?

The public names. As a pytest plugin (``pytest --ftcheck``, ``@pytest.mark.ftcheck``) it needs no import. Every pytest run
where it is installed imports this package, asked for or not: so what a name stands for is imported when it is first used
(:pep:`562`).

PYTEST_DONT_REWRITE: there is nothing to rewrite here, and where this package is imported before pytest looks at it (in the
reruns of the classification) pytest would warn; with ``-p ftcheck`` and ``filterwarnings = error`` it would stop.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_MODULE_OF = {
    "Coverage": "coverage",
    "DeadlockError": "composing",
    "FailureGroup": "verdicts",
    "Finding": "verdicts",
    "Interleaving": "composing",
    "Location": "verdicts",
    "TestVerdict": "verdicts",
    "Verdict": "verdicts",
    "concurrently": "workload",
    "interleavings": "composing",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""What the tests of several rooms share: child interpreters, golden files, and the proof that nothing is left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import hypothesis
import pytest

import ftcheck

HERE = Path(__file__).parent

# A loaded machine is no finding: nothing is judged by the time that an example takes.
hypothesis.settings.register_profile(
    "ftcheck", deadline=None, max_examples=50, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("ftcheck")

# A shell that starts us in the background ("make test &") has SIGINT ignored, and so would be every run that we start:
# then none could be interrupted. A handler of our own is the default action again in what we execute.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

collect_ignore = ["docs"]
"""Examples of the docs, which fail: test_docs.py runs them."""


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files from what is printed now")


@pytest.fixture
def golden(request):
    """Compares a text with the file ``golden/NAME.txt`` beside the test; ``pytest --update-golden`` writes it."""

    def compare(name, text):
        path = request.path.parent / "golden" / f"{name}.txt"
        if request.config.getoption("update_golden"):
            path.write_text(text + "\n", encoding="utf-8")
        assert text + "\n" == path.read_text(encoding="utf-8")

    return compare


@pytest.fixture
def child(tmp_path):
    """Runs a program in a fresh interpreter that can import this ftcheck and these tests; gives the completed process.

    The program may use ``EVIDENCE``, a path of the test's own, and is killed after ``timeout`` seconds.
    """

    def run(program, *, timeout=120, **environment):
        script = tmp_path / "child.py"
        script.write_text(f"EVIDENCE = {str(tmp_path / 'evidence')!r}\n" + textwrap.dedent(program), encoding="utf-8")
        path = [str(Path(ftcheck.__file__).parents[1]), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
        return subprocess.run(
            [sys.executable, str(script)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONFAULTHANDLER": "", **environment},
            check=False,
        )

    return run


@pytest.fixture
def leaves_nothing_behind():
    """Afterwards the process is as it was: threads, hooks, switch interval, monitoring tools, registered threads."""
    before = _process()
    yield
    assert _process() == before


def _process():
    return {
        "threads": set(threading.enumerate()),
        "registered": ftcheck.workload._core.places(),
        "unraisablehook": sys.unraisablehook,
        "excepthook": threading.excepthook,
        "switch interval": sys.getswitchinterval(),
        "tools": [sys.monitoring.get_tool(number) for number in range(6)],
    }

"""``TSAN_OPTIONS`` as the runtime reads it, and what is wrong with it."""

import subprocess
import sys
from pathlib import Path

import pytest

from ftcheck.native import tsan_options

PREFIX = Path("/var/logs/tsan")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("log_path=/a/b:exitcode=0", {"log_path": "/a/b", "exitcode": "0"}),
        ("log_path=/a exitcode=0,halt_on_error=1\n", {"log_path": "/a", "exitcode": "0", "halt_on_error": "1"}),
        ("""log_path="/a b:c":exitcode='0'""", {"log_path": "/a b:c", "exitcode": "0"}),
        ("exitcode=1:exitcode=0", {"exitcode": "0"}),
    ],
)
def test_flags(text, expected):
    assert tsan_options.flags(text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "sets no log_path"),
        ("exitcode=0", "sets no log_path"),
        ("log_path=stderr:exitcode=0", "cannot be told from other output"),
        ("log_path=tsan:exitcode=0", "a relative path"),
        ("log_path=/var/logs/other:exitcode=0", "log_path=/var/logs/other, and --ftcheck-tsan-log has /var/logs/tsan"),
        ("log_path=/var/logs/tsan", "no exitcode, and the default is 66"),
        ("log_path=/var/logs/tsan:exitcode=66", "has exitcode=66"),
        ("log_path=/var/logs/tsan:exitcode=0:halt_on_error=1", "halt_on_error=1"),
        ("log_path=/var/logs/tsan:exitcode=0", ""),
        ("log_path=/var//logs/./tsan:exitcode=0:halt_on_error=0:history_size=7", ""),
    ],
)
def test_complaints(text, complaint):
    said = tsan_options.complaint(PREFIX, {} if text is None else {"TSAN_OPTIONS": text})
    assert complaint in said
    assert bool(said) == bool(complaint)


@pytest.mark.parametrize("path", ["/var/logs/tsan", "/my logs/a:b"])
def test_what_is_wanted_is_what_a_shell_gives_the_runtime(path):
    command = f"{tsan_options.wanted(Path(path))} {sys.executable} -c 'import os; print(os.environ[\"TSAN_OPTIONS\"])'"
    said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    assert tsan_options.flags(said.strip())["log_path"] == path
    assert not tsan_options.complaint(Path(path), {"TSAN_OPTIONS": said.strip()})


def test_not_here():
    assert not tsan_options.present()

"""interpreter.py: what it says of this interpreter."""

import os
import platform
import sys

import pytest

from ftcheck import interpreter

free_threaded = pytest.mark.skipif(not interpreter.free_threaded_build(), reason="a build with the GIL has it on always")


class TestFacts:
    def test_cpus_are_those_this_process_may_use(self, monkeypatch):
        assert interpreter.cpus() == os.process_cpu_count()
        monkeypatch.setattr(os, "process_cpu_count", lambda: None)
        assert interpreter.cpus() == 1

    def test_the_build(self, child):
        assert interpreter.free_threaded_build() == ("t" in sys.abiflags)

    @free_threaded
    @pytest.mark.parametrize(
        ("setting", "forced", "enabled", "words"),
        [
            ("1", True, True, "GIL on (forced by PYTHON_GIL=1)"),
            ("0", False, False, "GIL off (forced by PYTHON_GIL=0)"),
            ("", None, False, "GIL off"),
        ],
    )
    def test_the_gil_of_a_child(self, child, setting, forced, enabled, words):
        done = child(
            """
            from ftcheck import interpreter
            print(interpreter.gil_forced(), interpreter.gil_enabled())
            print(interpreter.describe())
            """,
            PYTHON_GIL=setting,
        )
        facts, line = done.stdout.splitlines()
        assert facts == f"{forced} {enabled}"
        assert f" free-threaded, {words}, " in line

    @pytest.mark.parametrize(("cpus", "words"), [(1, "1 CPU"), (2, "2 CPUs")])
    def test_the_line_for_a_header(self, monkeypatch, cpus, words):
        monkeypatch.setattr(interpreter, "cpus", lambda: cpus)
        line = interpreter.describe()
        assert line.startswith(f"CPython {platform.python_version()} ")
        assert line.endswith(f", {words}")

    def test_the_line_of_a_build_with_the_gil(self, monkeypatch):
        monkeypatch.setattr(interpreter, "free_threaded_build", lambda: False)
        assert " with the GIL (not a free-threaded build), " in interpreter.describe()

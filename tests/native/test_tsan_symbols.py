"""Source lines for calls that ThreadSanitizer itself could not name."""

import shutil
import subprocess
import sys

import pytest

from ftcheck.native import tsan_symbols
from ftcheck.native.tsan_report import Access, Frame, Place, Report

SOURCE = """\
static int inner(int *p) { return *p + 1; }
int outer(int *p)
{
    return inner(p);
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A shared object, and the offset of its function ``outer``."""
    if not (shutil.which("gcc") and shutil.which("nm") and shutil.which("addr2line")):
        pytest.skip("there are no gcc and binutils")
    folder = tmp_path_factory.mktemp("library")
    (folder / "two.c").write_text(SOURCE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-g", "-O0", "two.c", "-o", "two.so"], cwd=folder, check=True)
    names = subprocess.run(["nm", "two.so"], cwd=folder, capture_output=True, text=True, check=True).stdout
    offset = next(int(line.split()[0], 16) for line in names.splitlines() if line.endswith(" outer"))
    return folder / "two.so", offset


def report(frame):
    return Report(
        "data race", 1, (Access("write", 4, 1, "T1", (), (frame,)),), places=(Place("heap block", stack=(frame,)),)
    )


def test_a_call_gets_its_line_wherever_it_stands(library):
    path, offset = library
    bare, known = Frame("?", module="two.so", offset=offset), Frame("f", "a.c", 7, 0, "two.so", offset)
    (first, second) = tsan_symbols.named([report(bare), report(known)], {"two.so": str(path)})
    for stack in (first.accesses[0].stack, first.places[0].stack):
        assert [(one.function, one.file.rpartition("/")[2], one.line) for one in stack] == [("outer", "two.c", 3)]
    assert second == report(known)


@pytest.mark.parametrize("files", [{}, {"two.so": "/nowhere/two.so"}])
def test_where_nothing_is_known_nothing_changes(library, files):
    bare = Frame("?", module="two.so", offset=library[1])
    assert tsan_symbols.named([report(bare)], files) == [report(bare)]


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_modules_of_this_process():
    from ftcheck import _core

    assert tsan_symbols.modules()[_core.__file__.rpartition("/")[2]] == _core.__file__

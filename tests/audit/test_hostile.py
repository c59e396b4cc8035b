"""Hostile and broken input: each costs its row or gives a clear error, nothing hangs, nothing is written where it should
not be."""

import gzip
import io
import os
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

import pytest

from ftcheck import interpreter
from ftcheck.audit import archives
from ftcheck.audit.archives import Limits
from ftcheck.audit.model import Readiness
from ftcheck.audit.options import AuditError

from ..native.building import SUFFIX, compiled
from .making import audited, dist_info, installed, module, multi, row, wheel

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF, and /proc")
runs = pytest.mark.skipif(
    not interpreter.free_threaded_build(), reason="modules for this interpreter are asked about without the GIL only"
)


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path, monkeypatch):
    """No temporary folder is left, and no process."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("FTCHECK_TEST", str(tmp_path))  # other tests may run beside this one
    yield
    assert list(folder.iterdir()) == []
    assert marked(f"FTCHECK_TEST={tmp_path}") == []


def marked(ours):
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            data = (entry / "environ").read_bytes()
        except OSError:
            continue
        if b"FTCHECK_AUDIT_CHILD=" in data and ours.encode() in data:
            found.append((entry.name, (entry / "cmdline").read_bytes()))
    return found


# -- imports that misbehave ----------------------------------------------------------------------------------------------

INCLUDES = "#include <unistd.h>\n#include <signal.h>\n#include <stdlib.h>\n"
MISBEHAVING = {
    "segfaults": ("raise(SIGSEGV);", "SIGSEGV"),
    "aborts": ("abort();", "SIGABRT"),
    "exits": ("_exit(3);", "ended the process with status 3"),
    "exits_well": ("_exit(0);", "ended the process with status 0"),
    "hangs": ("for (;;) pause();", "did not end within"),
    "hangs_detached": ("Py_BEGIN_ALLOW_THREADS for (;;) pause(); Py_END_ALLOW_THREADS", "did not end within"),
    "raises_system_exit": ('PyErr_SetString(PyExc_SystemExit, "bye"); return -1;', "SystemExit"),
    "floods": ("for (;;) if (write(1, definition.m_name, 3) < 0) break;", "did not end within"),
}


@runs
@pytest.mark.parametrize("what", MISBEHAVING)
def test_an_import_that_misbehaves_costs_its_row_only(tmp_path, what):
    fill, said = MISBEHAVING[what]
    body = INCLUDES + "static struct PyModuleDef definition;\n"
    installed(
        tmp_path / "s",
        "x",
        ("a_before", multi("a_before")),
        ("b_bad", multi("b_bad", fill=fill, body=body)),
        ("c_after", multi("c_after")),
    )
    began = time.monotonic()
    found = audited(tmp_path / "s", timeout=3.0)
    assert time.monotonic() - began < 30
    bad = module(found, "b_bad")
    assert bad.readiness is Readiness.FAILED
    assert said in " ".join(bad.evidence)
    for name in ("a_before", "c_after"):
        assert module(found, name).readiness is Readiness.DECLARED
        assert "import: GIL stayed off" in module(found, name).evidence


@runs
def test_a_function_that_misbehaves_costs_its_row_only(tmp_path):
    installed(
        tmp_path / "s",
        "x",
        ("a_bad", multi("a_bad", init="raise(SIGSEGV);", body=INCLUDES)),
        ("b_fine", multi("b_fine")),
    )
    found = audited(tmp_path / "s")
    assert module(found, "a_bad").called.problem == "SIGSEGV"
    assert module(found, "a_bad").imported.died == "SIGSEGV"
    assert module(found, "b_fine").called.slots.gil == 1


@runs
def test_an_import_that_forks(tmp_path):
    """The child comes back from the import as if it were the probe; another one stays, in a session of its own."""
    stays = "if (fork() == 0) { setsid(); if (fork() == 0) for (;;) pause(); _exit(0); }"
    installed(
        tmp_path / "s",
        "x",
        ("f_forks", multi("f_forks", fill="fork();" + stays, body=INCLUDES)),
        ("g_fine", multi("g_fine")),
    )
    found = audited(tmp_path / "s", timeout=10.0)
    assert module(found, "f_forks").readiness is Readiness.DECLARED
    assert any("forks" in one.text for one in module(found, "f_forks").remarks)
    assert module(found, "g_fine").readiness is Readiness.DECLARED


@runs
def test_an_import_that_prints_garbage(tmp_path):
    lines = 'printf("{\\"kind\\": \\"done\\", \\"number\\": 1}\\n\\377\\376\\n");'
    lines += "fprintf(stderr, \"# loading module 'zzz'\\n\"); fflush(stdout);"
    forged = 'for (int fd = 3; fd < 64; fd++) if (write(fd, "garbage\\n{\\"kind\\": 7}\\n", 21)) {}'
    installed(
        tmp_path / "s", "x", ("p_prints", multi("p_prints", fill=lines + forged, body=INCLUDES)), ("q_fine", multi("q_fine"))
    )
    found = audited(tmp_path / "s")
    assert {module(found, name).readiness for name in ("p_prints", "q_fine")} == {Readiness.DECLARED}


@runs
def test_an_import_that_deletes_its_own_file(tmp_path):
    path = tmp_path / "s" / f"d_deletes{SUFFIX}"
    installed(tmp_path / "s", "x", ("d_deletes", multi("d_deletes", fill=f'unlink("{path}");', body=INCLUDES)))
    found = audited(tmp_path / "s")
    assert any("removed its own file" in one.text and one.attention for one in module(found, "d_deletes").remarks)
    assert row(found, "x").needs_attention


@runs
def test_an_import_leaves_its_mess_in_a_temporary_folder(tmp_path):
    """Working directory and home of the children are not the user's, and no byte code is written."""
    fill = 'fclose(fopen("mess", "w")); char name[4096];'
    fill += 'snprintf(name, 4096, "%s/mess", getenv("HOME")); fclose(fopen(name, "w"));'
    installed(tmp_path / "s", "x", ("m_mess", multi("m_mess", fill=fill, body=INCLUDES)))
    (tmp_path / "s" / "pkg").mkdir()
    (tmp_path / "s" / "pkg" / "__init__.py").write_text("")
    compiled(tmp_path / "s" / "pkg", "inner", multi("inner"))
    before = sorted(tmp_path.rglob("*"))
    assert module(audited(tmp_path / "s"), "m_mess").readiness is Readiness.DECLARED
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("mess").exists()


# -- files that are not what they seem -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"MZ\x90 no ELF", b"\x7fELF", b"\x7fELF\x02\x01\x01" + bytes(57), b"\x7fELF\x01\x01\x01" + bytes(60)]
)
def test_a_file_that_is_no_elf_file(tmp_path, content):
    (tmp_path / f"bad{SUFFIX}").write_bytes(content)
    found = audited(tmp_path / f"bad{SUFFIX}")
    assert found.rows[0].readiness is Readiness.FAILED
    assert "cannot be read" in found.rows[0].what or "exports no PyInit_" in found.rows[0].what


def test_a_damaged_file_never_ends_an_audit(tmp_path):
    """Each of 300 damaged copies is either read or refused: deterministic, so no chance is in it."""
    from ftcheck.audit import binary

    whole = compiled(tmp_path, "dmg", multi("dmg")).read_bytes()
    state, refused = 12345, 0
    path = tmp_path / "copy.so"
    for number in range(300):
        data = bytearray(whole)
        for _ in range(1 + number % 40):
            state = (1103515245 * state + 12345) % 2**31
            limit = 64 if number % 3 == 0 else len(data)
            data[state % limit] = (state >> 16) & 0xFF
        path.write_bytes(data[: len(data) - (state % len(data) if number % 5 == 0 else 0)])
        refused += bool(binary.read(str(path)).problem)
    assert 0 < refused < 300


@runs
def test_a_module_for_another_machine_is_read_and_not_run(tmp_path):
    path = compiled(tmp_path, "elsewhere", multi("elsewhere"))
    data = bytearray(path.read_bytes())
    other = 183 if struct.unpack_from("<H", data, 18)[0] != 183 else 62
    struct.pack_into("<H", data, 18, other)
    path.write_bytes(data)
    one = module(audited(path), "elsewhere")
    assert (one.readiness, one.imported, one.called) == (Readiness.DECLARED, None, None)
    assert "it is for" in one.not_run


@runs
def test_ten_megabytes_of_symbols(tmp_path):
    names = "".join(f".globl s{'x' * 80}{number}\n.set s{'x' * 80}{number}, {number}\n" for number in range(100_000))
    (tmp_path / "many.s").write_text(names)
    subprocess.run(["gcc", "-c", "many.s", "-o", "many.o"], cwd=tmp_path, check=True)
    path = compiled(tmp_path, "many", multi("many"), "-x", "none", str(tmp_path / "many.o"))
    assert path.stat().st_size > 10 << 20
    began = time.monotonic()
    found = audited(path)
    assert module(found, "many").readiness is Readiness.DECLARED
    assert time.monotonic() - began < 20


# -- folders -------------------------------------------------------------------------------------------------------------


@runs
def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    """Of root, everything can: so what the system would say is said in its place."""
    installed(tmp_path / "s", "x", ("x_fine", multi("x_fine")))
    secret = tmp_path / "s" / "secret"
    secret.mkdir()
    scandir = os.scandir

    def refusing(path="."):
        if path == str(secret):
            raise PermissionError(13, "Permission denied", str(secret))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = audited(tmp_path / "s", run=False)
    assert any(str(secret) in one and "Permission denied" in one for one in found.troubles)
    assert module(found, "x_fine").readiness is Readiness.DECLARED


def test_a_loop_of_links(tmp_path):
    installed(tmp_path / "s", "x", ("x_fine", multi("x_fine")))
    (tmp_path / "s" / "loop").symlink_to(tmp_path / "s", target_is_directory=True)
    (tmp_path / "s" / "self").symlink_to("self")
    (tmp_path / "s" / f"self{SUFFIX}").symlink_to(f"self{SUFFIX}")
    found = audited(tmp_path / "s", run=False)
    assert len([one for one in found.modules if one.name == "x_fine"]) == 1
    assert module(found, "self").readiness is Readiness.FAILED


def test_a_distribution_that_is_there_twice(tmp_path):
    (path,) = installed(tmp_path / "s", "x", ("x_fine", multi("x_fine")))
    dist_info(tmp_path / "s", "X", "2.0", [path])
    found = audited(tmp_path / "s", run=False)
    rows = [one for one in found.rows if one.name.lower() == "x"]
    assert len(rows) == 2
    assert all(any("2 times" in remark.text and remark.attention for remark in one.remarks) for one in rows)


@runs
@pytest.mark.parametrize("how", ["no dist-info", "empty dist-info", "no METADATA", "binary METADATA", "no RECORD"])
def test_missing_metadata(tmp_path, how):
    folder = tmp_path / "site-packages"
    if how == "no dist-info":
        folder.mkdir()
        compiled(folder, "x_fine", multi("x_fine"))
    else:
        installed(folder, "x", ("x_fine", multi("x_fine")))
        info = folder / "x-1.0.dist-info"
        if how == "empty dist-info":
            [one.unlink() for one in info.iterdir()]
        elif how == "no METADATA":
            (info / "METADATA").unlink()
        elif how == "binary METADATA":
            (info / "METADATA").write_bytes(b"\xff\xfe\x00\x80" * 100)
        else:
            (info / "RECORD").unlink()
    found = audited(folder, run=False)
    assert module(found, "x_fine").readiness is Readiness.DECLARED
    assert any(remark.kind == "metadata" for one in found.rows for remark in one.remarks)


@runs
@pytest.mark.parametrize("suffix", [".cpython-312-x86_64-linux-gnu.so", ".cpython-314-x86_64-linux-gnu.so", ".abi3.so"])
def test_site_packages_of_another_python(tmp_path, suffix):
    (path,) = installed(tmp_path / "site-packages", "x", ("x_other", multi("x_other")))
    path.rename(path.with_name(f"x_other{suffix}"))
    one = module(audited(tmp_path / "site-packages"), "x_other")
    assert one.readiness is Readiness.FAILED
    assert one.imported is None
    assert "built for" in one.what


def test_a_python_that_is_none(tmp_path):
    (tmp_path / "python").write_text("#!/bin/sh\necho hello\n")
    (tmp_path / "python").chmod(0o755)
    for python in (tmp_path / "python", tmp_path / "missing", "/bin/true"):
        with pytest.raises(AuditError, match="give --python another one") as failed:
            audited(tmp_path, python=str(python))
        assert failed.value.status == 3


# -- archives ------------------------------------------------------------------------------------------------------------


@runs
def test_a_wheel_is_read_where_it_is(tmp_path):
    data = compiled(tmp_path, "w_fine", multi("w_fine")).read_bytes()
    found = audited(wheel(tmp_path, "whole", {f"w_fine{SUFFIX}": data}))
    assert row(found, "whole").readiness is Readiness.DECLARED
    assert not row(found, "whole").needs_attention


def test_a_wheel_that_was_cut_off(tmp_path):
    path = wheel(tmp_path, "cut", {"x.py": os.urandom(5000)})
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(AuditError, match="is no wheel that can be read"):
        audited(path)


def test_a_wheel_whose_content_is_damaged(tmp_path):
    path = wheel(tmp_path, "damaged", {"x.py": os.urandom(5000)})
    data = bytearray(path.read_bytes())
    data[200:260] = bytes(60)
    path.write_bytes(data)
    with pytest.raises(AuditError, match=r"damaged-1\.0"):
        audited(path)


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / f"bomb-1.0-{'py3-none-any'}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(8):
            archive.writestr(f"{number}.bin", bytes(16 << 20))
    assert path.stat().st_size < 1 << 20
    into = tmp_path / "into"
    with pytest.raises(AuditError, match="over the limit"):
        archives.unpack_wheel(path, into, Limits(size=64 << 20))
    assert not into.exists()


def test_a_zip_bomb_that_lies_about_its_size(tmp_path):
    path = tmp_path / "liar-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.bin", bytes(64 << 20))
    data = path.read_bytes().replace(struct.pack("<I", 64 << 20), struct.pack("<I", 100))
    path.write_bytes(data)
    into = tmp_path / "into"
    with pytest.raises(AuditError):
        archives.unpack_wheel(path, into, Limits(size=1 << 20))
    assert sum(one.stat().st_size for one in into.rglob("*") if one.is_file()) <= 1 << 20


def test_a_tar_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for number in range(4):
            info = tarfile.TarInfo(f"bomb-1.0/{number}.c")
            info.size = 32 << 20
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    into = tmp_path / "into"
    with pytest.raises(AuditError, match="over the limit"):
        archives.unpack_sdist(path, into, Limits(size=40 << 20))
    assert sum(one.stat().st_size for one in into.rglob("*") if one.is_file()) <= 40 << 20


OUTSIDE = ["../evil.py", "/tmp/evil-ftcheck.py", "a/../../evil.py", "C:\\evil.py", "..\\evil.py"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_wheel_with_a_name_that_leads_outside(tmp_path, name):
    path = tmp_path / "evil-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fine.py", "")
        archive.writestr(name, "print('evil')")
    with pytest.raises(AuditError, match="leads out of it"):
        audited(path)
    assert not list(tmp_path.rglob("evil.py"))
    assert not Path("/tmp/evil-ftcheck.py").exists()


@pytest.mark.parametrize("name", OUTSIDE)
def test_an_sdist_with_a_name_that_leads_outside(tmp_path, name):
    path = tmp_path / "evil-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = 4
        archive.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(AuditError, match="leads out of it"):
        audited(path)
    assert not list(tmp_path.rglob("evil.py"))
    assert not Path("/tmp/evil-ftcheck.py").exists()


def test_links_in_an_sdist_lead_nowhere(tmp_path):
    path = tmp_path / "links-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("links-1.0/out")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(link)
        info = tarfile.TarInfo("links-1.0/out/evil.c")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"evil"))
    found = audited(path)
    assert found.rows[0].readiness is Readiness.NOT_CHECKED
    assert not (tmp_path / "evil.c").exists()


def test_links_in_a_wheel_are_refused(tmp_path):
    path = tmp_path / "links-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("out")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, str(tmp_path))
    with pytest.raises(AuditError, match="holds a link"):
        audited(path)


def test_an_sdist_that_is_none(tmp_path):
    path = tmp_path / "x-1.0.tar.gz"
    for content in (b"", b"no archive", gzip.compress(b"no tar")):
        path.write_bytes(content)
        with pytest.raises(AuditError, match="is no sdist"):
            audited(path)

"""The environment of another interpreter: what there is to install instead of what cannot be loaded."""

import pytest

from ftcheck import cli, interpreter
from ftcheck.audit import moving, targets
from ftcheck.audit.index import File
from ftcheck.audit.model import Readiness

from .making import audited, dist_info, installed, multi, own_tag, row

pytestmark = pytest.mark.skipif(not interpreter.free_threaded_build(), reason="this one is to be what is moved to")
BUILT = "built for cp313; "
WHEEL = f"{BUILT}there is a cp314t wheel: install it, or audit the wheel"
PURE, OWN, OTHER = "py3-none-any", own_tag(), "cp313-cp313-manylinux_2_17_x86_64"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """An extension module for this interpreter."""
    (path,) = installed(tmp_path_factory.mktemp("built"), "one", ("one", multi("one")))
    return path.read_bytes()


@pytest.fixture
def other(tmp_path, built):
    """A folder of packages for another interpreter: ``one`` and ``two`` have a module, ``three`` has none."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.cpython-313-x86_64-linux-gnu.so").write_bytes(built)
        dist_info(tmp_path, name, "1.5", [tmp_path / f"{name}.cpython-313-x86_64-linux-gnu.so"], tag=OTHER)
    (tmp_path / "three.py").touch()
    dist_info(tmp_path, "three", "1.5", [tmp_path / "three.py"], tag=PURE)
    return tmp_path


@pytest.fixture
def index(monkeypatch):
    """An index with these files, and what it was asked for."""
    known, asked = {}, []

    def files(self, project):
        self.asked += 1
        asked.append(project)
        return known.get(project, [])

    monkeypatch.setattr(targets.Index, "files", files)

    def have(**projects):
        known.update({name: [File(one) for one in some] for name, some in projects.items()})
        return asked

    return have


@pytest.mark.parametrize(("files", "readiness", "what"), [
    ([f"one-1.5-{OWN}.whl"], Readiness.NOT_CHECKED, WHEEL),
    ([f"one-1.5-{OWN}.whl", f"one-2.0-{OTHER}.whl"], Readiness.NOT_CHECKED, WHEEL),
    ([f"one-1.5-{OTHER}.whl", f"one-1.6-{OWN}.whl", f"one-1.7-{OTHER}.whl"], Readiness.NOT_CHECKED,
     WHEEL.replace("wheel", "wheel of 1.6", 1)),
    ([f"one-1.5-{OTHER}.whl", f"one-1.6-{OWN}.whl", "one-1.7.tar.gz"], Readiness.NOT_INSTALLABLE,
     "no cp314t wheel; sdist present"),
    ([f"one-1.5-{OTHER}.whl", f"one-2.0-{PURE}.whl"], Readiness.NOT_CHECKED, f"{BUILT}2.0 is pure Python: install it"),
    ([f"one-1.5-{OTHER}.whl", "one-1.5.tar.gz"], Readiness.NOT_INSTALLABLE, "no cp314t wheel; sdist present"),
    ([f"one-1.5-{OTHER}.whl"], Readiness.NOT_INSTALLABLE, "no cp314t wheel; sdist absent"),
    ([f"one-1.0-{OWN}.whl"], Readiness.NOT_INSTALLABLE, "no version for 3.14t fits one>=1.5"),
    ([], Readiness.NOT_INSTALLABLE, "no file of it is known to the index"),
])  # fmt: skip
def test_what_there_is_to_install(other, index, files, readiness, what):
    asked = index(one=files, two=[f"two-1.5-{OWN}.whl"])
    found = audited(other, offline=False)
    assert (row(found, "one").readiness, row(found, "one").what) == (readiness, what)
    assert row(found, "two").readiness is Readiness.NOT_CHECKED
    assert row(found, "three").readiness is Readiness.PURE
    assert sorted(asked) == ["one", "two"], "and nothing else"
    assert found.asked == 2
    assert not any(one.readiness is Readiness.FAILED for one in found.modules)


def test_offline_it_is_said_that_nobody_was_asked(other, index):
    asked = index()
    found = audited(other, offline=True)
    assert row(found, "one").readiness is Readiness.FAILED
    assert any("no index was asked whether 2 distributions" in one for one in found.limits)
    assert not asked


def test_an_index_that_does_not_answer_leaves_rows_as_they_are(other, monkeypatch):
    monkeypatch.setattr(targets.Index, "files", lambda self, project: None)
    assert row(audited(other, offline=False), "one").readiness is Readiness.FAILED


def test_a_stray_file_in_the_folder_of_this_interpreter_is_a_failure(other, built, index):
    asked = index(one=[f"one-1.5-{OWN}.whl"])
    installed(other, "here", ("here", multi("here")))
    assert row(audited(other, offline=False), "one").readiness is Readiness.FAILED
    assert not asked


def test_what_is_broken_besides_is_a_failure(other, index):
    (other / "one_more.cpython-313-x86_64-linux-gnu.so").write_bytes(b"\x7fELF, and then nothing")
    record = other / "one-1.5.dist-info" / "RECORD"
    record.write_text(record.read_text() + "one_more.cpython-313-x86_64-linux-gnu.so,,\n")
    index(one=[f"one-1.5-{OWN}.whl"], two=[f"two-1.5-{OWN}.whl"])
    found = audited(other, offline=False)
    assert row(found, "one").readiness is Readiness.FAILED
    assert not moving.concerned(row(found, "one"))


def test_a_version_that_no_index_can_know(other, index):
    index(one=[f"one-2.0-{OWN}.whl"])
    (other / "one-1.5.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: one\nVersion: of my own\n")
    assert "cp314t wheel of 2.0" in row(audited(other, offline=False), "one").what


def test_the_command(other, index, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    index(one=[f"one-1.5-{OWN}.whl"], two=[f"two-1.5-{OTHER}.whl", "two-1.5.tar.gz"])
    assert cli.main(["audit", str(other), "--no-run"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "asked the index for 2 projects that are built for another interpreter" in said
    assert "not installable (no cp314t wheel; sdist present)" in said

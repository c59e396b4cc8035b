"""audit/record.py: a record of real environments, and its file."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import ftcheck
from ftcheck import cli, interpreter
from ftcheck.audit import record, record_imports
from ftcheck.audit.record import NOBODY, STDLIB, RecordError

from ..gil_modules import build

free_threaded = pytest.mark.skipif(not interpreter.free_threaded_build(), reason="a build with the GIL has it on always")
SOURCES = str(Path(ftcheck.__file__).parents[1])


def environment(folder):
    """A virtual environment with a distribution of three extension modules, and one module that is nobody's."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    build(site)
    for source in site.glob("*.c"):
        source.unlink()
    info = site / "mine-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.5\n")
    (info / "WHEEL").write_text(
        "Wheel-Version: 1.0\nTag: cp314-cp314t-linux_x86_64\nTag: cp314-cp314t-manylinux_2_17_x86_64\n"
    )
    owned = [file.name for file in site.glob("*.so") if not file.name.startswith("broken")]
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in owned))
    pure = site / "pure-2.dist-info"
    pure.mkdir()
    (pure / "METADATA").write_text("Metadata-Version: 2.1\nName: pure\nVersion: 2\n")
    return site


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    folder = tmp_path_factory.mktemp("record") / "env"
    environment(folder)
    return folder


@pytest.fixture(scope="module")
def recorded(env):
    return record.record(env)


def module(found, name):
    (one,) = [one for one in found.modules if one.name == name]
    return one


class TestRecord:
    def test_the_interpreter(self, recorded):
        found = recorded.interpreter
        assert found.version == ".".join(map(str, sys.version_info[:3]))
        assert found.soabi == sysconfig.get_config_var("SOABI")
        assert found.free_threaded is interpreter.free_threaded_build()

    def test_the_distributions(self, recorded):
        mine, pure = recorded.distributions
        assert (mine.name, mine.version, pure.name) == ("mine", "1.5", "pure")
        assert mine.tags == ("cp314-cp314t-linux_x86_64", "cp314-cp314t-manylinux_2_17_x86_64")
        assert pure.tags == ()

    def test_an_extension_module(self, recorded):
        one = module(recorded, "wants_the_gil")
        assert (one.distribution, one.abi, one.library) == ("mine", sysconfig.get_config_var("SOABI"), False)
        assert one.needs is not None

    def test_what_they_are_linked_with(self, recorded):
        needed = {need for one in recorded.modules for need in one.needed if need.library == "libc.so.6"}
        assert len(needed) == 1
        assert os.path.isabs(needed.pop().file)

    def test_whose_they_are(self, recorded):
        assert module(recorded, "broken").distribution == NOBODY
        own = [one for one in recorded.modules if one.distribution == STDLIB]
        assert {"_ctypes", "_ssl"} <= {one.name for one in own} | set(sys.builtin_module_names)

    @free_threaded
    def test_without_a_probe_the_gil_is_not_known(self, recorded):
        assert {one.gil for one in recorded.modules} == {"not probed"}
        assert recorded.summary.endswith("not known: what an import does to the GIL (--probe imports each)")

    def test_two_records_of_one_environment_are_equal(self, env, recorded):
        assert record.record(env / "bin" / "python") == recorded

    def test_a_file_that_is_no_shared_object_costs_its_row_only(self, tmp_path):
        site = environment(tmp_path / "env")
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        (site / f"garbage{suffix}").write_bytes(b"no ELF")
        (site / f"empty{suffix}").touch()
        (site / f"link{suffix}").symlink_to("nowhere.so")
        (site / "circle").symlink_to(site)
        found = record.record(tmp_path / "env")
        assert module(found, "garbage").problem.startswith("cannot be read: ")
        assert module(found, "empty").problem.startswith("cannot be read: ")
        assert module(found, "wants_the_gil").problem == ""
        assert "2 files that cannot be read" in found.summary
        assert not [one for one in found.modules if one.name.startswith(("link", "circle"))]

    def test_libraries_that_come_with_a_module(self, tmp_path):
        """As auditwheel puts them beside it: their place is said relative to the environment."""
        site = environment(tmp_path / "env")
        libs = site / "mine.libs"
        libs.mkdir()
        source = tmp_path / "x.c"
        source.write_text("int x(void) { return 1; }")
        subprocess.run(["cc", "-shared", "-fPIC", source, "-o", libs / "libx-1234.so.5"], check=True)
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        source.write_text("int x(void); int PyInit_linked(void) { return x(); }")
        subprocess.run(["cc", "-shared", "-fPIC", source, libs / "libx-1234.so.5", "-Wl,-rpath,$ORIGIN/mine.libs",
                        "-o", site / f"linked{suffix}"], check=True)  # fmt: skip
        found = record.record(tmp_path / "env")
        library = module(found, "mine.libs/libx-1234.so.5")
        assert (library.library, library.abi) == (True, "none")
        (need,) = [need for need in module(found, "linked").needed if "libx" in need.library]
        assert need.file == "mine.libs/libx-1234.so.5"

    @pytest.mark.parametrize(
        ("python", "says"),
        [("nothing", "there is no interpreter"), ("/bin/true", "cannot be recorded"), ("/bin/sh", "cannot be recorded")],
    )
    def test_no_interpreter(self, python, says):
        with pytest.raises(RecordError, match=says):
            record.record(Path(python))


@free_threaded
class TestProbe:
    def test_what_each_import_does_to_the_gil(self, env):
        found = record.record(env, probe=True)
        gil = {one.name: one.gil for one in found.modules if one.distribution in ("mine", NOBODY)}
        assert gil == {
            "broken": "cannot be imported: ValueError: not today",
            "imports_one": "keeps it off",
            "needs_no_gil": "keeps it off",
            "single_phase": "turns it on",
            "single_phase_without": "keeps it off",
            "wants_it_too": "turns it on",
            "wants_the_gil": "turns it on",
        }
        assert found.probed
        assert "each was imported" in found.summary

    def test_those_that_end_the_process(self, tmp_path):
        """Each costs its own row; the others are imported in the next process."""
        fails = {"crashes": "*(volatile int *)8 = 1; return NULL;", "exits": "exit(5);", "hangs": "for (;;) sleep(60);"}
        start = "#include <Python.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
        environment(tmp_path / "env")
        site = next((tmp_path / "env").glob("lib/python*/site-packages"))
        build(site, {name: f"{start}PyMODINIT_FUNC PyInit_{name}(void) {{ {body} }}" for name, body in fails.items()})
        names = ["needs_no_gil", "crashes", "exits", "hangs", "wants_the_gil"]
        assert record_imports.gil_of(str(tmp_path / "env/bin/python"), names, timeout=5) == {
            "needs_no_gil": "keeps it off",
            "crashes": "cannot be imported: it crashes (SIGSEGV)",
            "exits": "cannot be imported: it ends the process (status 5)",
            "hangs": "cannot be imported: it is not over in time",
            "wants_the_gil": "turns it on",
        }

    def test_an_interpreter_that_does_not_start(self):
        assert record_imports.gil_of("/bin/false", ["a", "b"]) == dict.fromkeys(
            ("a", "b"), "cannot be imported: the interpreter does not start"
        )


class TestFile:
    def test_comes_back_as_it_was(self, recorded, tmp_path):
        record.write(recorded, tmp_path / "env.json")
        assert record.read(tmp_path / "env.json") == recorded
        assert [one.name for one in tmp_path.iterdir()] == ["env.json"]

    def test_every_cut_is_a_clear_error(self, recorded, tmp_path):
        file = tmp_path / "env.json"
        record.write(recorded, file)
        text = file.read_text()
        for size in range(0, len(text) - 1, len(text) // 40):
            file.write_text(text[:size])
            with pytest.raises(RecordError, match=r"is no JSON, or is cut off .* make it anew with `ftcheck record`"):
                record.read(file)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("[]", "is no record of an environment"),
            ("{}", "is no record of an environment"),
            ('{"schema": "ftcheck-report", "version": 1}', "is no record of an environment"),
            ('{"schema": "ftcheck-record", "version": 99}', "is a record of version 99, and this ftcheck reads version 1"),
            ('{"schema": "ftcheck-record", "version": 1}', "is a record that lacks something"),
            ("\x00\x01", "is no JSON"),
        ],
    )
    def test_something_else(self, tmp_path, text, says):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(RecordError, match=says):
            record.read(tmp_path / "x.json")

    @pytest.mark.parametrize("field", ["interpreter", "system", "distributions", "modules", "probed"])
    def test_a_field_is_missing_or_wrong(self, recorded, tmp_path, field):
        record.write(recorded, tmp_path / "x.json")
        data = json.loads((tmp_path / "x.json").read_text())
        for wrong in ("missing", "other"):
            if wrong == "missing":
                del data[field]
            else:
                data[field] = {"nonsense": 1}
            (tmp_path / "x.json").write_text(json.dumps(data))
            if (field, wrong) != ("probed", "other"):
                with pytest.raises(RecordError, match="lacks something"):
                    record.read(tmp_path / "x.json")

    def test_no_file(self, tmp_path):
        with pytest.raises(RecordError, match="cannot be read: No such file"):
            record.read(tmp_path / "x.json")

    def test_a_folder_that_is_not_there(self, recorded, tmp_path):
        with pytest.raises(RecordError, match="cannot be written: No such file"):
            record.write(recorded, tmp_path / "no" / "x.json")


class TestCommand:
    def test_writes_and_says_what_was_looked_at(self, env, tmp_path, capsys):
        assert cli.main(["record", str(tmp_path / "env.json"), "--python", str(env)]) == 0
        out = capsys.readouterr().out
        assert out.startswith(f"{tmp_path / 'env.json'}: 2 distributions, ")

    def test_cannot_be_done(self, tmp_path, capsys):
        assert cli.main(["record", str(tmp_path / "x.json"), "--python", "nothing"]) == 3
        assert "ftcheck record: there is no interpreter nothing" in capsys.readouterr().err
        assert not (tmp_path / "x.json").exists()

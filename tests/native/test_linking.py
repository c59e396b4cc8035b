"""native/linking.py: what a shared object needs, and which file is taken for it, beside what the real linker does."""

import re
import shutil
import subprocess
import sys

import pytest

from ftcheck.elf import UnreadableError
from ftcheck.native import linking
from ftcheck.native.linking import Linking, numbers, resolve

from .building import compiled

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF files are Linux's")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two libraries, and three that are linked with them: by RUNPATH, by RPATH, and by nothing."""
    folder = tmp_path_factory.mktemp("linking")
    (folder / "inner").mkdir()
    deep = compiled(folder / "inner", "libdeep", "int deep(void) { return 1; }", plain=True)
    text = "int deep(void); int user(void) { return deep(); }"
    options = ["-L" + str(deep.parent), "-ldeep"]
    made = {"deep": deep}
    for name, more in {
        "runpath": ["-Wl,--enable-new-dtags,-rpath,$ORIGIN/inner"],
        "rpath": ["-Wl,--disable-new-dtags,-rpath,${ORIGIN}/inner:/nowhere"],
        "lost": [],
    }.items():
        made[name] = compiled(folder, f"lib{name}", text, *options, *more, plain=True)
    return made


class TestRead:
    def test_what_it_needs(self, files):
        found = linking.read(str(files["runpath"]))
        assert "libdeep.so" in found.needed
        assert found.runpath == (str(files["deep"].parent),)
        assert found.rpath == ()
        assert found.init is False

    def test_the_older_tag(self, files):
        found = linking.read(str(files["rpath"]))
        assert (found.rpath, found.runpath) == ((str(files["deep"].parent), "/nowhere"), ())

    def test_versions_of_symbols(self, tmp_path):
        """As ``readelf`` has them."""
        readelf = shutil.which("readelf")
        if readelf is None:
            pytest.skip("there is no readelf")
        file = compiled(tmp_path, "libx", '#include <stdio.h>\nint x(void) { return printf("%d", 1); }', plain=True)
        said = subprocess.run([readelf, "-V", file], capture_output=True, text=True, check=True).stdout
        versions = re.findall(r"Name: GLIBC_([\d.]+)", said)
        assert linking.read(str(file)).needs.get("GLIBC") == (max(versions, key=numbers) if versions else None)

    def test_what_libc_provides(self):
        here = linking.read(sys.executable)
        libc = resolve("libc.so.6", here)
        assert libc
        provided = linking.read(libc).provides["GLIBC"]
        said = subprocess.run(["ldd", "--version"], capture_output=True, text=True, check=False).stdout
        assert provided in said

    @pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF" + b"\x02\x01\x01" + b"\xff" * 200, b"hello" * 100])
    def test_no_such_file(self, tmp_path, content):
        (tmp_path / "x.so").write_bytes(content)
        with pytest.raises(UnreadableError):
            linking.read(str(tmp_path / "x.so"))

    def test_every_cut_of_a_real_one_is_an_error_or_readable(self, tmp_path, files):
        data = files["runpath"].read_bytes()
        said = set()
        for size in range(0, len(data), max(1, len(data) // 60)):
            (tmp_path / "cut.so").write_bytes(data[:size])
            try:
                linking.read(str(tmp_path / "cut.so"))
            except UnreadableError as error:
                said.add(str(error))
        assert said
        assert "" not in said

    def test_there_is_none(self, tmp_path):
        with pytest.raises(UnreadableError, match="No such file"):
            linking.read(str(tmp_path / "x.so"))


class TestResolve:
    @pytest.mark.parametrize("name", ["runpath", "rpath", "lost"])
    def test_takes_what_the_linker_takes(self, files, name, monkeypatch):
        """``ldd`` asks the real one."""
        monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
        said = subprocess.run(["ldd", files[name]], capture_output=True, text=True, check=False).stdout
        theirs = dict(re.findall(r"^\s*(\S+) => (\S+)", said, re.MULTILINE))
        found = linking.read(str(files[name]))
        for library in found.needed:
            expected = theirs[library] if theirs[library].startswith("/") else ""
            assert resolve(library, found) == expected

    def test_the_environment_comes_before_a_runpath_and_after_an_rpath(self, files, tmp_path, monkeypatch):
        other = tmp_path / "libdeep.so"
        shutil.copy(files["deep"], other)
        monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
        assert resolve("libdeep.so", linking.read(str(files["runpath"]))) == str(other)
        assert resolve("libdeep.so", linking.read(str(files["rpath"]))) == str(files["deep"])
        assert resolve("libdeep.so", linking.read(str(files["lost"]))) == str(other)

    def test_a_library_for_another_processor_is_passed_over(self, files):
        found = linking.read(str(files["runpath"]))
        other = Linking("EM_AARCH64", found.needed, (), found.runpath, {}, {}, False)
        assert resolve("libdeep.so", other) == ""

    def test_a_path_is_a_path(self, files):
        found = linking.read(str(files["lost"]))
        assert resolve(str(files["deep"]), found) == str(files["deep"])
        assert resolve("/no/such.so", found) == ""


@pytest.mark.parametrize(("one", "other"), [("2.9", "2.17"), ("3.4", "3.4.21"), ("1.3.9", "1.3.13")])
def test_versions_are_numbers(one, other):
    assert numbers(one) < numbers(other)

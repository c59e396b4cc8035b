"""``ftcheck build`` and ``pytest --ftcheck-built``, as a user runs them; without a network."""

import json
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import time
from pathlib import Path

import pytest

from ftcheck import cli
from ftcheck.native import build, toolchain
from ftcheck.native.command import CompilerError
from tests.native.test_build_projects import PROJECTS, accessed, environment, line_of_the_race, output_of_its_test, run

try:
    toolchain.standin()
except CompilerError as error:
    pytest.skip(str(error), allow_module_level=True)

COMMAND = str(Path(sysconfig.get_path("scripts")) / "ftcheck")
OFFLINE = ("--", "--no-build-isolation", "--no-index")
NAME = f"racy_setuptools-1.0-{sysconfig.get_config_var('SOABI')}"


@pytest.fixture
def project(tmp_path):
    """A copy of the setuptools project."""
    return Path(shutil.copytree(PROJECTS / "setuptools", tmp_path / "project"))


def builds(folder):
    """What there is afterwards: no traces of what was not finished."""
    return sorted(entry.name for entry in (folder / ".ftcheck" / "build").iterdir() if entry.name != ".cache")


def sdist(project, folder):
    folder.mkdir()
    (project / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: racy-setuptools\nVersion: 1.0\n")
    with tarfile.open(folder / "racy_setuptools-1.0.tar.gz", "w:gz") as archive:
        archive.add(project, "racy_setuptools-1.0")
    return folder / "racy_setuptools-1.0.tar.gz"


def source_lines(library):
    """The files that its lines name."""
    said = subprocess.run(["readelf", "--debug-dump=info", library], capture_output=True, text=True, check=True).stdout
    return {name.strip() for name in re.findall(r"DW_AT_comp_dir.*\): (.*)", said)}


def test_a_source_tree(project):
    """What lies about in it is neither used nor touched; and what was built is what is tested, wherever pytest looks."""
    stale = project / "racy_setuptools.cpython-314t-x86_64-linux-gnu.so"
    stale.write_text("not one")
    (project / "build" / "lib").mkdir(parents=True)
    (project / "conftest.py").touch()
    before = {file: file.read_bytes() for file in project.rglob("*") if file.is_file()}
    done = run(COMMAND, "build", ".", *OFFLINE, cwd=project)
    assert done.returncode == 0, done.stdout
    assert {
        file: file.read_bytes() for file in project.rglob("*") if file.is_file() and ".ftcheck" not in file.parts
    } == before
    assert builds(project) == [NAME]
    assert "1 extension module is instrumented" in done.stdout
    assert (project / ".ftcheck" / ".gitignore").read_text() == "*\n"
    made = project / ".ftcheck" / "build" / NAME
    facts = json.loads((made / ".ftcheck" / "built.json").read_text())
    assert (facts["name"], facts["version"], facts["plain"]) == ("racy_setuptools", "1.0", [])
    assert source_lines(made / facts["instrumented"][0]) == {str(project)}

    [option] = re.findall(r"pytest --ftcheck (--ftcheck-built=\S+)", done.stdout)
    said = output_of_its_test(project, option)
    assert "ftcheck: built: racy_setuptools 1.0, 1 instrumented module, from" in said
    assert len(accessed(said)) >= 2, said
    assert {*accessed(said)} == {("racy_setuptools.c", str(line_of_the_race("setuptools")))}, said
    assert "total++; /* RACE */" in said  # the text of the line, from the user's own tree
    assert "WARNING" not in said


def test_a_requirement_keeps_its_source(project, tmp_path):
    archive = sdist(project, tmp_path / "index")
    into = tmp_path / "a b" / "made"
    words = (COMMAND, "build", "racy-setuptools==1.0", "--into", str(into), *OFFLINE, f"--find-links={archive.parent}")
    for _ in range(2):  # what it has made it makes again
        done = run(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stdout
    assert [entry.name for entry in into.parent.iterdir()] == ["made"]
    assert not (tmp_path / ".ftcheck").exists()
    [library] = into.glob("*.so")
    assert source_lines(library) == {str(into / ".ftcheck" / "source")}
    assert (into / ".ftcheck" / "source" / "racy_setuptools.c").exists()
    assert b"ftcheck-c" in (into / ".ftcheck" / "build.log").read_bytes()


def test_a_build_that_fails_says_why_and_where_the_log_is(project):
    source = project / "racy_setuptools.c"
    source.write_text(source.read_text().replace("total++;", "totl++;"))
    done = run(COMMAND, "build", ".", *OFFLINE, cwd=project)
    assert done.returncode == 3
    assert "could not be built" in done.stdout
    assert re.search(r"error: .*totl", done.stdout), done.stdout
    [log] = re.findall(r"The whole log: (\S+)", done.stdout)
    assert "totl" in (project / log).read_text()
    assert builds(project) == ["project.log"]


def test_a_project_of_pure_python(project):
    (project / "pyproject.toml").write_text(
        '[project]\nname = "pure"\nversion = "1"\n[tool.setuptools]\npy-modules = ["pure"]\n'
    )
    (project / "pure.py").touch()
    done = run(COMMAND, "build", ".", *OFFLINE, cwd=project)
    assert done.returncode == 3
    assert "pure 1 came out as pure Python: there is no extension module to look into" in done.stdout


def test_a_library_that_came_with_the_source_is_named(project):
    configuration = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(configuration + 'packages = ["extra"]\npackage-data = { extra = ["*.so"] }\n')
    (project / "extra").mkdir()
    (project / "extra" / "__init__.py").touch()
    (project / "extra" / "libold.so").write_bytes(b"\x7fELF")
    done = run(COMMAND, "build", ".", *OFFLINE, cwd=project)
    assert done.returncode == 1
    assert "warning: not instrumented, so their memory accesses are not seen: extra/libold.so" in done.stdout


def test_an_index_without_a_source(tmp_path):
    done = run(COMMAND, "build", "no-such-project", *OFFLINE, f"--find-links={tmp_path}", cwd=tmp_path)
    assert done.returncode == 3
    assert "the index has no source distribution of no-such-project" in done.stdout
    assert builds(tmp_path) == ["no-such-project.log"]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_leaves_nothing(project, sent):
    (project / "setup.py").write_text(
        f"import os, time\nopen({str(project / 'begun')!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    running = subprocess.Popen(
        [COMMAND, "build", ".", *OFFLINE], cwd=project, env=environment(), stderr=subprocess.PIPE, text=True
    )
    while not ((project / "begun").exists() and (project / "begun").read_text()) and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(sent)
    _, said = running.communicate()
    assert (running.returncode, said.splitlines()[-1]) == (130, "ftcheck build: stopped; nothing is left of it")
    assert builds(project) == []
    child = Path("/proc") / (project / "begun").read_text()
    while child.exists() and "Z" not in (child / "stat").read_text().rpartition(")")[2][:3]:  # it was killed, and ends
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no/such/place"], "there is no no/such/place"),
        (["tests"], "tests is no project: it has neither pyproject.toml nor setup.py"),
        (["a wrong one"], "'a wrong one' is neither a path nor a requirement"),
        (["a-1-py3-none-any.whl"], "is built already: name a source distribution"),
        ([".", "--into", "tests"], "`ftcheck build` has not made it"),
    ],
)
def test_wrong_usage(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "file").touch()
    (tmp_path / "a-1-py3-none-any.whl").touch()
    assert cli.main(["build", *words]) == 2
    assert said in capsys.readouterr().err


def test_no_compiler(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["build", ".", "--compiler", "gcc-of-1970"]) == 3
    assert "there is no gcc-of-1970, which FTCHECK_CC names: install a compiler" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_no_pip(monkeypatch):
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(build.BuildError, match=r"pip is not there, .* -m ensurepip"):
        build.build(".")


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        cli.main(["build", "--help"])
    said = capsys.readouterr().out
    for words in ("ftcheck build .", "--ftcheck-built=", "CC=ftcheck-cc CXX=ftcheck-c++ pip install --no-cache-dir"):
        assert words in said


def test_options_for_pip_belong_to_build_only(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor", "--", "-v"])
    assert ended.value.code == 2


# -- pytest --ftcheck-built --------------------------------------------------------------------------------------------


@pytest.fixture
def made(tmp_path):
    """What looks like a build of a package and a part of a namespace."""
    folder = tmp_path / "made"
    for file, content in (
        (".ftcheck/built.json", json.dumps({"name": "thing", "version": "1", "instrumented": ["thing/_c.py"], "plain": []})),
        ("thing/__init__.py", "from thing import _c"),
        ("thing/_c.py", "HERE = True"),
        ("shared/inner.py", ""),
        ("thing-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1\n"),
    ):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(content)
    return folder


@pytest.mark.parametrize("isolated", [["--ftcheck"], ["--ftcheck", "--ftcheck-isolate=no"], []])
def test_what_was_built_wins(made, tmp_path, isolated):
    tests = tmp_path / "tests"
    for file, content in (
        ("conftest.py", ""),
        ("thing/__init__.py", "raise RuntimeError('the wrong one')"),
        ("shared/outer.py", ""),
        (
            "test_it.py",
            "import subprocess, sys, importlib.metadata\n"
            "import shared.inner, shared.outer, thing\n"
            "def test_it():\n"
            "    assert thing._c.HERE and importlib.metadata.version('thing') == '1'\n"
            "    subprocess.run([sys.executable, '-P', '-c', 'import thing._c'], check=True)\n",
        ),
    ):
        (tests / file).parent.mkdir(parents=True, exist_ok=True)
        (tests / file).write_text(content)
    words = ["--ftcheck-rounds=1", "-p", "no:cacheprovider", f"--ftcheck-built={made}", *isolated]
    done = run(sys.executable, "-m", "pytest", *words, cwd=tests)
    assert done.returncode == 0, done.stdout
    assert "ftcheck: built: thing 1, 1 instrumented module, from" in done.stdout
    assert "was imported" not in done.stdout


@pytest.mark.parametrize("isolated", [["--ftcheck"], []])
def test_if_nothing_of_it_was_imported_that_is_said(made, tmp_path, isolated):
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n")
    words = ["--ftcheck-rounds=1", "-p", "no:cacheprovider", f"--ftcheck-built={made}", "test_it.py", *isolated]
    done = run(sys.executable, "-m", "pytest", *words, cwd=tmp_path)
    assert f"WARNING: no instrumented module of {made} was imported: these tests have not run it" in done.stdout, done.stdout


def test_a_folder_that_is_no_build(tmp_path):
    done = run(sys.executable, "-m", "pytest", f"--ftcheck-built={tmp_path}", cwd=tmp_path)
    assert done.returncode == 4
    assert "`ftcheck build` has made nothing there" in done.stdout


def test_what_a_plugin_has_imported_before(made, tmp_path):
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "thing.py").touch()
    words = ["-p", "thing", f"--ftcheck-built={made}"]
    done = run(sys.executable, "-m", "pytest", *words, cwd=tmp_path, PYTHONPATH=str(tmp_path / "early"))
    assert done.returncode == 4
    assert f"thing was imported from {tmp_path / 'early' / 'thing.py'} before" in done.stdout

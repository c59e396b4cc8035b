"""ftcheck-cc and ftcheck-c++, run: what comes out of them, with each compiler that there is."""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from ftcheck.native import compiler

try:
    compiler.standin()
except compiler.CompilerError as error:
    pytest.skip(str(error), allow_module_level=True)

SCRIPTS = Path(sysconfig.get_path("scripts"))
PAIRS = [pair for pair in (("gcc", "g++"), ("clang", "clang++")) if shutil.which(pair[0]) and shutil.which(pair[1])]
C = "#include <string.h>\nint n;\nvoid up(void) { n++; }\nvoid copy(char *a, char *b, int s) { memcpy(a, b, s); }\n"
OTHER = "int m;\nvoid down(void) { m--; }\n"
CXX = "#include <vector>\nint sum(std::vector<int> *all) { int s = 0; for (int x : *all) s += x; return s; }\n"
ASSEMBLER = ".globl marked\n.data\nmarked: .long 7\n.section .note.GNU-stack\n"


class Tools:
    """A folder with sources, and the two commands as a build system runs them."""

    def __init__(self, folder, pair):
        self.folder, self.pair = folder, pair
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "FTCHECK_CC_INSIDE"},
            "FTCHECK_CC": pair[0],
            "FTCHECK_CXX": pair[1],
            "PATH": os.pathsep.join((str(SCRIPTS), os.environ["PATH"])),
        }
        for name, text in (("a.c", C), ("b.c", OTHER), ("c.cpp", CXX), ("s.S", ASSEMBLER)):
            (folder / name).write_text(text)

    def run(self, line, *, fails=False, name="ftcheck-cc", stdin=None, **environment):
        done = subprocess.run(
            [name, *line.split()],
            cwd=self.folder,
            env={**self.environment, **environment},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done

    def cc(self, line, **more):
        return self.run(line, **more)

    def cxx(self, line, **more):
        return self.run(line, name="ftcheck-c++", **more)

    def read(self, *command):
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True).stdout

    def needed(self, file):
        return re.findall(r"NEEDED.*\[(.*)\]", self.read("readelf", "-dW", file))

    def imports(self, file):
        return set(re.findall(r"(?m)^ +[Uw] ([^@\s]+)", self.read("nm", "-D", file)))

    def is_instrumented(self, file):
        """It calls us before accesses, has our library, and TSan's runtime is not there."""
        needed, imports = self.needed(file), self.imports(file)
        assert not any("tsan" in name for name in needed), needed
        assert not any("tsan" in name and not name.startswith("__tsan_") for name in imports), imports
        both = ("__tsan_init" in imports, compiler.standin() in needed)
        assert both in ((True, True), (False, False)), (needed, imports)
        return all(both)


@pytest.fixture(params=PAIRS, ids=lambda pair: pair[0])
def tools(request, tmp_path):
    return Tools(tmp_path, request.param)


@pytest.mark.parametrize(
    "options",
    [
        "",
        "-O2 -fno-plt",
        "-O3 -flto",
        "-O2 -D_FORTIFY_SOURCE=2",
        "-O2 -Wp,-D_FORTIFY_SOURCE=2",
        "-fsanitize=thread",
        "-O2 -Wl,--as-needed,-O1 -Wl,--no-undefined",
        "-O1 -Wall -Wextra -Werror",
        "-O2 -s",
    ],
)
def test_in_one_step_and_in_two(tools, options):
    flags = f"-fPIC {options}"
    tools.cc(f"{flags} -shared a.c b.c s.S -o one.so -lm")
    for name in ("a.c", "b.c"):
        tools.cc(f"{flags} -c {name}".replace("-Wl,--as-needed,-O1 -Wl,--no-undefined", "").replace(" -s ", " "))
    tools.cc(f"{flags} -shared a.o b.o -o two.so -lm")
    for file in ("one.so", "two.so"):
        assert tools.is_instrumented(file)
        imports = tools.imports(file)
        assert "memcpy" in imports
        assert "__memcpy_chk" not in imports
        assert any(re.fullmatch(r"__tsan_(read|write|read_write)4", name) for name in imports), imports
        assert "a.c" in tools.read("addr2line", "-e", file, _address(tools, file, "up"))
    assert "marked" in tools.read("nm", "one.so")


def _address(tools, file, symbol):
    return next(line.split()[0] for line in tools.read("nm", file).splitlines() if line.endswith(f" T {symbol}"))


def test_cxx(tools):
    assert tools.cxx("-O0 -fPIC -shared c.cpp a.c -o c.so").stderr == "" or tools.pair[0] == "clang"
    assert tools.is_instrumented("c.so")


def test_code_without_accesses_needs_nothing(tools):
    tools.cc("-x assembler -shared s.S -o s.so")
    assert not tools.is_instrumented("s.so")


def test_static_libraries(tools):
    tools.cc("-fPIC -c a.c")
    tools.read("ar", "rcs", "liba.a", "a.o")
    tools.cc("-shared -Wl,--whole-archive -L. -la -Wl,--no-whole-archive -o byname.so")
    tools.cc("-fPIC -shared b.c -Wl,--whole-archive liba.a -Wl,--no-whole-archive -o bypath.so")
    assert tools.is_instrumented("byname.so")
    assert tools.is_instrumented("bypath.so")
    tools.cc("-r -nostdlib a.o -o r.o")
    assert "NEEDED" not in tools.read("readelf", "-d", "r.o")


def test_a_program_runs_and_says_nothing(tools):
    (tools.folder / "main.c").write_text(
        '#include <stdio.h>\nint n;\nint main(void) { n++; printf("%d\\n", n); return n + 2; }'
    )
    tools.cc("main.c -o main")
    done = subprocess.run([tools.folder / "main"], capture_output=True, text=True, env={"PATH": ""}, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "1\n", "")


def test_standard_input_and_response_files(tools):
    (tools.folder / "words").write_text("-shared -fPIC -x c '-DNAME=\"a b\"' - -o in.so\n")
    tools.cc("@words", stdin="const char *name = NAME; int n; void f(void) { n++; }")
    assert tools.is_instrumented("in.so")
    assert b"a b\0" in (tools.folder / "in.so").read_bytes()


def test_more_words_than_the_system_takes(tools):
    """A build system that uses a response file does so because there are so many."""
    tools.cc("-fPIC -c a.c")
    tools.read("ar", "rcs", "liba.a", "a.o")
    (tools.folder / "words").write_text("./././././././liba.a\n" * 30_000 + "-shared -fPIC b.c a.o")
    tools.cc("@words -o many.so")
    assert tools.is_instrumented("many.so")


@pytest.mark.parametrize(
    "line",
    ["-MD a.c -fPIC -shared -o one.so", "-MMD -MF other.d a.c -shared -fPIC -o one.so", "-MD -MT goal a.c -fPIC -shared"],
)
def test_files_for_make_are_those_of_the_plain_compiler(tools, line):
    def made():
        found = {file.name: file.read_text() for file in tools.folder.glob("*.d")}
        for name in found:
            (tools.folder / name).unlink()
        return found

    tools.read(tools.pair[0], *line.split())
    expected = made()
    tools.cc(line)
    assert made() == expected
    assert expected


def test_questions_are_answered_by_the_compiler(tools):
    for question in ("--version", "-dumpmachine", "-print-file-name=libc.so", "-print-search-dirs"):
        assert tools.cc(question).stdout == tools.read(tools.pair[0], question)
    assert "COLLECT_GCC" in tools.cc("-v -c a.c").stderr or "clang" in tools.pair[0]
    macros = tools.cc("-O2 -D_FORTIFY_SOURCE=2 -E -dM -x c -", stdin="").stdout
    assert "_FORTIFY_SOURCE" not in macros
    assert "#define __STDC__ 1" in macros
    assert "a.c" in tools.cc("-M a.c").stdout


def test_a_compiler_command_with_options(tools):
    tools.cc("-shared -fPIC a.c -o opts.so", FTCHECK_CC=f"{tools.pair[0]} -DX")
    assert tools.is_instrumented("opts.so")


@pytest.mark.parametrize("line", ["-c wrong.c", "wrong.c -o wrong"])
def test_errors_are_the_compilers_own(tools, line):
    (tools.folder / "wrong.c").write_text("int f( {")
    plain = subprocess.run([tools.pair[0], *line.split()], cwd=tools.folder, capture_output=True, text=True, check=False)
    done = tools.cc(line, fails=True)
    assert done.returncode == plain.returncode
    assert done.stderr == plain.stderr
    assert not list(tools.folder.glob("wrong.o"))


def test_what_is_in_no_package_can_be_loaded_from_anywhere(tools):
    tools.cc("-shared -fPIC a.c -o lib.so")
    program = f"import ctypes; ctypes.CDLL({str(tools.folder / 'lib.so')!r}).up(); print('up')"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd="/",
        capture_output=True,
        text=True,
        env={"PYTEST_VERSION": "9"},
        check=False,
    )
    assert (done.stdout, done.stderr) == ("up\n", "")


def _scripted(tools, text):
    script = tools.folder / "mycc"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    return str(script)


def test_a_killed_compiler_is_no_success(tools):
    mine = _scripted(tools, "kill -KILL $$")
    assert tools.cc("-c a.c", fails=True, FTCHECK_CC=mine).returncode == -signal.SIGKILL
    done = tools.cc("a.c -o a", fails=True, FTCHECK_CC=mine)
    assert done.returncode == 128 + signal.SIGKILL
    assert "mycc was ended by SIGKILL" in done.stderr


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, 128 + signal.SIGINT)])
def test_it_can_be_stopped_and_leaves_nothing(tools, sent, status):
    mine = _scripted(tools, 'test "$1" = --version && exit 0\necho begun >begun\nexec sleep 60')
    temporary = tools.folder / "tmp"
    temporary.mkdir()
    environment = {**tools.environment, "FTCHECK_CC": mine, "TMPDIR": str(temporary)}
    running = subprocess.Popen(["ftcheck-cc", "a.c"], cwd=tools.folder, env=environment, process_group=0)
    while not (tools.folder / "begun").exists() and running.poll() is None:
        time.sleep(0.01)
    os.killpg(running.pid, sent) if sent == signal.SIGINT else running.terminate()
    assert running.wait() == status
    assert list(temporary.iterdir()) == []


def test_a_call_of_itself_ends_at_once(tools):
    done = tools.cc("-c a.c", fails=True, FTCHECK_CC=_scripted(tools, 'exec ftcheck-cc "$@"'))
    assert (done.returncode, "leads back to ftcheck-cc" in done.stderr) == (2, True)


def test_ccache_can_run_it(tools):
    if shutil.which("ccache") is None:
        pytest.skip("ccache is not there")
    for _ in range(2):
        tools.run("ftcheck-cc -fPIC -c a.c -o a.o", name="ccache", CCACHE_DIR=str(tools.folder / "cache"))
        tools.cc("-shared a.o -o a.so")
        assert tools.is_instrumented("a.so")
        (tools.folder / "a.o").unlink()


def test_an_environment_that_hides_the_package(tools):
    """pip isolates a build with a sitecustomize that takes the installed packages away."""
    (tools.folder / "sitecustomize.py").write_text(
        "import sys\nsys.path[:] = [p for p in sys.path if 'site-packages' not in p]\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in str(f)]\nsys.modules.pop('ftcheck', None)\n"
        f"sys.path[:] = [p for p in sys.path if p != {str(Path(compiler.__file__).parents[2])!r}]\n"
    )
    tools.cc("-shared -fPIC a.c -o a.so", PYTHONPATH=str(tools.folder))
    assert tools.is_instrumented("a.so")


def test_cython_code_names_its_own_lines(tools):
    """Without --line-directives; and the file for make names what there is."""
    (tools.folder / "pkg").mkdir()
    (tools.folder / "pkg" / "one.pyx").write_text("cdef int n\n\ndef up():\n    global n\n    n += 1\n    return n\n")
    tools.read(sys.executable, "-m", "cython", "-3", "pkg/one.pyx")
    include = sysconfig.get_path("include")
    tools.cc(f"-O0 -fPIC -I{include} -MD -c pkg/one.c -o out.o")
    assert "pkg/one.c" in (tools.folder / "out.d").read_text()
    assert "ftcheck-cc" not in (tools.folder / "out.d").read_text()
    tools.cc(f"-O0 -fPIC -I{include} -shared pkg/one.c -o one.so")
    tools.cc("-shared out.o -o two.so")
    for file in ("one.so", "two.so"):
        assert tools.is_instrumented(file)
        lines = tools.read("readelf", "--debug-dump=decodedline", file)
        assert set(re.findall(r"one\.pyx\s+(\d+)", lines)) >= {"3", "5", "6"}

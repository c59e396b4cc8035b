"""command.py and compiler.py: what a command line asks for, and what is run instead."""

import pytest

from ftcheck.native import compiler, pyx_lines
from ftcheck.native.command import CompilerError, response_file, understand

STANDIN = "/lib/_standin.so"


def planned(line, *, clang=False):
    return compiler.plan(understand(line.split()), ["/usr/bin/cc"], clang, "/tmp/o", STANDIN)


def plain(line):
    """The commands without the compiler, and without what is always the same."""
    fixed = {*compiler.INSTRUMENT, *compiler.GCC_ONLY}
    return [" ".join(word for word in one[1:] if word not in fixed) for one in planned(line)]


LINK = f"-Wl,--push-state,-Bdynamic,--as-needed {STANDIN} -Wl,--pop-state -Wl,-z,now"


@pytest.mark.parametrize(
    ("line", "stage"),
    [
        ("", "asks"),
        ("--version", "asks"),
        ("-v", "asks"),
        ("-print-search-dirs", "asks"),
        ("-Wl,--version", "asks"),
        ("-dumpmachine a.c", "asks"),
        ("-E a.c", "preprocesses"),
        ("-M -c a.c", "preprocesses"),
        ("-fsyntax-only a.c", "preprocesses"),
        ("-E -dM -x c -", "preprocesses"),
        ("-c a.c", "compiles"),
        ("-S a.c -o -", "compiles"),
        ("a.h", "compiles"),
        ("-x c++-header all.inc -o all.gch", "compiles"),
        ("a.c", "links"),
        ("a.o -o a", "links"),
        ("-shared -Wl,--whole-archive -lmine -o a.so", "links"),
        ("-o a.c", "asks"),
        ("-include a.c", "asks"),
    ],
)
def test_how_far_it_goes(line, stage):
    assert understand(line.split()).stage == stage


@pytest.mark.parametrize(
    "line",
    [
        "--version",
        "-v",
        "-print-file-name=libc.so",
        "-Wl,--version",
        "-c a.s",
        "-c a.S -o a.o",
        "-x assembler -c -",
        "-E a.S",
    ],
)
def test_what_has_no_accesses_passes_through(line):
    assert planned(line) == [["/usr/bin/cc", *line.split()]]


@pytest.mark.parametrize(
    "line", ["-c a.c", "-c a.cpp -o b.o", "-S a.C", "-x c -c -", "-xc++ -c list.inc", "-c a.i", "a.hpp"]
)
def test_what_is_compiled_is_instrumented(line):
    assert planned(line) == [["/usr/bin/cc", *line.split(), *compiler.INSTRUMENT, *compiler.GCC_ONLY]]
    assert planned(line, clang=True) == [["/usr/bin/cc", *line.split(), *compiler.INSTRUMENT, *compiler.CLANG_ONLY]]


def test_what_is_preprocessed_has_the_same_macros():
    assert planned("-E -DX a.c") == [["/usr/bin/cc", "-E", "-DX", "a.c", *compiler.PREPROCESS]]


def test_the_library_is_the_last_of_what_is_linked():
    assert plain("-shared a.o -Wl,--as-needed -lm -o a.so") == [f"-shared a.o -Wl,--as-needed -lm -o a.so {LINK}"]


def test_objects_become_one_object_without_it():
    assert plain("-r a.o b.o -o c.o") == ["-r a.o b.o -o c.o"]
    assert plain("-Wl,-r -nostdlib a.o -o c.o") == ["-Wl,-r -nostdlib a.o -o c.o"]


def test_one_step_is_taken_apart():
    assert plain("-O2 -Iinc -DN=1 a.c lib.a b.cpp -shared -Wl,-O1 -L lib -lm -o out.so") == [
        "-O2 -Iinc -DN=1 -shared -c a.c -o /tmp/o/3-a.o",
        "-O2 -Iinc -DN=1 -shared -c b.cpp -o /tmp/o/5-b.o",
        f"-O2 -Iinc -DN=1 /tmp/o/3-a.o lib.a /tmp/o/5-b.o -shared -Wl,-O1 -L lib -lm -o out.so {LINK}",
    ]


def test_two_sources_of_one_name_are_two_objects():
    first, second, _ = plain("x/a.c y/a.c")
    assert first.split()[-1] != second.split()[-1]


def test_assembler_code_stays_in_the_command_that_links():
    assert plain("a.c b.S -o x") == ["-c a.c -o /tmp/o/0-a.o", f"/tmp/o/0-a.o b.S -o x {LINK}"]


def test_a_language_holds_for_what_follows_until_the_next():
    line = "-x c a.inc -x assembler-with-cpp b.inc -x none c.o d.c"
    assert plain(line) == [
        "-x c -c a.inc -o /tmp/o/1-a.o",
        "-c d.c -o /tmp/o/6-d.o",
        f"/tmp/o/1-a.o -x assembler-with-cpp b.inc -x none c.o /tmp/o/6-d.o {LINK}",
    ]


def test_standard_input():
    assert plain("-xc - -o x") == ["-x c -c - -o /tmp/o/1-stdin.o", f"/tmp/o/1-stdin.o -o x {LINK}"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-MD a.c -o out/prog.so", "-MF out/prog.d -MQ out/prog.so"),
        ("-MMD a.c", "-MF a.d -MQ a.o"),
        ("-MD -MF x.d a.c -o p", "-MQ p"),
        ("-MD -MFx.d -MTt a.c -o p", ""),
        ("a.c -o p", ""),
    ],
)
def test_the_file_for_make_is_called_as_the_compiler_would(line, said):
    compiled = planned(line)[0]
    after = compiled[compiled.index("-o") + 2 :]
    assert " ".join(word for word in after if word not in (*compiler.INSTRUMENT, *compiler.GCC_ONLY)) == said


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("-fsanitize=thread", ""),
        ("-fsanitize=undefined,thread -static-libtsan", "-fsanitize=undefined"),
        ("-Wp,-D_FORTIFY_SOURCE=3,-DX -Wp,-D_FORTIFY_SOURCE=2", "-Wp,-DX"),
        ("-s -Wl,-s -Wl,-O1,--strip-all", "-Wl,-O1"),
        ("-ltsan -l tsan", ""),
        ("-fwhole-program-vtables -gsplit-dwarf", ""),
    ],
)
def test_what_contradicts_is_left_out(typed, left):
    assert understand(f"-c a.c {typed}".split()).words == ["-c", "a.c", *left.split()]


@pytest.mark.parametrize("name", ["address", "memory", "leak", "cfi-icall", "undefined,address"])
def test_another_sanitizer_is_refused_with_what_to_do(name):
    with pytest.raises(CompilerError, match=r"leave -fsanitize=.* out of this build"):
        understand(["-c", "a.c", f"-fsanitize={name}"])


@pytest.mark.parametrize(("line", "what"), [("-m32 -c a.c", "-m32"), ("-static a.c", "-static")])
def test_what_cannot_work_is_refused(line, what):
    with pytest.raises(CompilerError, match=f"leave {what} out"):
        understand(line.split())


# -- response files ----------------------------------------------------------------------------------------------------


def test_a_response_file_is_looked_into(tmp_path):
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    inner.write_text("-fsanitize=thread 'b c.c'\n")
    outer.write_text(f'-shared -DNAME=\\"x\\" "a\\"b.o" "" @{inner}\n  -o out.so')
    command = understand([f"@{outer}"])
    assert command.words == ["-shared", '-DNAME="x"', 'a"b.o', "", "b c.c", "-o", "out.so"]
    assert [piece.words for piece in command.pieces if piece.kind == "source"] == [("b c.c",)]


def test_a_response_file_that_is_not_there_is_the_name_of_an_input():
    assert understand(["@/no/such", "-o", "x"]).words == ["@/no/such", "-o", "x"]


def test_a_response_file_that_names_itself_ends(tmp_path):
    file = tmp_path / "loop"
    file.write_text(f"a.o @{file}")
    assert understand([f"@{file}"]).words[:2] == ["a.o", "a.o"]


def test_response_files_round_trip(tmp_path):
    words = ['-DA="b c"', "it's", "back\\slash", "", "new\nline", "-o", "x y.so"]
    file = tmp_path / "words"
    file.write_text(response_file(words))
    assert understand([f"@{file}"]).words == words


# -- the compiler to run -----------------------------------------------------------------------------------------------


@pytest.fixture
def no_choice(monkeypatch):
    for name in ("FTCHECK_CC", "FTCHECK_CXX", "FTCHECK_CC_INSIDE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def path_with(tmp_path, monkeypatch, no_choice):
    def make(*names):
        for name in names:
            (tmp_path / name).write_text("#!/bin/sh\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        return tmp_path

    return make


def test_the_first_that_there_is(path_with):
    folder = path_with("clang", "cc")
    assert compiler.real_compiler("ftcheck-cc", "FTCHECK_CC", ("gcc", "clang", "cc")) == [str(folder / "clang")]


def test_several_words(path_with, monkeypatch):
    folder = path_with("ccache", "gcc")
    monkeypatch.setenv("FTCHECK_CC", "ccache gcc")
    assert compiler.real_compiler("ftcheck-cc", "FTCHECK_CC", ("gcc",)) == [str(folder / "ccache"), "gcc"]


@pytest.mark.parametrize(
    ("c", "cxx"), [("clang-19", "clang++-19"), ("gcc-12", "g++-12"), ("x86_64-linux-gnu-gcc", "x86_64-linux-gnu-g++")]
)
def test_the_cxx_compiler_that_belongs_to_it(path_with, monkeypatch, c, cxx):
    folder = path_with("g++", cxx)
    monkeypatch.setenv("FTCHECK_CC", c)
    assert compiler.real_compiler("ftcheck-c++", "FTCHECK_CXX", ("g++",)) == [str(folder / cxx)]


def test_none_says_what_to_install(path_with):
    path_with()
    with pytest.raises(CompilerError, match=r"there is none of gcc, clang: install a compiler .* or set FTCHECK_CC"):
        compiler.real_compiler("ftcheck-cc", "FTCHECK_CC", ("gcc", "clang"))


def test_a_wrong_one_is_named(path_with, monkeypatch):
    path_with("gcc")
    monkeypatch.setenv("FTCHECK_CC", "gcc-99")
    with pytest.raises(CompilerError, match="there is no gcc-99, which FTCHECK_CC names"):
        compiler.real_compiler("ftcheck-cc", "FTCHECK_CC", ("gcc",))


@pytest.mark.parametrize("value", ["ftcheck-cc", "/x/bin/ftcheck-c++", "ccache ftcheck-cc"])
def test_itself_is_refused(no_choice, monkeypatch, value):
    monkeypatch.setenv("FTCHECK_CC", value)
    with pytest.raises(CompilerError, match="leads back to ftcheck-cc: set FTCHECK_CC to a real compiler"):
        compiler.real_compiler("ftcheck-cc", "FTCHECK_CC", ("gcc",))


def test_a_platform_without_support_is_said(monkeypatch, capsys):
    monkeypatch.setattr(compiler.os.path, "exists", lambda path: False)
    assert compiler.run("ftcheck-cc", "FTCHECK_CC", ("gcc",), ["-c", "a.c"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("ftcheck-cc: not supported here (")
    assert "Linux with glibc, on x86-64 and aarch64" in said


# -- Cython's lines ----------------------------------------------------------------------------------------------------

MADE = """\
/* Generated by Cython 3.3.1 */
#define A \\
  1
  /* "pkg/a.pyx":7
 *     x += 1             # <<<<<<<<<<<<<<
*/
static int f(void) {
  x = A +

    1;
  /* "pkg/a.pyx":9
 * }
 */
  return x;
}
int g;
"""


def test_each_line_of_code_says_which_line_of_cython_it_is():
    assert (
        pyx_lines.with_lines(MADE, "out/a.c")
        == """\
#line 1 "out/a.c"
/* Generated by Cython 3.3.1 */
#define A \\
  1
  /* "pkg/a.pyx":7
 *     x += 1             # <<<<<<<<<<<<<<
*/
#line 7 "pkg/a.pyx"
static int f(void) {
#line 7 "pkg/a.pyx"
  x = A +

#line 7 "pkg/a.pyx"
    1;
  /* "pkg/a.pyx":9
 * }
 */
#line 9 "pkg/a.pyx"
  return x;
#line 9 "pkg/a.pyx"
}
#line 16 "out/a.c"
int g;
"""
    )


def test_what_says_its_lines_already_is_left_alone():
    assert pyx_lines.with_lines('#line 7 "pkg/a.pyx"\n' + MADE, "a.c") is None
    assert pyx_lines.with_lines("/* Generated by Cython 3.3.1 */\nint g;\n", "a.c") is None

"""Records the logs in this folder again: ``python record.py``. Needs gcc with libtsan, clang with its runtime, and llvm.

Each program of ``programs/`` is compiled by both compilers and run; NAME-COMPILER.log is what its ThreadSanitizer wrote. The
logs are real; only paths are replaced. Races depend on chance, so a program is run until it has reported something.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
COMPILERS = {"gcc": ("gcc", "g++"), "clang": ("clang", "clang++")}
MORE = {
    "order": "second_deadlock_stack=1",
    "threads": "suppress_equal_stacks=0:suppress_equal_addresses=0",
    "vptr": "color=always",
}
TRIES = 50


def anonymous(text, folder):
    python = Path(sys.executable).resolve()
    for path, name in ((folder, "/src"), (PROGRAMS, "/src"), (python.parents[1], "/opt/python"), (Path.home(), "/home/me")):
        text = text.replace(str(path), name)
    return text


def run(folder, command, options, **more):
    """What the runtime wrote."""
    for old in folder.glob("log.*"):
        old.unlink()
    environment = {**os.environ, "TSAN_OPTIONS": f"log_path={folder}/log:exitcode=0:{options}", **more}
    subprocess.run(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL, check=False, timeout=120)
    return "".join(path.read_text() for path in sorted(folder.glob("log.*")))


def until_something(folder, *arguments, wanted=("WARNING",), **more):
    for _ in range(TRIES):
        text = run(folder, *arguments, **more)
        if all(word in text for word in wanted):
            return text
    raise SystemExit(f"{arguments[0]} reported nothing in {TRIES} runs")


def record(folder, name, text):
    (HERE / f"{name}.log").write_text(anonymous(text, folder), encoding="utf-8")
    print(name, text.count("WARNING: "))


def programs(folder, compiler):
    for source in sorted(PROGRAMS.glob("*.c*")):
        if source.stem == "tsan_sample":
            continue
        if compiler == "clang" and source.stem == "threads":
            continue  # clang 14 does not see this one
        command = [COMPILERS[compiler][source.suffix == ".cc"], "-g", "-O0" if source.stem == "vptr" else "-O1", "-Wno-tsan"]
        command = [word for word in command if compiler == "gcc" or word != "-Wno-tsan"]
        subprocess.run([*command, "-fsanitize=thread", "-o", folder / source.stem, source, "-lpthread"], check=True)
        options = MORE.get(source.stem, "") if compiler == "gcc" or source.stem != "order" else ""
        record(folder, f"{source.stem}-{compiler}", until_something(folder, [folder / source.stem], options))


def two_processes(folder, compiler):
    """Both write to one pipe at the same time."""
    environment = {**os.environ, "TSAN_OPTIONS": "exitcode=0"}
    for _ in range(TRIES):
        reading, writing = os.pipe()
        both = [subprocess.Popen([folder / "race"], env=environment, stderr=writing) for _ in range(2)]
        os.close(writing)
        with os.fdopen(reading) as pipe:
            text = pipe.read()
        if (
            all(one.wait() == 0 for one in both)
            and text.count("WARNING") > 1
            and "SUMMARY" not in text.split("WARNING: ")[1]
        ):
            record(folder, f"mixed-{compiler}", text)
            return


def extension(folder):
    """Under gcc's runtime: clang 14's crashes at the start of an interpreter that was not linked with it."""
    runtime = subprocess.run(
        ["gcc", "-print-file-name=libtsan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    command = ["gcc", "-shared", "-fPIC", "-g", "-O1", "-fsanitize=thread", f"-I{sysconfig.get_path('include')}"]
    subprocess.run([*command, "-o", folder / "tsan_sample.so", PROGRAMS / "tsan_sample.c"], check=True)
    more = {"LD_PRELOAD": runtime, "PYTHONPATH": str(folder)}
    wanted = ("add_plain", "memset")  # the interpreter's own as well
    text = until_something(folder, [sys.executable, PROGRAMS / "hammer.py"], "", wanted=wanted, **more)
    record(folder, "extension-gcc", text)


def main():
    for compiler in COMPILERS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name).resolve()
            programs(folder, compiler)
            two_processes(folder, compiler)
            if compiler == "gcc":
                extension(folder)


if __name__ == "__main__":
    main()

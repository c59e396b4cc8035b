"""Builds the sample extensions: `python ext_samples/build.py [NAME ...]`.

Each folder unsafe/NAME or safe/NAME is one sample; its language follows from the files in it:

    unsafe_NAME.c            a C extension; each other unsafe_NAME_*.c is one more, which is built beside it
    unsafe_NAME.cpp          a C++ extension
    unsafe_NAME.pyx          a Cython extension
    build_unsafe_NAME.py     a cffi builder with an `ffibuilder`, and perhaps a `shared_library`

What is built goes to _built/TAG/, where TAG names the interpreter's binary interface: the builds
for a free-threaded and for a default interpreter stand side by side. What the environment variable
EXT_SAMPLES_BUILT names is used instead, by the tests as well: for the samples as another compiler,
such as ftcheck-cc, builds them. Each sample is built in a process of its own. A sample is built
again only when its sources, this file, the interpreter, the tools or the compiler settings have
changed.
"""

import argparse
import concurrent.futures
import hashlib
import importlib.metadata
import importlib.util
import os
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TAG = sysconfig.get_config_var("EXT_SUFFIX").strip(".").rsplit(".", 1)[0]
BUILT = Path(os.environ.get("EXT_SAMPLES_BUILT") or HERE / "_built" / TAG).resolve()
COMPILE = ["-O2", "-g", "-Wall", "-Wextra"]
# Code that Cython and cffi generate is theirs, and not ours to keep free of these.
GENERATED = ["-Wno-unused-parameter", "-Wno-missing-field-initializers", "-Wno-cast-function-type"]
SETTINGS = ["CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "LDSHARED", "FTCHECK_CC", "FTCHECK_CXX"]
SUFFIXES = {".c", ".cpp", ".h", ".pyx", ".py"}
TOOLS = {"C": ["setuptools"], "C++": ["setuptools"], "Cython": ["setuptools", "Cython"], "cffi": ["setuptools", "cffi"]}


@dataclass(frozen=True, order=True)
class Sample:
    verdict: str  # the folder: "unsafe" or "safe"
    name: str

    @property
    def folder(self):
        return HERE / self.verdict / self.name

    @property
    def module(self):
        """The import name."""
        return f"{self.verdict}_{self.name}"

    @property
    def language(self):
        for language, file in (
            ("cffi", f"build_{self.module}.py"),
            ("Cython", f"{self.module}.pyx"),
            ("C++", f"{self.module}.cpp"),
            ("C", f"{self.module}.c"),
        ):
            if (self.folder / file).exists():
                return language
        raise FileNotFoundError(f"{self.folder}: no source of {self.module} here")

    @property
    def sources(self):
        files = self.folder.iterdir()
        return sorted(
            file
            for file in files
            if file.suffix in {".c", ".cpp", ".h", ".pyx", ".py"} and not file.name.startswith("test_")
        )

    @property
    def stamp(self):
        """The file that says what the sample was last built from."""
        return BUILT / ".stamps" / self.module

    def is_built(self):
        return self.stamp.exists()

    @property
    def shows_only_from_the_inside(self):
        """Whether the header says that the flaw has no effect that a test can see."""
        return any("* Shows:   only from the inside" in file.read_text() for file in self.sources)

    def is_watchable(self):
        """Whether ftcheck-cc has built it."""
        return any(b"__tsan_init" in file.read_bytes() for file in BUILT.glob(f"{self.module}.*.so"))

    def __str__(self):
        return f"{self.verdict}/{self.name}"


def samples():
    """Every sample, sorted by folder and name."""
    folders = [*HERE.glob("unsafe/*/"), *HERE.glob("safe/*/")]
    return sorted(
        Sample(folder.parent.name, folder.name) for folder in folders if any(folder.glob(f"test_{folder.parent.name}_*.py"))
    )


def fingerprint(sample):
    """Changes whenever the sample has to be built again."""
    digest = hashlib.sha256()
    settings = [os.environ.get(name, "") for name in SETTINGS]
    tools = [importlib.metadata.version(tool) for tool in TOOLS[sample.language]]
    for text in (sys.version, sys.base_prefix, *settings, *tools):
        digest.update(text.encode() + b"\0")
    for source in (Path(__file__), *sample.sources):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()


def needs_building(sample):
    return not sample.is_built() or sample.stamp.read_text() != fingerprint(sample)


def missing_requirement(chosen):
    """One line that says what to install, or None."""
    for language, tools in TOOLS.items():
        for tool in tools:
            wanted = any(sample.language == language for sample in chosen)
            if wanted and importlib.util.find_spec(tool) is None:
                return f"{tool} is missing: {sys.executable} -m pip install {tool}"
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        return f"the C compiler {compiler!r} is missing: install it, or set CC to the one to use"
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").exists():
        return f"the C headers of this Python are missing: no Python.h in {headers}"
    return None


def extensions(sample, work):
    """The setuptools extensions of one sample. Runs in the sample's folder."""
    from setuptools import Extension

    if sample.language == "C":
        files = sorted(sample.folder.glob(f"{sample.module}*.c"))
        return [Extension(file.stem, [file.name], extra_compile_args=COMPILE) for file in files]
    if sample.language == "C++":
        arguments = [*COMPILE, "-std=c++20"]
        return [Extension(sample.module, [f"{sample.module}.cpp"], extra_compile_args=arguments, language="c++")]
    if sample.language == "Cython":
        from Cython.Build import cythonize

        extension = Extension(sample.module, [f"{sample.module}.pyx"], extra_compile_args=COMPILE + GENERATED)
        return cythonize([extension], build_dir=str(work), quiet=True, emit_linenums=True)
    for wrapper in sample.folder.glob(f"{sample.module}.py"):
        shutil.copy(wrapper, BUILT)
    builder = runpy.run_path(f"build_{sample.module}.py")
    ffi = builder["ffibuilder"]
    result = []
    if "shared_library" in builder:
        name, sources = builder["shared_library"]
        result.append(Extension(name, sources, extra_compile_args=COMPILE))
    module, source, _, _ = ffi._assigned_source
    if source is None:  # ABI mode: Python only
        ffi.emit_python_code(str(BUILT / f"{module}.py"))
    else:
        extension = ffi.distutils_extension(tmpdir=str(work), verbose=False)
        extension.extra_compile_args = COMPILE + GENERATED
        result.append(extension)
    return result


def build_one(sample):
    """Builds one sample in this process. Prints what the tools say; raises when one fails."""
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    class Build(build_ext):
        def get_ext_filename(self, fullname):
            # A shared library is no extension module: it has a plain name.
            return f"{fullname}.so" if fullname.startswith("lib") else super().get_ext_filename(fullname)

    work = BUILT / ".work" / sample.module
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    os.chdir(sample.folder)
    modules = extensions(sample, work)
    if modules:
        distribution = Distribution({"name": sample.module, "ext_modules": modules})
        command = Build(distribution)
        command.build_lib, command.build_temp, command.force = str(BUILT), str(work), True
        command.ensure_finalized()
        command.run()


def build_in_child(sample, verbose):
    """Builds one sample in a child process. Returns whether it worked, and the child's output."""
    mark = fingerprint(sample)  # taken before: a source saved meanwhile must not count as built
    sample.stamp.unlink(missing_ok=True)
    command = [sys.executable, __file__, "--child", str(sample)] + ["-v"] * verbose
    child = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if child.returncode == 0:
        sample.stamp.write_text(mark)
    return child.returncode == 0, child.stdout


def choose(names):
    """The samples with these names: NAME (both twins), unsafe/NAME, safe/NAME or unsafe_NAME."""
    every = samples()
    if not names:
        return every
    chosen = set()
    for name in names:
        found = {s for s in every if name in (s.name, str(s), s.module, s.verdict)}
        if not found:
            raise LookupError(f"no sample is called {name!r}; --list shows them all")
        chosen |= found
    return sorted(chosen)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python ext_samples/build.py",
        description=f"Build the sample extensions for this Python into ext_samples/_built/{TAG}/.",
        epilog="Exit code: 0 all built, 1 a sample did not build, 2 usage or something is missing.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these: static_counter, unsafe/static_counter")
    parser.add_argument("--list", action="store_true", help="list the samples and build nothing")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what the compiler says")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        chosen = choose(options.names)
    except LookupError as error:
        parser.error(str(error))

    if options.child:
        try:
            build_one(chosen[0])
        except Exception as error:
            if options.verbose:
                raise
            print(f"{type(error).__name__}: {error}", file=sys.stderr)  # the compiler said it all before
            return 1
        return 0
    if options.list:
        for sample in chosen:
            built = "built" if sample.is_built() else "not built"
            print(f"{sample!s:24} {sample.language:7} {built}")
        return 0
    if problem := missing_requirement(chosen):
        print(f"ext_samples: {problem}", file=sys.stderr)
        return 2

    (BUILT / ".stamps").mkdir(parents=True, exist_ok=True)
    due = [sample for sample in chosen if needs_building(sample)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        jobs = [pool.submit(build_in_child, sample, options.verbose) for sample in due]
        for sample, job in zip(due, jobs, strict=True):
            worked, output = job.result()
            failed += not worked
            print(f"{sample}: {'built' if worked else 'FAILED'}", flush=True)
            if options.verbose or not worked or "warning:" in output:
                print(output, end="", flush=True)
    print(
        f"{len(chosen)} samples for {TAG}: {len(due) - failed} built, "
        f"{len(chosen) - len(due)} up to date" + (f", {failed} failed" if failed else "")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Assembles a free-threaded CPython 3.14 from what package registries hold.

For machines that cannot download a finished build.  The parts:

    package index   freeze-core   the interpreter core as one executable, and the library's extension modules
                    patchelf      adds one needed library to that executable
                    pip           for the virtual environments that are made from the result
    apt mirror      libpython3.14-stdlib, -minimal, -dev and python3.14-venv: the library, the headers

The core's executable runs a frozen script.  A shim of fifteen lines swaps its main() for
Py_BytesMain, so what runs is the ordinary python command line.  The headers and build variables are
those of the default build of the same release, with the free-threading switch turned on.  The
result is relocatable: it is made and tried in a workshop folder, then renamed into place.

The index and the mirror are the ones this machine is configured for; apt's signature checks stay
on.  Nothing is written outside the cache folder, and root is not needed.
"""

from __future__ import annotations

import platform
import pprint
import re
import runpy
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from console import DiskFull, Trouble, detail, say
from workshop import Workshop

CORE = "freeze-core==0.8.1"
CORE_HASHES = {  # the platforms that have a core; aarch64 is untested
    "x86_64": "b8547956f9cbeabaae9cc758bbc65531962c3fb4fa0c2431c802089e7ea86cca",
    "aarch64": "17ccfba37e9c2daf17b77dee584e1202145abbe8a9eb81ba4abb07c2b6054814",
}
DEBS = ["libpython3.14-stdlib", "libpython3.14-minimal", "libpython3.14-dev", "python3.14-venv"]
SUITES = {  # where apt's distribution family has Python 3.14: suites, components, keyring
    "debian": (("sid", "forky"), "main", "debian-archive-keyring"),
    # 26.04, which gives the packages the same names.  No Ubuntu machine was at hand: this line is untried.
    "ubuntu": (("resolute",), "main universe", "ubuntu-archive-keyring"),
}
BY_HAND = (
    "Install one by hand: `uv python install 3.14t`, `pyenv install 3.14t`, conda's python-freethreading,\n"
    "or python.org's installer with its free-threaded option.  Then set FTCHECK_PYTHON=/path/to/python3.14t."
)
SHIM = """\
#define _GNU_SOURCE
#include <dlfcn.h>
/* The core's executable starts a frozen script; start the ordinary interpreter command line instead. */
typedef int (*main_fn)(int, char **, char **);
typedef int (*start_fn)(main_fn, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);
int __libc_start_main(main_fn frozen, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end) {
    start_fn start = (start_fn)dlsym(RTLD_NEXT, "__libc_start_main");
    main_fn python = (main_fn)dlsym(RTLD_DEFAULT, "Py_BytesMain");
    return start(python ? python : frozen, argc, argv, init, fini, rtld_fini, stack_end);
}
"""
SMOKE_TEST = """\
import os, subprocess, sys, sysconfig
import _interpreters, asyncio, bz2, ctypes, decimal, hashlib, json, lzma, sqlite3, ssl, zlib
work, = sys.argv[1:]
os.chdir(work)
assert not sys._is_gil_enabled() and sysconfig.get_config_var("Py_GIL_DISABLED") == 1, "the GIL is there"
assert sysconfig.get_path("purelib").endswith("/lib/python3.14t/site-packages"), sysconfig.get_path("purelib")
with open("tiny.c", "w") as file:
    file.write('''
        #include <Python.h>
        #ifndef Py_GIL_DISABLED
        #error "the headers are those of the default build"
        #endif
        static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};
        static PyModuleDef module = {PyModuleDef_HEAD_INIT, "tiny", NULL, 0, NULL, slots, NULL, NULL, NULL};
        PyMODINIT_FUNC PyInit_tiny(void) { return PyModuleDef_Init(&module); }
    ''')
variables = sysconfig.get_config_vars()
subprocess.run([*variables["LDSHARED"].split(), *variables["CFLAGS"].split(), variables["CCSHARED"], "tiny.c",
                "-I", sysconfig.get_path("include"), "-o", "tiny" + variables["EXT_SUFFIX"]], check=True)
sys.path.insert(0, work)
import tiny
assert not sys._is_gil_enabled(), "an extension that declares itself ready turned the GIL on"
subprocess.run([sys.executable, "-m", "venv", "venv"], check=True)
subprocess.run(["venv/bin/python", "-m", "pip", "--version"], check=True, stdout=subprocess.DEVNULL)
"""


def assemble(workshop: Workshop, target: Path) -> None:
    """Make `target` a prefix with bin/python3.14t; the caller holds the cache's lock."""
    machine, compiler = supported_machine(), find_compiler()
    work = workshop.folder
    prefix = work / "prefix"
    lib = prefix / "lib" / "python3.14t"
    lib.mkdir(parents=True)
    build_shim(workshop, compiler, prefix / "lib" / "libpython3.14t-main.so")

    say("fetching the interpreter core (package index: freeze-core, 14 MB)")
    core = fetch_core(workshop, machine)
    wheels = prefix / "share" / "python-wheels"
    newest = ["--no-deps", "--only-binary=:all:", "--python-version=3.14"]
    workshop.pip_get("download", "pip", *newest, "-d", str(wheels), "pip")
    patchelf = workshop.tool("patchelf")

    say("fetching the standard library and the headers (the machine's apt mirror, 30 MB)")
    debs = fetch_debs(workshop)

    say("putting them together")
    library_from(debs, lib)
    include = prefix / "include" / "python3.14t"
    headers_from(debs, include, machine)
    executable_from(workshop, core, prefix, patchelf, machine)
    write_build_variables(lib, machine, compiler)
    with zipfile.ZipFile(next(wheels.glob("pip-*.whl"))) as wheel:
        wheel.extractall(lib / "site-packages")

    say("trying it: the library, a C extension, a virtual environment")
    python = prefix / "bin" / "python3.14t"
    trial = work / "trial"
    trial.mkdir()
    advice = f"Please report this with the output of --verbose.  Until then: {BY_HAND}"
    workshop.command("the trial of the assembled interpreter", [str(python), "-c", SMOKE_TEST, str(trial)], advice)
    compare_releases(workshop, python, include)
    if target.exists():
        target.rename(work / "replaced")
    prefix.rename(target)


def supported_machine() -> str:
    """The processor's name, if there is a core for it and this is a Linux of the Debian family."""
    machine = platform.machine()
    here = f"{platform.system()} {machine}"
    if sys.platform != "linux" or machine not in CORE_HASHES or platform.libc_ver()[0] != "glibc":
        raise Trouble(
            f"an interpreter cannot be assembled on {here} (only on Linux with glibc, x86_64 or aarch64)",
            BY_HAND,
        )
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise Trouble("an interpreter cannot be assembled without apt-get and dpkg (Debian, Ubuntu)", BY_HAND)
    if machine == "aarch64":
        say("on aarch64 the assembly is untested; please tell us how it goes")
    return machine


def find_compiler() -> str:
    for compiler in ("gcc", "cc", "clang"):
        if shutil.which(compiler):
            return compiler
    raise Trouble("no C compiler was found (gcc, cc or clang)", "Install one: apt install gcc libc6-dev")


def build_shim(workshop: Workshop, compiler: str, output: Path) -> None:
    source = workshop.folder / "main.c"
    source.write_text(SHIM)
    flags = ["-O2", "-shared", "-fPIC", "-o", str(output), str(source), "-ldl"]
    workshop.command("compiling a C file", [compiler, *flags], "Install the C library's headers: apt install libc6-dev")


def fetch_core(workshop: Workshop, machine: str) -> Path:
    wanted = workshop.folder / "core.txt"
    wanted.write_text(f"{CORE} --hash=sha256:{CORE_HASHES[machine]}\n")
    tags = [f"--platform=manylinux_2_17_{machine}", f"--platform=manylinux2014_{machine}"]
    tags += [
        "--python-version=3.14",
        "--implementation=cp",
        "--abi=cp314t",
        "--only-binary=:all:",
        "--no-deps",
    ]
    downloads, core = workshop.folder / "wheels", workshop.folder / "core"
    workshop.pip_get("download", CORE, *tags, "--require-hashes", "-d", str(downloads), "-r", str(wanted))
    with zipfile.ZipFile(next(downloads.glob("freeze_core-*.whl"))) as wheel:
        wheel.extractall(core)
    return core


def distribution() -> str:
    """The apt family of this machine; Ubuntu calls itself "like debian", so it comes first."""
    words = set()
    try:
        for line in Path("/etc/os-release").read_text().splitlines():
            name, _, value = line.partition("=")
            if name in ("ID", "ID_LIKE"):
                words.update(value.strip("\"'").split())
    except OSError:
        pass
    for family in ("ubuntu", "debian"):
        if family in words:
            return family
    raise Trouble(
        "this is neither Debian nor Ubuntu, nor like them: the assembly does not know the mirror's suites",
        BY_HAND,
    )


def mirrors(workshop: Workshop) -> Iterator[str]:
    """The archives that apt is configured for, likeliest first; apt knows every form of sources."""
    advice = "Does `apt-get update --print-uris` print what this machine's mirror offers?"
    printed = workshop.command("asking apt for its mirrors", ["apt-get", "update", "--print-uris"], advice, 60)
    found = dict.fromkeys(re.findall(r"^'([^']+?)/+dists/", printed, re.MULTILINE))
    if not found:
        raise Trouble("apt is configured for no mirror", "Add the distribution's archive to /etc/apt/sources.list.d.")
    yield from sorted((uri for uri in found if "security" not in uri), key=lambda uri: not re.search("debian|ubuntu", uri))


def apt_settings(workshop: Workshop, source: str) -> dict[str, str]:
    """A private apt: the machine's settings (proxy, certificates), our own folders and source, no hooks."""
    folder = workshop.folder / "apt"
    (folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text(source + "\n")
    dumped = workshop.command("reading apt's settings", ["apt-config", "dump"], "Does `apt-config dump` work?", 60)
    kept = [line for line in dumped.splitlines() if not re.match(r"APT::Update::|DPkg::|Dir::Etc::[mps]", line)]
    ours = {
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::parts": "/dev/null",
        "Dir::Etc::sourcelist": str(folder / "sources.list"),
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": str(folder / "lists"),
        "Dir::Cache": str(folder / "cache"),
        "APT::Sandbox::User": "",
        "Acquire::Retries": "2",
    }
    settings = folder / "apt.conf"
    settings.touch(mode=0o600)  # a proxy's password may be in it
    settings.write_text("\n".join(kept + [f'{name} "{value}";' for name, value in ours.items()]) + "\n")
    return {"APT_CONFIG": str(settings)}


def fetch_debs(workshop: Workshop) -> Path:
    """Download and unpack the packages, from the first of the machine's mirrors and suites that has them."""
    suites, components, keyring = SUITES[distribution()]
    keys = Path(f"/usr/share/keyrings/{keyring}.gpg")
    options = f"[signed-by={keys}] " if keys.exists() else ""
    advice = (
        f"Is the mirror reachable (`apt-get update`)?  Are its keys known (`apt-get install {keyring}`)?\n"
        "Add --verbose to see all that apt printed."
    )
    downloads, unpacked = workshop.folder / "debs", workshop.folder / "unpacked"
    downloads.mkdir()
    failure: Trouble | None = None
    for mirror in mirrors(workshop):
        for suite in suites:
            settings = apt_settings(workshop, f"deb {options}{mirror} {suite} {components}")
            detail(f"trying the mirror's suite {suite}: {mirror}")
            try:
                update = ["apt-get", "update", "-q", "--error-on=any"]
                workshop.command(f"reading the mirror's suite {suite}", update, advice, env=settings)
                download = ["apt-get", "download", "-q", *DEBS]
                workshop.command(f"downloading from {suite}", download, advice, cwd=downloads, env=settings)
            except DiskFull:
                raise
            except Trouble as trouble:
                failure = failure or trouble
                continue
            for deb in downloads.glob("*.deb"):
                workshop.command(f"unpacking {deb.name}", ["dpkg", "-x", str(deb), str(unpacked)], advice)
            return unpacked
    raise failure or Trouble("apt's mirrors are all for security updates; none holds Python 3.14", advice)


def edit(path: Path, *replacements: tuple[str, str]) -> None:
    """Replace parts of a file; a missing part means that the packages changed, which must not pass unseen."""
    text = path.read_text()
    for pattern, new in replacements:
        text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
        if not count:
            raise Trouble(
                f"the packaged {path.name} is not as expected (no {pattern!r})",
                f"Please report this.  {BY_HAND}",
            )
    path.write_text(text)


def library_from(debs: Path, lib: Path) -> None:
    shutil.copytree(
        debs / "usr" / "lib" / "python3.14",
        lib,
        symlinks=False,
        ignore_dangling_symlinks=True,
        ignore=shutil.ignore_patterns("lib-dynload", "EXTERNALLY-MANAGED", "config-3.14-*", "sitecustomize.py"),
        dirs_exist_ok=True,
    )
    (lib / "site-packages").mkdir()
    # Debian's default build installs into dist-packages; this prefix installs where every other build does.
    edit(
        lib / "sysconfig" / "__init__.py",
        (r"'posix_local'\)$", "'posix_prefix')"),
        ("prefix_scheme = 'posix_local'", "prefix_scheme = 'posix_prefix'"),
    )
    edit(
        lib / "site.py",
        ('"dist-packages"', '"site-packages"'),
        (r'"python%d\.%d" % sys\.version_info\[:2\]', 'f"python{ver[0]}.{ver[1]}{abi_thread}"'),
    )


def headers_from(debs: Path, include: Path, machine: str) -> None:
    shutil.copytree(debs / "usr" / "include" / "python3.14", include)
    shutil.copy(debs / "usr" / "include" / f"{machine}-linux-gnu" / "python3.14" / "pyconfig.h", include)
    edit(include / "pyconfig.h", (r"^/\* #undef Py_GIL_DISABLED \*/", "#define Py_GIL_DISABLED 1"))


def executable_from(workshop: Workshop, core: Path, prefix: Path, patchelf: str, machine: str) -> None:
    python = prefix / "bin" / "python3.14t"
    modules = prefix / "lib" / "python3.14t" / "lib-dynload"
    python.parent.mkdir()
    modules.mkdir()
    shutil.copy(core / "freeze_core" / "bases" / f"console-cpython-314t-{machine}-linux-gnu", python)
    python.chmod(0o755)
    shutil.copytree(core / "freeze_core.libs", prefix / "lib" / "freeze_core.libs")
    for module in (core / "freeze_core" / "lib").glob("*.so"):
        shutil.copy(module, modules)

    advice = f"Please report this with the output of --verbose.  {BY_HAND}"
    needed = ["--add-needed", "libpython3.14t-main.so", "--set-rpath", "$ORIGIN/../lib"]
    workshop.command("patching the executable", [patchelf, *needed, str(python)], advice)
    rpath = ["--force-rpath", "--set-rpath", "$ORIGIN/../../freeze_core.libs"]
    workshop.command("patching the modules", [patchelf, *rpath, *map(str, modules.glob("*.so"))], advice)
    for name in ("python3.14", "python3", "python"):
        (python.parent / name).symlink_to(python.name)


def write_build_variables(lib: Path, machine: str, compiler: str) -> None:
    """The free-threaded build's build-time variables, from those of the default build of the same release."""
    found = sorted(lib.glob("_sysconfigdata__*linux*.py"))
    if not found:
        raise Trouble("the packaged library has no _sysconfigdata", f"Please report this.  {BY_HAND}")
    build = runpy.run_path(str(found[0]))["build_time_vars"]
    for pattern in ("_sysconfigdata*", "_sysconfig_vars*", "build-details*"):
        for old in lib.glob(pattern):
            old.unlink()
    plus = {"gcc": "g++", "cc": "c++", "clang": "clang++"}[compiler]
    flags = "-fno-strict-overflow -Wsign-compare -DNDEBUG -g -O3 -Wall"
    include, libdir = "@PREFIX@/include/python3.14t", "@PREFIX@/lib/python3.14t"
    build.update(
        dict.fromkeys(("LDFLAGS", "PY_LDFLAGS", "CPPFLAGS", "PY_CPPFLAGS", "CONFIGURE_CFLAGS", "CONFIGURE_LDFLAGS"), "")
    )
    build.update(
        prefix="@PREFIX@", exec_prefix="@PREFIX@",
        ABIFLAGS="t", ABI_THREAD="t", Py_GIL_DISABLED=1, LDVERSION="3.14t",
        MULTIARCH=f"{machine}-linux-gnu", SOABI=f"cpython-314t-{machine}-linux-gnu",
        EXT_SUFFIX=f".cpython-314t-{machine}-linux-gnu.so", HOST_GNU_TYPE=f"{machine}-pc-linux-gnu",
        WHEEL_PKG_DIR="@PREFIX@/share/python-wheels", BINDIR="@PREFIX@/bin", LIBDIR="@PREFIX@/lib",
        LIBDEST=libdir, BINLIBDEST=libdir, DESTSHARED=f"{libdir}/lib-dynload", LIBPL=f"{libdir}/config",
        INCLUDEPY=include, CONFINCLUDEPY=include,
        INCLUDEDIR="@PREFIX@/include", CONFINCLUDEDIR="@PREFIX@/include",
        Py_ENABLE_SHARED=0, LDLIBRARY="libpython3.14t.a", LIBRARY="libpython3.14t.a",
        CONFIG_ARGS="'--disable-gil'", CC=compiler, CXX=plus,
        LDSHARED=f"{compiler} -shared", BLDSHARED=f"{compiler} -shared", LDCXXSHARED=f"{plus} -shared",
        AR="ar", CFLAGS=flags, PY_CFLAGS=flags, OPT="-DNDEBUG -g -O3 -Wall", CCSHARED="-fPIC",
    )  # fmt: skip
    (lib / f"_sysconfigdata_t_linux_{machine}-linux-gnu.py").write_text(
        "# The build-time variables of the assembled free-threaded build; the prefix is found from here.\n"
        "from os.path import abspath, dirname\n"
        "_prefix = dirname(dirname(dirname(abspath(__file__))))\n"
        f"build_time_vars = {pprint.pformat(build)}\n"
        "for _name, _value in build_time_vars.items():\n"
        "    if isinstance(_value, str):\n"
        "        build_time_vars[_name] = _value.replace('@PREFIX@', _prefix)\n"
    )


def compare_releases(workshop: Workshop, python: Path, include: Path) -> None:
    """The core and the packages are released apart; a patch release of difference works, and is said."""
    core = workshop.command(
        "asking for the version", [str(python), "-c", "import platform; print(platform.python_version())"], ""
    )
    packaged = re.search(r'PY_VERSION\s+"([^"]+)"', (include / "patchlevel.h").read_text())
    if packaged and packaged[1] != core.strip():
        say(f"note: the core is {core.strip()}, its library and headers are {packaged[1]}")

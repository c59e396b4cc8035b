"""Lists of requirements, the sources that pip would ask, and what follows from the names of files."""

import http.server
import json
import threading
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.tags import sys_tags

from ftcheck.audit import available, lists, pip_settings
from ftcheck.audit.abi import Target, target_of, wheel, why_not
from ftcheck.audit.index import File, Index, without_password
from ftcheck.audit.lists import Wanted
from ftcheck.audit.model import Readiness
from ftcheck.audit.options import AuditError
from ftcheck.audit.pip_settings import Sources, sources

TARGET = Target((3, 14))
PLATFORM = next(iter(sys_tags())).platform
HERE = f"x-2.0-cp314-cp314t-{PLATFORM}.whl"
ENVIRONMENT = {"python_version": "3.14", "python_full_version": "3.14.0"}


# -- requirements.txt ----------------------------------------------------------------------------------------------------

REQUIREMENTS = """\
# a comment
Alpha.One>=1,<2   # another
beta==1.0 \\
    --hash=sha256:00 \\
    --hash=sha256:11
gamma; python_version < "3"
delta[extra1,extra2] ; sys_platform == "linux" or sys_platform != "linux"
-e ./editable
./local
https://example.invalid/epsilon-1.0.tar.gz
zeta @ https://example.invalid/zeta-1.0.tar.gz
--extra-index-url https://example.invalid/simple
-i https://example.invalid/main
--find-links=links
-r more.txt
-c constraints.txt
!!!
"""


def test_a_requirements_file(tmp_path):
    (tmp_path / "requirements.txt").write_text(REQUIREMENTS)
    (tmp_path / "more.txt").write_text("-r requirements.txt\neta\n")
    (tmp_path / "constraints.txt").write_text("gamma<3\nalpha.one<1.5  # why\n-r more-constraints.txt\n")
    (tmp_path / "more-constraints.txt").write_text("alpha_one>1.1\n./local\n")
    found = lists.read(tmp_path / "requirements.txt", ENVIRONMENT)
    assert [one.name for one in found.wanted if not one.problem] == ["alpha-one", "beta", "delta", "eta"]
    assert str(found.wanted[1].specifier) == "==1.0"
    assert found.constraints == {"gamma": SpecifierSet("<3"), "alpha-one": SpecifierSet("<1.5,>1.1")}
    assert str(found.wanted[0].specifier) == "<1.5,<2,>1.1,>=1"
    assert found.left_out == ('gamma; python_version < "3"',)
    assert found.options == (
        ("extra-index-url", "https://example.invalid/simple"),
        ("index-url", "https://example.invalid/main"),
        ("find-links", "links"),
    )
    assert [one.text for one in found.wanted if one.problem] == [
        "-e ./editable", "./local", "https://example.invalid/epsilon-1.0.tar.gz",
        "zeta @ https://example.invalid/zeta-1.0.tar.gz", "!!!",
    ]  # fmt: skip
    assert found.wanted[1].place == "requirements.txt:3"


@pytest.mark.parametrize(("name", "content", "status"), [
    ("requirements.txt", b"\xff\xfe\x00", 2), ("requirements.txt", b"a\0b", 2), ("requirements.txt", b"-r missing.txt", 3),
    ("uv.lock", b"not = [toml", 3), ("uv.lock", b"version = 1", 3), ("poetry.lock", b"\xff", 3), ("list.yaml", b"", 2),
])  # fmt: skip
def test_what_is_no_list_is_refused(tmp_path, name, content, status):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AuditError) as failed:
        lists.read(tmp_path / name, ENVIRONMENT)
    assert failed.value.status == status
    assert str(tmp_path) in str(failed.value) or "missing.txt" in str(failed.value)


# -- lock files ----------------------------------------------------------------------------------------------------------

LOCKS = {
    "pylock.toml": f"""
lock-version = "1.0"
created-by = "x"
[[packages]]
name = "x"
version = "2.0"
sdist = {{ name = "x-2.0.tar.gz", url = "https://example.invalid/x-2.0.tar.gz", hashes = {{ sha256 = "0" }} }}
wheels = [{{ url = "https://example.invalid/{HERE}", hashes = {{ sha256 = "0" }} }}]
[[packages]]
name = "y"
version = "1.0"
marker = "python_version < '3'"
wheels = [{{ name = "y-1.0-py3-none-any.whl", hashes = {{ sha256 = "0" }} }}]
""",
    "uv.lock": f"""
version = 1
[[package]]
name = "project"
version = "0.1"
source = {{ virtual = "." }}
[[package]]
name = "x"
version = "2.0"
source = {{ registry = "https://example.invalid/simple" }}
sdist = {{ url = "https://example.invalid/x-2.0.tar.gz", hash = "sha256:0" }}
wheels = [{{ url = "https://example.invalid/{HERE}", hash = "sha256:0" }}]
""",
    "poetry.lock": f"""
[[package]]
name = "x"
version = "2.0"
files = [{{ file = "{HERE}", hash = "sha256:0" }}, {{ file = "x-2.0.tar.gz", hash = "sha256:0" }}]
""",
}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_names_its_files(tmp_path, name):
    (tmp_path / name).write_text(LOCKS[name])
    found = lists.read(tmp_path / name, ENVIRONMENT)
    (one,) = found.wanted
    assert (one.name, set(one.files), str(one.specifier)) == ("x", {HERE, "x-2.0.tar.gz"}, "==2.0")
    assert available.row(one, [File(file) for file in one.files], TARGET).what.startswith("there is a cp314t wheel")


# -- from names of files to verdicts -------------------------------------------------------------------------------------

SDIST, GIL, ABI3, PURE = (
    "x-2.0.tar.gz",
    f"x-2.0-cp314-cp314-{PLATFORM}.whl",
    f"x-2.0-cp39-abi3-{PLATFORM}.whl",
    "x-2.0-py3-none-any.whl",
)
OTHER, NO_ABI = "x-2.0-cp314-cp314t-win_amd64.whl", f"x-2.0-py3-none-{PLATFORM}.whl"


@pytest.mark.parametrize(("files", "readiness", "what"), [
    ([HERE, SDIST], Readiness.NOT_CHECKED, "there is a cp314t wheel"),
    ([PURE], Readiness.PURE, ""),
    ([HERE, PURE], Readiness.NOT_CHECKED, "there is a cp314t wheel"),
    ([GIL, ABI3, SDIST], Readiness.NOT_INSTALLABLE, "no cp314t wheel; sdist present"),
    ([GIL, ABI3], Readiness.NOT_INSTALLABLE, "no cp314t wheel; sdist absent"),
    ([SDIST], Readiness.NOT_INSTALLABLE, "no cp314t wheel; sdist present"),
    ([OTHER, SDIST], Readiness.NOT_INSTALLABLE, "no cp314t wheel for this platform; sdist present"),
    ([NO_ABI], Readiness.NOT_CHECKED, "a wheel without an ABI"),
    ([], Readiness.NOT_INSTALLABLE, "no file of it is known"),
    (["x-2.0.exe", "nonsense"], Readiness.NOT_INSTALLABLE, "no version"),
])  # fmt: skip
def test_rows(files, readiness, what):
    found = available.row(Wanted("x", "r.txt:1", "x"), [File(one) for one in files], TARGET)
    assert found.readiness is readiness
    assert found.what.startswith(what)


def test_an_older_version_with_a_wheel_is_named():
    old = HERE.replace("2.0", "1.0")
    found = available.row(Wanted("x", "r.txt:1", "x"), [File(GIL), File(SDIST), File(old)], TARGET)
    assert found.readiness is Readiness.NOT_INSTALLABLE
    assert "the newest with a usable wheel is 1.0" in found.evidence


@pytest.mark.parametrize(("spec", "files", "version"), [
    ("<2", [File(HERE), File(HERE.replace("2.0", "1.0"))], "1.0"),
    ("", [File(HERE), File(HERE.replace("2.0", "3.0"), yanked=True)], "2.0"),
    ("==3.0", [File(HERE), File(HERE.replace("2.0", "3.0"), yanked=True)], "3.0"),
    ("", [File(HERE), File(HERE.replace("2.0", "3.0rc1"))], "2.0"),
    ("", [File(HERE), File(HERE.replace("2.0", "3.0"), python=">=3.15")], "2.0"),
    ("", [File(HERE), File(HERE.replace("2.0", "1.0"), python="no specifier")], "2.0"),
    ("", [File(HERE), File(GIL.replace("2.0", "3.0"))], "2.0"),
    ("", [File(HERE), File(GIL.replace("2.0", "3.0")), File(SDIST.replace("2.0", "3.0"))], "3.0"),
    ("", [File(OTHER), File(GIL.replace("2.0", "3.0"))], "3.0"),
])  # fmt: skip
def test_the_version_is_the_one_that_would_be_installed(spec, files, version):
    assert available.row(Wanted("x", "r:1", "x", SpecifierSet(spec)), files, TARGET).version == version


def test_what_was_not_asked_is_not_checked():
    found = available.row(Wanted("x", "r:1", "x"), None, TARGET, why_unknown="not asked: --offline")
    assert (found.readiness, found.what) == (Readiness.NOT_CHECKED, "not asked: --offline")


@pytest.mark.parametrize(
    ("file", "fits"), [(HERE, True), (PURE, True), (GIL, False), (ABI3, False), (OTHER, True), (NO_ABI, True)]
)
def test_which_wheels_a_free_threaded_interpreter_can_load(file, fits):
    assert wheel(file).fits(TARGET) is fits
    assert "not cp314t" in why_not(wheel(file), TARGET) or fits


def test_names_that_are_no_wheels():
    assert wheel("x-1.0.tar.gz") is None
    assert wheel("x.whl") is None


@pytest.mark.parametrize(("version", "abi"), [((3, 14, 2), "cp314t"), ((3, 12, 1), "cp314t"), ((3, 15, 0), "cp315t")])
def test_the_target_is_never_older_than_what_counts(version, abi):
    assert target_of(version).abi == abi


# -- where to ask --------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_machine(monkeypatch):
    monkeypatch.setattr(pip_settings, "_files", lambda prefix, environment: [Path(environment["HOME"]) / "pip.conf"])


@pytest.mark.usefixtures("no_machine")
def test_what_wins_over_what(tmp_path):
    environment = {"HOME": str(tmp_path)}
    assert sources(environment=environment).indexes == (pip_settings.DEFAULT_INDEX,)
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://a/\nextra-index-url =\n  https://b/\n  https://c/\n[install]\nfind_links = /l\n"
    )
    assert sources(environment=environment) == Sources(("https://a/", "https://b/", "https://c/"), ("/l",))
    environment |= {"PIP_INDEX_URL": "https://d/", "PIP_CERT": "/x.pem"}
    assert sources(environment=environment).indexes[0] == "https://d/"
    assert sources(environment=environment).certificate == "/x.pem"
    options = [("index-url", "https://e/"), ("extra-index-url", "https://f/")]
    assert sources(options, environment=environment).indexes == ("https://e/", "https://b/", "https://c/", "https://f/")
    assert sources([("no-index", "")], environment=environment).indexes == ()
    (tmp_path / "pip.conf").write_bytes(b"\xff broken")
    assert sources(environment={"HOME": str(tmp_path), "UV_DEFAULT_INDEX": "https://u/"}).indexes == ("https://u/",)


JSON = {"files": [{"filename": HERE, "yanked": "bad"}, {"filename": SDIST, "requires-python": ">=3.9"}]}
HTML = f"""<html><a href="../../{HERE}#sha256=0" data-yanked="">one</a>
<a href="{SDIST}" data-requires-python="&gt;=3.9">two</a><a>no</a>"""
KIND = "application/vnd.pypi.simple.v1+json"
PAGES = {"/json/x/": (KIND, json.dumps(JSON)), "/html/x/": ("text/html", HTML), "/bad/x/": (KIND, "{")}


@pytest.fixture
def server():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            kind, text = PAGES.get(self.path, ("", ""))
            if "secret" in self.path and self.headers.get("Authorization") == "Basic bWU6cGFzcw==":
                kind, text = PAGES["/json/x/"]
            self.send_response(200 if kind else (401 if "secret" in self.path else 500 if "broken" in self.path else 404))
            self.send_header("Content-Type", kind or "text/plain")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as one:
        thread = threading.Thread(target=one.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{one.server_port}"
        one.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", ["json", "html"])
def test_an_index_is_asked(server, kind, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    index = Index(Sources((f"http://{server}/{kind}",)))
    where = {"json": ("", ""), "html": (f"http://{server}/", f"http://{server}/html/x/")}[kind]
    assert set(index.files("X")) == {
        File(HERE, yanked=True, address=where[0] and where[0] + HERE),
        File(SDIST, ">=3.9", address=where[1] and where[1] + SDIST),
    }
    assert index.files("unknown") == []
    assert (index.asked, index.troubles) == (2, {})


@pytest.mark.parametrize("where", ["broken", "bad"])
def test_an_index_that_is_out_of_order_is_said(server, where, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    index = Index(Sources((f"http://{server}/{where}",)))
    assert index.files("x") is None
    assert index.files("y") is None
    assert len(index.troubles) == 1


def test_passwords_are_used_and_not_shown(server, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    index = Index(Sources((f"http://me:pass@{server}/secret",)))
    assert {one.name for one in index.files("x")} == {HERE, SDIST}
    refused = Index(Sources((f"http://me:wrong@{server}/secret",)))
    assert refused.files("x") is None
    assert "wrong" not in " ".join(refused.troubles.values())
    assert without_password("https://me:pass@host/simple") == "https://host/simple"


def test_an_index_that_is_not_there_does_not_hide_the_other(server, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / HERE).write_bytes(b"")
    (tmp_path / "other-1.0-py3-none-any.whl").write_bytes(b"")
    index = Index(
        Sources(("http://127.0.0.1:9/simple", f"http://{server}/json"), (str(tmp_path), f"file://{tmp_path}/missing")),
        timeout=2,
    )
    assert {one.name for one in index.files("x")} == {HERE, SDIST}
    assert len(index.troubles) == 1
    assert Index(Sources(("http://127.0.0.1:9/simple",)), timeout=2).files("x") is None

"""What requirements require in turn: from the metadata of wheels, read in parts; as pip itself would resolve it."""

import http.server
import json
import random
import re
import shlex
import subprocess
import sys
import threading
import zipfile
from typing import ClassVar

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ftcheck.audit import remote, requires
from ftcheck.audit.abi import target_of
from ftcheck.audit.index import File, Index
from ftcheck.audit.lists import Wanted
from ftcheck.audit.model import Readiness
from ftcheck.audit.pip_settings import Sources
from ftcheck.audit.remote import UnknownMetadataError

from .making import audited, row

TARGET = target_of(sys.version_info)
ENVIRONMENT = {"python_version": "3.14", "python_full_version": "3.14.0"}


def wheel(folder, name, version, lines=(), *, tag="py3-none-any", padding=0):
    """A wheel with nothing in it but its metadata, and bytes that cannot be compressed before and behind that."""
    path = folder / f"{name}-{version}-{tag}.whl"
    info = f"{name}-{version}.dist-info"
    noise = random.Random(1).randbytes(padding)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/before.bin", noise)
        required = "Provides-Extra: x\n" + "".join(f"Requires-Dist: {line}\n" for line in lines)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")
        archive.writestr(f"{name}/behind.bin", noise)
    return path


def wanted(text):
    """A line of a list."""
    one = Requirement(text)
    return Wanted(text, "list:1", canonicalize_name(one.name), one.specifier, extras=frozenset(one.extras))


class World:
    """Projects with versions: what each wheel requires."""

    def __init__(self, **projects):
        self.projects = projects
        self.read_files = []

    def look_up(self, name):
        """The files of a project, as an index gives them."""
        return [File(self.file(name, version)) for version in self.projects.get(name, {})]

    def file(self, name, version):
        """The name of a wheel, or of an sdist where nothing is known of what it requires."""
        return f"{name}-{version}.tar.gz" if self.projects[name][version] is None else f"{name}-{version}-py3-none-any.whl"

    def read(self, file):
        """What a wheel requires."""
        self.read_files.append(file.name)
        name, version = file.name.split("-")[:2]
        said = self.projects[name][version]
        if isinstance(said, str):
            raise UnknownMetadataError(said)
        return tuple(said)

    def follow(self, *lines):
        """The whole list."""
        return requires.follow(map(wanted, lines), self.look_up, self.read, TARGET, ENVIRONMENT)


def texts(followed):
    return {one.name: one.text for one in followed.wanted}


# -- what is required in turn --------------------------------------------------------------------------------------------


def test_what_is_required_in_turn_joins_the_list_and_says_by_whom():
    found = World(a={"1": ["b>=1", "c"]}, b={"1": ["c<2"], "2": ["c<2"]}, c={"1": [], "2": []}).follow("a")
    assert [(one.name, one.place, one.needed_by) for one in found.wanted] == [
        ("a", "list:1", ()),
        ("b", "required by a", ("a",)),
        ("c", "required by a, b", ("a", "b")),
    ]
    assert texts(found) == {"a": "a", "b": "b >=1 (a)", "c": "c <2 (b)"}
    assert found.limits == ()


def test_what_the_list_names_has_to_fit_what_others_require_too():
    found = World(a={"1": ["b<2"]}, b={"1": [], "2": []}).follow("b>=1", "a")
    assert texts(found) == {"b": "b>=1 (the list), <2 (a)".replace("b>=1", "b >=1"), "a": "a"}
    assert found.wanted[0].needed_by == ("a",)
    assert str(found.wanted[0].specifier) == "<2,>=1"


def test_a_version_that_is_not_taken_in_the_end_requires_nothing():
    """b 2 is the newest and requires old; then c, which comes later, requires b 1."""
    found = World(
        a={"1": ["b", "c"]}, b={"1": ["new"], "2": ["old"]}, c={"1": ["b<2"]}, old={"1": []}, new={"1": []}
    ).follow("a")
    assert set(texts(found)) == {"a", "b", "c", "new"}


@pytest.mark.parametrize(
    ("line", "names"),
    [("a", {"a", "b"}), ("a[more]", {"a", "b", "c"}), ("a[all]", {"a", "b", "c", "d"})],
)
def test_extras_and_markers(line, names):
    world = World(
        a={"1": [
            "b; python_version >= '3.14'", "never; python_version < '3'", "c; extra == 'more'",
            "a[more]; extra == 'all'", "d; extra == 'all' and python_version > '3'",
        ]},
        b={"1": []}, c={"1": []}, d={"1": []},
    )  # fmt: skip
    assert set(texts(world.follow(line))) == names


def test_an_extra_that_is_asked_for_later_counts():
    found = World(a={"1": ["b", "c"]}, b={"1": ["d; extra == 'x'"]}, c={"1": ["b[x]"]}, d={"1": []}).follow("a")
    assert set(texts(found)) == {"a", "b", "c", "d"}


def test_circles_come_to_an_end():
    assert set(texts(World(a={"1": ["b"]}, b={"1": ["a"]}).follow("a"))) == {"a", "b"}


def test_versions_that_change_each_other_for_ever():
    """a 2 wants b 1, which wants a 1, which wants any b; the newest of which lets a be 2 again."""
    found = World(a={"1": [], "2": ["b<2"]}, b={"1": ["a<2"], "2": []}).follow("a", "b")
    assert {one.name: str(one.specifier) for one in found.wanted} == {"a": "<2", "b": "==1"}
    assert found.limits == ("not the newest that is asked for, so that all fit together: b 1",)


def test_what_no_index_has_keeps_nothing_else_from_being_found():
    found = World(a={"1": ["b", "c"]}, b={"1": []}, c={"1": []}).follow("a", "missing", "b>=7")
    assert texts(found) == {"a": "a", "missing": "missing", "b": "b >=7 (the list)", "c": "c"}
    assert found.limits == ()


def test_each_wheel_is_read_once():
    world = World(a={"1": ["b", "c"]}, b={"1": ["d"]}, c={"1": ["d"]}, d={"1": []})
    world.follow("a", "b", "d")
    assert sorted(world.read_files) == [f"{name}-1-py3-none-any.whl" for name in "abcd"]


def test_what_is_not_known_is_said():
    world = World(a={"1": ["b", "c", "d"]}, b={"1": None}, c={"1": "HTTP 403"}, d={"1": "HTTP 403"})
    assert world.follow("a").limits == (
        "what b 1 requires is not known: there is no wheel of it",
        "what c 1, d 1 require is not known: HTTP 403",
    )


def test_addresses_are_rows_that_are_not_checked():
    found = World(a={"1": ["b @ https://example.invalid/b-1.0.tar.gz", "!!! no requirement"]}).follow("a")
    (other,) = found.wanted[1:]
    assert (other.name, other.needed_by, other.problem) == ("b", ("a",), "an address: audit the file by itself")


def test_what_no_version_fits_says_who_asks_for_what(tmp_path):
    wheel(tmp_path, "a", "1", ["c>=2"])
    wheel(tmp_path, "b", "1", ["c<2"])
    wheel(tmp_path, "c", "1")
    wheel(tmp_path, "c", "2")
    (tmp_path / "requirements.txt").write_text(f"--no-index\n--find-links {tmp_path}\na\nb\n")
    found = row(audited(tmp_path / "requirements.txt", offline=False), "c")
    assert found.readiness is Readiness.NOT_INSTALLABLE
    assert found.what == "no version for 3.14t fits c >=2 (a), <2 (b)"
    assert found.needed_by == ("a", "b")


def test_constraints_hold_for_what_is_required_in_turn_and_require_nothing(tmp_path):
    wheel(tmp_path, "a", "1", ["b"])
    wheel(tmp_path, "b", "1")
    wheel(tmp_path, "b", "2")
    (tmp_path / "limits.txt").write_text("b<2\nc<1\n")
    (tmp_path / "requirements.txt").write_text(f"--no-index\n--find-links {tmp_path}\n-c limits.txt\na\n")
    found = audited(tmp_path / "requirements.txt", offline=False)
    assert {one.name: one.version for one in found.rows} == {"a": "1", "b": "1"}
    assert found.limits == ()


def test_only_the_list_if_asked(tmp_path):
    wheel(tmp_path, "a", "1", ["b"])
    (tmp_path / "requirements.txt").write_text(f"--no-index\n--find-links {tmp_path}\na\n")
    assert [one.name for one in audited(tmp_path / "requirements.txt", offline=False, follow=False).rows] == ["a"]
    followed = audited(tmp_path / "requirements.txt", offline=False)
    assert ([one.name for one in followed.rows], followed.followed) == (["b", "a"], 1)


# -- as pip has it -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_the_same_as_pip(tmp_path, seed):
    """Projects of many versions that require each other at random; where the newest do not fit, pip tries others."""
    draw = random.Random(seed)
    names = [f"p{number}" for number in range(14)]
    for number, name in enumerate(names):
        for version in range(1, 4):
            lines = []
            for other in draw.sample(names[number + 1 :], min(3, len(names) - number - 1)):
                extra, sign = draw.choice(["", "", "[x]"]), draw.choice([">=", ">=", "<=", "!=" if seed % 2 else ">="])
                marker = draw.choice(["", "", " ; python_version < '3'", " ; extra == 'x'", " ; sys_platform != 'x'"])
                lines.append(f"{other}{extra}{sign}{draw.randint(1, 3)}{marker}")
            wheel(tmp_path, name, version, [*lines, "p13[x] ; extra == 'x'"])
    listed = [f"{names[0]}", f"{names[1]}[x]<3", f"{names[2]}==2"]
    command = [
        sys.executable,
        *shlex.split("-m pip install --isolated -q --dry-run --ignore-installed --no-index --report -"),
    ]
    done = subprocess.run([*command, "--find-links", tmp_path, *listed], capture_output=True, text=True, check=False)
    (tmp_path / "requirements.txt").write_text("\n".join(["--no-index", f"--find-links {tmp_path}", *listed]))
    ours = audited(tmp_path / "requirements.txt", offline=False)
    if done.returncode:
        assert "ResolutionImpossible" in done.stderr
        assert any(one.startswith("no versions fit together: ") for one in ours.limits)
    else:
        report = json.loads(done.stdout)["install"]
        theirs = {one["metadata"]["name"]: one["metadata"]["version"] for one in report}
        assert {one.name: one.version for one in ours.rows} == theirs


def test_an_older_version_is_taken_where_the_newest_does_not_fit(tmp_path):
    for version, lines in (("1", []), ("2", ["b>=2"])):
        wheel(tmp_path, "a", version, lines)
    wheel(tmp_path, "b", "1")
    wheel(tmp_path, "b", "2")
    (tmp_path / "requirements.txt").write_text(f"--no-index\n--find-links {tmp_path}\na\nb<2\n")
    found = audited(tmp_path / "requirements.txt", offline=False)
    assert {one.name: one.version for one in found.rows} == {"a": "1", "b": "1"}
    assert found.limits == ("not the newest that is asked for, so that all fit together: a 1",)


# -- from elsewhere ------------------------------------------------------------------------------------------------------


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, in parts if asked; or in one of the ways in which servers do not."""

    way = "parts"
    sent: ClassVar[list[tuple[str, int]]] = []

    def do_GET(self):
        """Answer."""
        path = self.server.folder / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        asked = re.fullmatch(r"bytes=(?:-(\d+)|(\d+)-(\d+))", self.headers.get("Range") or "")
        if asked is None or self.way == "whole":
            self.answer(200, data)
            return
        first = max(0, len(data) - int(asked[1])) if asked[1] else int(asked[2])
        end = len(data) if asked[1] else int(asked[3]) + 1
        said = {"parts": f"bytes {first}-{end - 1}/{len(data)}", "other": f"bytes {first}-{end - 1}/{len(data) * 2}"}
        if self.way == "cut off":
            self.answer(206, data[first:end][:-10], f"bytes {first}-{end - 1}/{len(data)}")
        else:
            self.answer(206, data[first:end], said.get(self.way, "who knows"))

    def answer(self, status, data, said=""):
        self.sent.append((self.path, len(data)))
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if said:
            self.send_header("Content-Range", said)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words):
        pass


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Start a server of a folder, in a way; gives its address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Handler.sent = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as one:
        one.folder = tmp_path
        thread = threading.Thread(target=one.serve_forever, daemon=True)
        thread.start()

        def start(way):
            monkeypatch.setattr(Handler, "way", way)
            return f"http://127.0.0.1:{one.server_port}"

        yield start
        one.shutdown()
        thread.join()


@pytest.mark.parametrize("padding", [0, 100, 65_000, 3_000_000])
@pytest.mark.parametrize("way", ["parts", "whole"])
def test_some_kilobytes_of_a_wheel_are_enough(serve, tmp_path, padding, way):
    address = serve(way)
    path = wheel(tmp_path, "big", "1", ["small>=1", "other; extra == 'x'"], padding=padding)
    file = File(path.name, address=f"{address}/{path.name}")
    assert Index(Sources(())).requires(file) == ("small>=1", "other; extra == 'x'")
    if way == "parts":
        assert sum(size for _, size in Handler.sent) < 200_000


def test_a_server_that_gives_whole_files_only_is_not_asked_for_large_ones(serve, tmp_path):
    address = serve("whole")
    path = wheel(tmp_path, "big", "1", padding=5_000_000)
    with pytest.raises(UnknownMetadataError, match="whole files only"):
        Index(Sources(())).requires(File(path.name, address=f"{address}/{path.name}"))


@pytest.mark.parametrize(
    ("way", "why"),
    [
        ("other", "no wheel that can be read|another part"),
        ("none", "which part"),
        ("cut off", "no wheel|IncompleteRead|part"),
    ],
)
def test_servers_that_are_out_of_order(serve, tmp_path, way, why):
    address = serve(way)
    path = wheel(tmp_path, "big", "1", padding=300_000)
    with pytest.raises(UnknownMetadataError, match=why):
        Index(Sources(())).requires(File(path.name, address=f"{address}/{path.name}"))


def test_metadata_that_lies_beside_it_is_taken_where_the_index_says_so(serve, tmp_path):
    address = serve("parts")
    (tmp_path / "a-1-py3-none-any.whl.metadata").write_text("Metadata-Version: 2.1\nName: a\nVersion: 1\nRequires-Dist: b\n")
    (tmp_path / "simple").mkdir()
    (tmp_path / "page").write_text('<a href="/a-1-py3-none-any.whl#sha256=0" data-core-metadata="sha256=0">a</a>')
    index = Index(Sources((), (f"{address}/page",)))
    (file,) = index.files("a")
    assert (file.address, file.metadata) == (f"{address}/a-1-py3-none-any.whl", True)
    assert index.requires(file) == ("b",)
    assert [path for path, _ in Handler.sent] == ["/page", "/a-1-py3-none-any.whl.metadata"]


@pytest.mark.parametrize(
    ("address", "why"),
    [("", "where it is was not said"), ("{}/missing.whl", "HTTP 404"), ("http://127.0.0.1:9/x.whl", "refused"),
     ("ftp://127.0.0.1/x.whl", "ftp addresses"), ("/nowhere/x.whl", "No such file")],
)  # fmt: skip
def test_what_cannot_be_had(serve, address, why):
    with pytest.raises(UnknownMetadataError, match=why):
        Index(Sources(()), timeout=5).requires(File("x-1-py3-none-any.whl", address=address.format(serve("parts"))))


@pytest.mark.parametrize("how", ["no archive", "empty", "no metadata", "two", "a bomb"])
def test_hostile_wheels(tmp_path, how):
    path = tmp_path / "x-1-py3-none-any.whl"
    path.write_bytes(b"" if how == "empty" else b"no archive" * 100)
    if how in ("no metadata", "two", "a bomb"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range({"no metadata": 0, "two": 2, "a bomb": 1}[how]):
                size = 64 << 20 if how == "a bomb" else 1
                archive.writestr(f"x{number}.dist-info/METADATA", b"\0" * size)
    with pytest.raises(UnknownMetadataError):
        remote.from_wheel(path)


def test_a_password_goes_to_files_of_the_same_host_and_to_no_other(serve, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        Handler, "do_GET", lambda self: (seen.append(self.headers.get("Authorization")), self.send_error(404))
    )
    address = serve("parts")
    index = Index(Sources((address.replace("//", "//me:pass@") + "/simple",)))
    for host in (address, address.replace("127.0.0.1", "localhost")):
        monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
        with pytest.raises(UnknownMetadataError):
            index.requires(File("x", address=f"{host}/x.whl"))
    assert seen == ["Basic bWU6cGFzcw==", None]

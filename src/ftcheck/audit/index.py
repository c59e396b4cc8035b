"""Asks the configured indexes which files there are of a project, and what a wheel requires. Nothing is downloaded but these
lists, and the metadata of wheels; nothing is installed.

The "simple" interface of indexes (PEP 503; as JSON, PEP 691) is a list of files. What an index does not know is not an
error, since another one may; an index that cannot be reached is, and is said. Passwords are taken from the address or from
``~/.netrc``, as pip does, and shown to nobody.
"""

from __future__ import annotations

import html.parser
import http.client
import json
import netrc
import os
import ssl
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from packaging.utils import canonicalize_name

from ftcheck.audit import remote
from ftcheck.audit.pip_settings import Sources

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_LARGEST = 64 << 20
_LARGEST_WHOLE = 8 << 20
"""Of a file whose server gives no parts."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a project.

    :param python: versions of Python that it is for (``Requires-Python``); empty: all.
    :param yanked: it was taken back.
    :param address: where it is; empty: not known.
    :param metadata: beside it is a file with its metadata (PEP 658).
    """

    name: str
    python: str = ""
    yanked: bool = False
    address: str = ""
    metadata: bool = False


class Index:
    """All sources together. It may be asked by several threads.

    :ivar asked: projects that were asked for.
    :ivar troubles: sources that did not answer, and why.
    """

    def __init__(self, sources: Sources, timeout: float = 20.0) -> None:
        self._sources, self._timeout = sources, timeout
        self._lock = threading.Lock()
        self._dead: set[str] = set()
        self.asked = 0
        self.troubles: dict[str, str] = {}
        self._context = ssl.create_default_context(cafile=sources.certificate or None)
        self._unchecked = ssl.create_default_context()
        self._unchecked.check_hostname, self._unchecked.verify_mode = False, ssl.CERT_NONE

    def files(self, project: str) -> list[File] | None:
        """What there is of a project, from all sources.

        :returns: None: no source could be asked, so nothing is known.
        """
        with self._lock:
            self.asked += 1
        name, found, answered = canonicalize_name(project), dict[str, File](), False
        for index in self._sources.indexes:
            page = urljoin(index.rstrip("/") + "/", f"{name}/")
            some = self._page(page, source=index)
            answered = answered or some is not None
            found = {one.name: one for one in some or ()} | found
        for link in self._sources.links:
            some = self._page(link, source=link)
            answered = answered or some is not None
            mine = [one for one in some or () if _project(one.name) == name]
            found = {one.name: one for one in mine} | found
        return list(found.values()) if answered else None

    def requires(self, file: File) -> tuple[str, ...]:
        """What a wheel requires: the lines ``Requires-Dist`` of its metadata.

        :raises UnknownMetadataError: it cannot be had.
        """
        if not file.address:
            raise remote.UnknownMetadataError("where it is was not said")
        parts = urlsplit(file.address)
        try:
            if parts.scheme in ("", "file"):
                path = unquote(parts.path) if parts.scheme else file.address
                return remote.requires(remote.from_wheel(Path(path)))
            if file.metadata:
                address = urlunsplit(parts._replace(path=parts.path + ".metadata"))
                return remote.requires(self._part(address, 0, _LARGEST_WHOLE).data)
            return remote.requires(remote.in_parts(lambda first, end: self._part(file.address, first, end)))
        except urllib.error.HTTPError as error:
            raise remote.UnknownMetadataError(f"HTTP {error.code}") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise remote.UnknownMetadataError(str(getattr(error, "reason", error)) or type(error).__name__) from None

    def _part(self, address: str, first: int, end: int) -> remote.Part:
        wanted = f"bytes={first}" if first < 0 else f"bytes={first}-{end - 1}"
        with self._opened(address, {"Range": wanted, "Accept-Encoding": "identity"}) as answer:
            said = answer.headers.get("Content-Range", "")
            if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
                data = answer.read(_LARGEST_WHOLE + 1)
                if len(data) > _LARGEST_WHOLE:
                    raise remote.UnknownMetadataError("its server gives whole files only, and this one is large")
                return remote.Part(0, len(data), data)
            unit, _, span = said.partition(" ")
            begin, _, size = span.partition("/")
            start = begin.partition("-")[0]
            if unit != "bytes" or not start.isdecimal() or not size.isdecimal():
                raise remote.UnknownMetadataError("its server does not say which part it sent")
            return remote.Part(int(start), int(size), answer.read(_LARGEST))

    def _page(self, address: str, source: str) -> list[File] | None:
        """The files of a page or a folder; empty: it knows none; None: it could not be asked."""
        if source in self._dead:
            return None
        parts = urlsplit(address)
        if parts.scheme in ("", "file"):
            return _folder(Path(unquote(parts.path) if parts.scheme else address))
        try:
            return self._fetched(address)
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                return []
            self._trouble(source, f"HTTP {error.code}")
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            self._trouble(source, str(reason) or type(error).__name__)
        return None

    def _trouble(self, source: str, why: str) -> None:
        with self._lock:
            self._dead.add(source)
            self.troubles[source] = f"{without_password(source)} did not answer ({why})"

    def _fetched(self, address: str) -> list[File]:
        with self._opened(address, {"Accept": _ACCEPT}) as answer:
            data = answer.read(_LARGEST + 1)
            kind = answer.headers.get_content_type()
            here = answer.url
        if len(data) > _LARGEST:
            raise ValueError("its answer is too long")
        return _json(data, here) if kind.endswith("json") else _html(data.decode(errors="replace"), here)

    def _opened(self, address: str, headers: dict[str, str]) -> Any:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https"):
            raise ValueError(f"{parts.scheme} addresses are not known")
        request = urllib.request.Request(without_password(address), headers={**headers, "User-Agent": "ftcheck"})
        if credentials := _credentials(address) or self._of_its_index(parts.netloc):
            request.add_unredirected_header("Authorization", "Basic " + b64encode(credentials.encode()).decode())
        context = self._unchecked if parts.hostname in self._sources.trusted else self._context
        return urllib.request.urlopen(request, timeout=self._timeout, context=context)

    def _of_its_index(self, host: str) -> str:
        """The user and password in the address of an index at the same host and port: links of its pages have none."""
        for one in self._sources.indexes:
            known = urlsplit(one).netloc
            if "@" in known and known.rpartition("@")[2] == host:
                return _credentials(one)
        return ""


def without_password(address: str) -> str:
    """An address as it may be shown."""
    parts = urlsplit(address)
    if "@" not in parts.netloc:
        return address
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _credentials(address: str) -> str:
    parts = urlsplit(address)
    if parts.username:
        return f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    try:
        known = netrc.netrc().authenticators(parts.hostname or "")
    except OSError, netrc.NetrcParseError:
        return ""
    return f"{known[0]}:{known[2]}" if known else ""


def _json(data: bytes, here: str) -> list[File]:
    return [
        File(
            str(one["filename"]),
            str(one.get("requires-python") or ""),
            bool(one.get("yanked")),
            _joined(here, str(one.get("url") or "")),
            bool(one.get("core-metadata") or one.get("dist-info-metadata")),
        )
        for one in json.loads(data)["files"]
    ]


def _joined(here: str, address: str) -> str:
    return address if "://" in address or not address else urljoin(here, address)


def _html(text: str, here: str) -> list[File]:
    page = _Links(here)
    page.feed(text)
    return page.found


class _Links(html.parser.HTMLParser):
    """The links of a page (PEP 503, PEP 714)."""

    def __init__(self, here: str) -> None:
        super().__init__()
        self._here = here
        self.found: list[File] = []

    def handle_starttag(self, tag: str, attrs: Iterable[tuple[str, str | None]]) -> None:
        """Take a link."""
        known = dict(attrs)
        address = urlsplit(_joined(self._here, known.get("href") or ""))
        name = unquote(address.path).rpartition("/")[2]
        if tag == "a" and name:
            python, yanked = known.get("data-requires-python") or "", "data-yanked" in known
            beside = any(known.get(one) not in (None, "false") for one in ("data-core-metadata", "data-dist-info-metadata"))
            self.found.append(File(name, python, yanked, urlunsplit(address._replace(fragment="")), beside))


def _folder(path: Path) -> list[File]:
    here = path.absolute().as_uri()
    try:
        if path.is_file():
            return _html(path.read_text(encoding="utf-8", errors="replace"), here)
        if (path / "index.html").is_file():
            return _html((path / "index.html").read_text(encoding="utf-8", errors="replace"), f"{here}/index.html")
        return [File(name, address=str(path / name)) for name in sorted(os.listdir(path))]
    except OSError:
        return []  # pip, too, passes over a folder that is not there


def _project(file: str) -> str:
    """The project that a file in a folder of all kinds of files belongs to."""
    return canonicalize_name(file.partition("-")[0] if file.endswith(".whl") else file.rpartition("-")[0])

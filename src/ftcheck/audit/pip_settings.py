"""Where pip would look for distributions: its configuration files and environment variables, read as pip documents them.

pip itself is not asked: an environment that was made by another tool has none. Later ones win over earlier ones: the files
of the machine, of the user, of the environment, the one that ``PIP_CONFIG_FILE`` names, and then ``PIP_...`` variables
(pip's documentation, "Configuration"). In a file, the section ``[install]`` wins over ``[global]``. Options in the list of
requirements itself come last. ``UV_DEFAULT_INDEX`` and ``UV_INDEX_URL`` stand in where pip has no index of its own.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DEFAULT_INDEX = "https://pypi.org/simple/"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look.

    :param indexes: addresses of indexes; none: with ``--no-index``.
    :param links: pages and folders with files (``--find-links``).
    :param certificate: a file with certificates; empty: the usual ones.
    :param trusted: hosts whose certificates are not checked.
    """

    indexes: tuple[str, ...]
    links: tuple[str, ...] = ()
    certificate: str = ""
    trusted: tuple[str, ...] = ()


def sources(
    options: Sequence[tuple[str, str]] = (), *, prefix: str = "", environment: Mapping[str, str] | None = None
) -> Sources:
    """What applies here.

    :param options: of the list of requirements: (``"extra-index-url"``, value), in their order.
    :param prefix: of the environment (``sys.prefix``).
    """
    environment = os.environ if environment is None else environment
    settings: dict[str, str] = {}
    if environment.get("PIP_CONFIG_FILE") != os.devnull:
        for file in _files(prefix, environment):
            settings |= _file(file)
    for name, value in environment.items():
        if name.startswith("PIP_") and value:
            settings[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    index = settings.get("index-url") or settings.get("pypi-url") or environment.get("UV_DEFAULT_INDEX")
    index = index or environment.get("UV_INDEX_URL") or DEFAULT_INDEX
    extra, links = settings.get("extra-index-url", "").split(), settings.get("find-links", "").split()
    no_index = settings.get("no-index", "").lower() in ("1", "true", "yes", "on")
    trusted = settings.get("trusted-host", "").split()
    for name, value in options:
        if name == "index-url":
            index = value
        elif name == "extra-index-url":
            extra.append(value)
        elif name == "find-links":
            links.append(value)
        elif name == "trusted-host":
            trusted.append(value)
        elif name == "no-index":
            no_index = True
    indexes = () if no_index else tuple(dict.fromkeys([index, *extra]))
    return Sources(indexes, tuple(dict.fromkeys(links)), settings.get("cert", ""), tuple(trusted))


def _files(prefix: str, environment: Mapping[str, str]) -> list[Path]:
    home = Path(environment.get("HOME") or os.path.expanduser("~"))
    shared = (environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    own = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    files = [*(Path(folder, "pip", "pip.conf") for folder in reversed(shared) if folder), Path("/etc/pip.conf")]
    files += [home / ".pip" / "pip.conf", own / "pip" / "pip.conf"]
    files += [Path(prefix, "pip.conf")] if prefix else []
    return files + ([Path(environment["PIP_CONFIG_FILE"])] if environment.get("PIP_CONFIG_FILE") else [])


def _file(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except configparser.Error, UnicodeError:
        return {}  # pip would stop; what can be known without it is more than nothing
    found: dict[str, str] = {}
    for section in ("global", "download", "install"):
        if parser.has_section(section):
            found |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    return found

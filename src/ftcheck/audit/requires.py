"""What the requirements of a list require in turn: a list names ``pandas``, and it is ``numpy`` that may not be ready.

First what is required is followed, of each project the newest version that fits all who require it, until nothing new
comes. What is new in a step is asked for at once; so nearly all is known then. Second, :mod:`ftcheck.audit.resolving`
chooses versions as pip does, which takes an older one where the newest does not fit together with others. If nothing does,
the rows are those of the first step: one of them says that no version fits, and who asks for which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from ftcheck.audit.abi import Target
from ftcheck.audit.index import File
from ftcheck.audit.lists import Wanted
from ftcheck.audit.resolving import Ask, Known, Pins, resolve

_AT_ONCE = 8
_LONGEST = 40
"""Steps: no chain of requirements is that long, but versions may go on to change each other."""
_THE_LIST = ""

type _Demands = dict[str, dict[str, Ask]]
"""Of each project: who requires it, and what of it."""


@dataclass(frozen=True, slots=True)
class Followed:
    """The list, with what it requires in turn.

    :param files: of each project that was looked up, by its name; None: nobody knows.
    :param limits: what is not known.
    """

    wanted: tuple[Wanted, ...]
    files: dict[str, list[File] | None]
    limits: tuple[str, ...] = ()


def follow(
    wanted: Iterable[Wanted],
    look_up: Callable[[str], list[File] | None],
    read: Callable[[File], tuple[str, ...]],
    target: Target,
    environment: dict[str, str],
    constraints: Mapping[str, SpecifierSet] | None = None,
) -> Followed:
    """Take what they require into the list.

    :param look_up: the files of a project; called by several threads.
    :param read: what a wheel requires; called by several threads. It raises
        :exc:`~ftcheck.audit.remote.UnknownMetadataError` where that cannot be known.
    :param environment: for markers.
    :param constraints: versions that may be taken of a project, whoever requires it.
    """
    listed = tuple(wanted)
    known = Known(look_up, read, target, environment, constraints or {})
    asks = [Ask(one.name, one.extras, one.specifier, _THE_LIST) for one in listed if not one.problem]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        demands = _followed(asks, known, pool)
    pins = resolve(asks, known)
    if pins.versions:
        demands = _by_project([*asks, *(one for one in pins.asks if one.by)])
    rows = tuple(_rows(listed, demands, pins, known))
    return Followed(rows, known.all_files, tuple(_limits(demands, pins, known)))


def _followed(asks: Iterable[Ask], known: Known, pool: ThreadPoolExecutor) -> _Demands:
    """The first step, as far as it comes."""
    demands: _Demands = {}
    for _ in range(_LONGEST):
        before, demands = demands, _all_demands(asks, demands, known)
        if before == demands:
            break
        known.look_up_all(demands, pool)
        known.read_all([file for name in demands if (file := _newest(name, demands, known)[1]) is not None], pool)
    return demands


def _all_demands(asks: Iterable[Ask], before: _Demands, known: Known) -> _Demands:
    """Of the list, and of all that is taken by what was required **before**."""
    found = _by_project(asks)
    todo = list(found)
    while todo:
        name = todo.pop()
        if name not in before:
            continue  # it is new: nothing was taken yet
        extras = frozenset(extra for one in found[name].values() for extra in one.extras)
        for ask in known.required(name, _newest(name, before, known)[1], extras):
            is_new = ask.name not in found
            if _add(found, ask) or is_new:
                todo.append(ask.name)
    return found


def _add(found: _Demands, ask: Ask) -> bool:
    """Somebody requires a project; twice, if two lines of his say so.

    :returns: whether there are more extras of it now.
    """
    demands = found.setdefault(ask.name, {})
    extras = {extra for one in demands.values() for extra in one.extras}
    if (same := demands.get(ask.by)) is not None:
        ask = replace(ask, specifier=same.specifier & ask.specifier, extras=same.extras | ask.extras)
    demands[ask.by] = ask
    return not ask.extras <= extras


def _newest(name: str, demands: _Demands, known: Known) -> tuple[Version | None, File | None]:
    return next(iter(known.candidates(name, _together(demands[name]))), (None, None))


def _by_project(asks: Iterable[Ask]) -> _Demands:
    found: _Demands = {}
    for ask in asks:
        _add(found, ask)
    return found


# -- in words ------------------------------------------------------------------------------------------------------------


def _rows(listed: Iterable[Wanted], demands: _Demands, pins: Pins, known: Known) -> Iterator[Wanted]:
    """The list, each with what others require of it; what is new; and what is no project of an index."""
    names = set()
    for one in listed:
        if one.problem:
            yield one
            continue
        names.add(one.name)
        mine = demands[one.name]
        by = tuple(sorted(mine.keys() - {_THE_LIST, one.name}))
        text = one.text if not by else f"{one.name}{_in_words(mine)}"
        yield replace(one, specifier=_exactly(one.name, mine, pins, known), needed_by=by, text=text)
    for name, mine in sorted(demands.items()):
        if name not in names:
            by = tuple(sorted(mine.keys() - {name}))
            specifier = _exactly(name, mine, pins, known)
            yield Wanted(f"{name}{_in_words(mine)}", f"required by {', '.join(by)}", name, specifier, needed_by=by)
    for name in sorted(demands):
        for other in known.addresses(_taken(name, demands, pins, known)[1], demands[name].values()):
            why = "an address: audit the file by itself"
            place = f"required by {name}"
            yield Wanted(str(other), place, canonicalize_name(other.name), problem=why, needed_by=(name,))


def _taken(name: str, demands: _Demands, pins: Pins, known: Known) -> tuple[Version | None, File | None]:
    if name in pins.versions:
        some = known.candidates(name, _exactly(name, demands[name], pins, known))
        return next(iter(some), (None, None))
    return _newest(name, demands, known)


def _exactly(name: str, mine: Mapping[str, Ask], pins: Pins, known: Known) -> SpecifierSet:
    """What all who require it ask for, and a constraint allows; and the version, where it was chosen."""
    whole = _together(mine) & known.constraints.get(name, SpecifierSet())
    return whole & SpecifierSet(f"=={pins.versions[name]}") if name in pins.older else whole


def _together(mine: Mapping[str, Ask]) -> SpecifierSet:
    whole = SpecifierSet()
    for one in mine.values():
        whole &= one.specifier
    return whole


def _in_words(mine: Mapping[str, Ask]) -> str:
    """Who asks for which versions: ``" <3 (the list), >=2 (pandas)"``."""
    said = [f"{one.specifier} ({by or 'the list'})" for by, one in sorted(mine.items()) if str(one.specifier)]
    return f" {', '.join(said)}" if said else ""


def _limits(demands: _Demands, pins: Pins, known: Known) -> Iterator[str]:
    """What is not known, and what is not as one would expect."""
    unknown: dict[str, list[str]] = {}
    for name in sorted(demands):
        version, file = _taken(name, demands, pins, known)
        if version is not None and (why := known.unknown(file)):
            unknown.setdefault(why, []).append(f"{name} {version}")
    for why, names in unknown.items():
        yield f"what {', '.join(names)} require{'s' if len(names) == 1 else ''} is not known: {why}"
    if pins.older:
        names = [f"{name} {pins.versions[name]}" for name in sorted(pins.older)]
        yield f"not the newest that is asked for, so that all fit together: {', '.join(names)}"
    if pins.problem:
        yield f"{pins.problem}; each row has the newest version that fits what is asked for there"

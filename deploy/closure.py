"""Check that the pins of an environment are closed.

`pip install --no-deps` resolves nothing, so each dependency that the metadata of a pinned package names must be pinned
as well, in a version that the package accepts.
"""

import functools
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import canonicalize_name, parse_wheel_filename

from deploy.pins import Environment, Pin

# The requirements files, each with the extras and the dependency groups of pyproject.toml in it.
FILES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "requirements.txt": ((), ()),
    "requirements/sql.txt": (("sql",), ()),
    "requirements/asymmetric.txt": (("asymmetric",), ()),
    "requirements/admin.txt": (("admin", "asymmetric", "sql"), ()),
    "requirements/local.txt": ((), ("local",)),
    "requirements/dev.txt": (("admin", "asymmetric", "sql"), ("local", "dev")),
}

# The environments ask for the same texts.
_requirement, _wheel_name = functools.cache(Requirement), functools.cache(parse_wheel_filename)


class Release(msgspec.Struct, forbid_unknown_fields=True):
    """A pinned version of a package, with its metadata in the index."""

    python: str  # Requires-Python
    requires: list[str]  # Requires-Dist
    wheels: dict[str, str]  # SHA-256 by file name, of the wheels that our environments install


def wanted(name: str, project: Mapping[str, Any]) -> list[str]:
    """Return the requirements in pyproject.toml from which a requirements file is made."""
    extras, groups = FILES[name]
    found: list[str] = [*project["project"]["dependencies"]]
    for extra in extras:
        found += project["project"]["optional-dependencies"][extra]
    for group in groups:
        found += project["dependency-groups"][group]
    return found


def problems(
    pins: Collection[Pin], requirements: Collection[str], releases: Mapping[str, Release], environment: Environment
) -> Iterator[str]:
    """Yield a sentence for each pin that an environment lacks, cannot install or does not need for the requirements."""
    chosen: dict[str, Pin] = {}
    for pin in pins:
        if pin.applies(environment):
            if pin.name in chosen:
                yield f"{pin.name} is pinned twice: {chosen[pin.name].version} and {pin.version}"
            chosen[pin.name] = pin
    needed: set[str] = set()
    for by, requirement in _asked_for(chosen, requirements, releases, environment):
        name: str = canonicalize_name(requirement.name)
        needed.add(name)
        if name not in chosen:
            yield f"{by} needs {name}, which is not pinned"
        elif not requirement.specifier.contains(chosen[name].version, prereleases=True):
            yield f"{by} needs {name}{requirement.specifier}, but {chosen[name].version} is pinned"
    for pin in chosen.values():
        if str(pin) in releases:
            yield from _unfit(pin, releases[str(pin)], environment)
        else:
            yield f"{pin} has no metadata: make pins"
        if pin.name not in needed:
            yield f"{pin.name} is pinned, but nothing needs it"


def _asked_for(
    chosen: Mapping[str, Pin], requirements: Collection[str], releases: Mapping[str, Release], environment: Environment
) -> Iterator[tuple[str, Requirement]]:
    """Yield all requirements that apply in an environment, each with its source: ours, then the packages' in turn."""
    variables = environment.markers()
    waiting = [("pyproject.toml", _requirement(text), "") for text in requirements]
    seen: set[tuple[str, str]] = set()
    while waiting:
        by, requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({**variables, "extra": extra}):
            continue
        yield by, requirement
        pin = chosen.get(canonicalize_name(requirement.name))
        for asked in ("", *requirement.extras):
            if pin and str(pin) in releases and (pin.name, asked) not in seen:
                seen.add((pin.name, asked))
                waiting += [(pin.name, _requirement(text), asked) for text in releases[str(pin)].requires]


def _unfit(pin: Pin, release: Release, environment: Environment) -> Iterator[str]:
    if not SpecifierSet(release.python).contains(environment.python):
        yield f"{pin} needs Python {release.python}"
    if not any(_fits(wheel, environment) for wheel, digest in release.wheels.items() if digest in pin.hashes):
        yield f"{pin} has no wheel among its hashes"


def _fits(wheel: str, environment: Environment) -> bool:
    """Tell whether an environment can install a wheel, by its file name."""
    return not _tags(environment).isdisjoint(_wheel_name(wheel)[3])


@functools.cache
def _tags(environment: Environment) -> frozenset[Tag]:
    version = tuple(map(int, environment.python.split(".")[:2]))
    platforms = environment.platforms
    if environment.system == "darwin":
        platforms = list(mac_platforms((11, 0), environment.machine))
    return frozenset((*cpython_tags(version, platforms=platforms), *compatible_tags(version, platforms=platforms)))

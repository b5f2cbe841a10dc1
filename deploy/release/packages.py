# SPDX-License-Identifier: Apache-2.0
"""The wheel and the source archive, and whether they are the same when they are built again."""

import os
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from deploy.release import tree
from deploy.release.commands import run
from deploy.release.refusal import Refused


@dataclass(frozen=True)
class Packages:
    """What is published."""

    wheel: Path
    sdist: Path


def build(repository: Path, revision: str, version: str, work: Path, out: Path) -> Packages:
    """Wheel and source archive of a revision, in `out`.

    They are built in two clones at different places, under another umask, time zone and order of
    hashes, and the wheel once more from the source archive. Raises `Refused` where two of them
    differ by a byte, or have another version.
    """
    first = _built(repository, revision, work / "one", umask=0o022, zone="UTC", seed="1")
    again = _built(
        repository, revision, work / "another" / "place", umask=0o077, zone="Asia/Tokyo", seed="2"
    )
    require_same(first, again, "built twice")
    packages = named(first, version)
    require_same(
        [packages.wheel], [_from_sdist(packages.sdist, work)], "built from the source archive"
    )
    out.mkdir(parents=True, exist_ok=True)
    return Packages(*(path.rename(out / path.name) for path in (packages.wheel, packages.sdist)))


def checksums(folder: Path) -> str:
    """A line for each file of a folder, as `sha256sum --check` reads them."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return "".join(f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def _built(
    repository: Path, revision: str, clone: Path, *, umask: int, zone: str, seed: str
) -> list[Path]:
    old = os.umask(umask)
    try:
        tree.copy_at(repository, clone, revision)
        return _build(clone, ("--sdist", "--wheel"), tree.committed_at(clone), zone, seed)
    finally:
        os.umask(old)


def _from_sdist(sdist: Path, work: Path) -> Path:
    with tarfile.open(sdist) as packed:
        packed.extractall(work / "unpacked", filter="data")
        newest = max(int(member.mtime) for member in packed)
    (folder,) = (work / "unpacked").iterdir()
    (wheel,) = _build(folder, ("--wheel",), newest, "UTC", "3")
    return wheel


def _build(folder: Path, kinds: Sequence[str], epoch: int, zone: str, hash_seed: str) -> list[Path]:
    # What builds is in the lock file too: without isolation nothing newer is fetched.
    env = {name: value for name, value in os.environ.items() if "PRETEND_VERSION" not in name}
    env |= {"SOURCE_DATE_EPOCH": str(epoch), "TZ": zone, "PYTHONHASHSEED": hash_seed}
    run(sys.executable, "-m", "build", "--no-isolation", *kinds, cwd=folder, env=env)
    return sorted((folder / "dist").iterdir())


def require_same(first: Sequence[Path], second: Sequence[Path], how: str) -> None:
    """Raises `Refused` where two builds have other names or differ by a byte."""
    names = [path.name for path in first], [path.name for path in second]
    if names[0] != names[1]:
        raise Refused(f"{how}, it makes {', '.join(names[1])} in place of {', '.join(names[0])}")
    for one, other in zip(first, second, strict=True):
        if one.read_bytes() != other.read_bytes():
            raise Refused(f"{how}, {one.name} is another one: compare {one} with {other}")


def named(built: Sequence[Path], version: str) -> Packages:
    """What was built, by its kind; raises `Refused` where it is not that of this version."""
    found = {path.name: path for path in built}
    wheel, sdist = f"cds_service-{version}-py3-none-any.whl", f"cds_service-{version}.tar.gz"
    if set(found) != {wheel, sdist}:
        raise Refused(f"expected {wheel} and {sdist}, not {', '.join(found)}")
    return Packages(found[wheel], found[sdist])

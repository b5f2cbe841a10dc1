# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.burden`: cards per 100 views of a made-up hospital, first edition and now.

The old edition comes whole out of version control, code and cards, and answers in a process of its
own: its cards are read by the code that they were written for.
"""

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click

from benchmarks.hospital import NOW, SEED, patients, read_hospital, write_patients

FIRST_EDITION = "efe6a57"
_ROOT = Path(__file__).parents[1]
_ANSWERED_VIEWS = Path(__file__).with_name("answered_views.py")


def archived(commit: str, folder: Path) -> Path:
    """The tree of a commit, unpacked."""
    folder.mkdir()
    file = folder.with_suffix(".tar")
    words = ["archive", "-o", str(file), commit]
    subprocess.run(["git", *words], cwd=_ROOT, check=True)  # noqa: S607 - the git of the path
    with tarfile.open(file) as archive:
        archive.extractall(folder, filter="data")
    return folder


def answer_with(
    tree: Path, hospital: Path, answers: Path, *, times: Sequence[str], count: int
) -> Path:
    """The views of so many patients as another tree of the service answers them, in a file."""
    words = [str(_ANSWERED_VIEWS), str(hospital), str(tree / "cards"), "patient-view"]
    asked = subprocess.Popen(
        # -P: the folder of the program, which is this tree's own, stays off the path.
        [sys.executable, "-P", *words, *times],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
    )
    with asked, answers.open("wb") as out:
        lines = asked.stdout or ()
        with click.progressbar(
            lines, length=count * len(times), label="Views with old", file=sys.stderr, show_pos=True
        ) as bar:
            out.writelines(bar)
    if asked.returncode:
        raise SystemExit(asked.returncode)
    return answers


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison; the exit code is that of `cds-service burden`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.burden",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--old", default=FIRST_EDITION, help="the commit to compare with")
    parser.add_argument("--new", type=Path, default=_ROOT / "cards", help="a cards folder")
    parser.add_argument("--patients", type=int, default=2000)
    parser.add_argument("--once", action="store_true", help="no record is opened again")
    parser.add_argument("--even", action="store_true", help="each picture equally often")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        hospital = read_hospital()
        again = [] if given.once else hospital["opened again"]["days"]
        people = patients(hospital, given.patients, even=given.even, seed=given.seed)
        write_patients(folder / "hospital", people)
        tree = archived(given.old, folder / "tree")
        answers = folder / "old.jsonl"
        times = [(NOW + timedelta(days=later)).isoformat() for later in (0, *again)]
        old = answer_with(tree, folder / "hospital", answers, times=times, count=given.patients)
        command = ["burden", str(folder / "hospital"), "--cards", str(old), str(given.new)]
        command += ["--at", NOW.isoformat(), "--ids", *(["--json"] if given.json else [])]
        command += [word for later in again for word in ("--again", str(later))]
        done = subprocess.run([sys.executable, "-m", "cds_service", *command], check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())

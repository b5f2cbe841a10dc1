# SPDX-License-Identifier: Apache-2.0
"""The commands of a release."""

import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from deploy.release import artefacts, licences, pythons, tree, vulnerabilities
from deploy.release.refusal import Refused

ROOT = Path(__file__).parents[2]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Cut and build a release of cds-service: docs/how-to/release.md."""


@commands.command()
@click.argument("version")
def cut(version: str) -> None:
    """Write VERSION to the change log, the upgrade notes, openapi.yaml and the chart; commit, tag.

    Nothing is pushed.
    """
    tree.cut(ROOT, version, datetime.now(tz=UTC).date())
    print(f"Cut and tagged v{version}. Look at it (git show), then: git push --follow-tags")


@commands.command()
@click.argument("folder", type=click.Path(path_type=Path))
def build(folder: Path) -> None:
    """Make everything that a release of the checked out tag consists of, in a new FOLDER.

    It ends with an error where nobody answers about known vulnerabilities.
    """
    version = artefacts.make(ROOT, folder, ROOT, print)
    print(f"cds-service {version} is in {folder}")


@commands.command()
@click.argument("folder", type=click.Path(path_type=Path))
def rehearse(folder: Path) -> None:
    """Cut and build the next minor version in a copy of this clone, as it is now.

    Where nothing is unreleased it builds the newest version again. Nothing here is changed or
    tagged. Unlike a release it goes on where nobody answers about known vulnerabilities, and says
    so.
    """
    with tempfile.TemporaryDirectory(prefix="cds-rehearsal-") as temporary:
        copy = Path(temporary, "copy")
        tree.copy_as_it_is(ROOT, copy)
        version = tree.cut_to_rehearse(copy, datetime.now(tz=UTC).date())
        artefacts.make(copy, folder, ROOT, print, must_ask=False)
    print(f"A rehearsal of {version} is in {folder}. Publish nothing of it.")


@commands.command(name="licences")
def list_licences() -> None:
    """List the licences of all dependencies, and what is wrong with them."""
    found, problems = licences.licensed(ROOT, artefacts.places_of(ROOT), licences.policy())
    print(licences.table(found))
    if problems:
        raise Refused("\n".join(["licences:", *problems]))


@commands.command(name="vulnerabilities")
def ask_about_vulnerabilities() -> None:
    """Ask about known vulnerabilities of all dependencies; an error if nobody answers."""
    audit = vulnerabilities.audit(ROOT)
    if audit.unanswered:
        raise Refused(f"{vulnerabilities.NOT_ASKED} {audit.unanswered}")
    if audit.findings:
        raise Refused("\n".join(["known vulnerabilities:", *audit.findings]))
    print(f"None known of {audit.asked} packages.")


@commands.command(name="pythons")
@click.option(
    "--tests-here", is_flag=True, help="Run the tests on the Python of this command as well."
)
@click.argument("wheel", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def try_pythons(wheel: Path, *, tests_here: bool) -> None:
    """Try WHEEL on every Python that pyproject.toml names and this machine has.

    Each gets a fresh environment with the pins of requirements/runtime.lock; there the cards are
    checked, the founding patient is evaluated and asked about by a hook call, and tests of the core
    run; on the Python of this command only with --tests-here, as ./test runs all of them there.
    """
    versions = pythons.named(ROOT)
    interpreters = pythons.found(versions, os.environ)
    with tempfile.TemporaryDirectory(prefix="cds-pythons-") as temporary:
        trials = pythons.try_all(
            ROOT, wheel.resolve(), interpreters, Path(temporary), tests_here=tests_here
        )
    for trial in trials:
        tests = f"{trial.tests} tests of the core passed" if trial.tests else "no tests were run"
        told = trial.problem or f"works; {tests}"
        print(f"Python {trial.python} ({trial.seconds:.0f} s): {told}")
    for version in versions:
        if version not in interpreters:
            print(f"Python {version}: NOT TRIED, it was not found on this machine")
    if failed := [trial.python for trial in trials if trial.problem]:
        raise Refused(f"the wheel does not work on Python {', '.join(failed)}")
    if not trials:
        raise Refused("no Python was found that pyproject.toml names")


def main() -> None:
    """Run a command; a refusal is a sentence on standard error and the exit code 1."""
    try:
        commands(prog_name="python -m deploy.release", standalone_mode=False)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(2)
    except Refused as refused:
        print(f"No release: {refused}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()

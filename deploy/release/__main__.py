# SPDX-License-Identifier: Apache-2.0
"""The commands of a release."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from deploy.release import tree
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

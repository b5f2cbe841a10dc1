# SPDX-License-Identifier: Apache-2.0
"""`cds-service docs`: the rule catalogue as Markdown, and whether it is fresh."""

import sys
from pathlib import Path

import click

from cds_service.catalogue.markdown import documents, is_ours
from cds_service.catalogue.rules import Catalogue
from cds_service.cli.output_files import writing_to
from cds_service.service import load_knowledge
from cds_service.settings import load_settings


@click.command()
@click.argument("folder", default="docs/rules", type=click.Path(file_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; fail if a file is stale or missing.")
def docs(folder: Path, check: bool) -> None:
    """Write one page a rule, and an index, from the configured packs.

    FOLDER is docs/rules unless another is named. Files in it that belong to no rule are removed
    if this command wrote them.

    \b
    Examples:
      cds-service docs
      cds-service docs --check
    """
    right = documents(Catalogue(load_knowledge(load_settings())))
    found = {
        path.name: text
        for path in sorted(folder.glob("*.md"))
        if is_ours(text := path.read_text(encoding="utf-8")) or path.name in right
    }
    stale = sorted(name for name in {*right, *found} if right.get(name) != found.get(name))
    if check:
        for name in stale:
            click.echo(f"{folder / name}: stale; run `cds-service docs`", err=True)
        sys.exit(1 if stale else 0)
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in stale:
            if name in right:
                (folder / name).write_text(right[name], encoding="utf-8", newline="\n")
            else:
                (folder / name).unlink()
    click.echo(f"{folder}: {len(right)} pages, {len(stale)} changed", err=True)

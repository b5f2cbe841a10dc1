# SPDX-License-Identifier: Apache-2.0
"""`cds-service review`: one document for the clinician who signs a pack."""

from pathlib import Path

import click

from cds_service.catalogue.review import review_of
from cds_service.cli.output_files import writing_to
from cds_service.service import load_knowledge
from cds_service.settings import load_settings
from cds_service.web.html.rendering import document


@click.command()
@click.argument("pack", required=False)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="The file [standard output]."
)
def review(pack: str | None, out: Path | None) -> None:
    """Write a pack as one page of HTML, to be read, printed and signed by a clinician.

    It has every rule with its conditions, orders and text, what its authors decided without a
    source, the sources, and patients on both sides of every number; what has changed since the
    pack was last signed; and the line for pack.yaml that signs it. PACK is needed where there are
    several. A site file is left out: what is signed is the pack.

    \b
    Examples:
      cds-service review --out review.html
      cds-service review liver > review.html

    Exit codes: 0 written; 1 a pack cannot be read; 2 there is no such pack; 3 the file cannot be
    written.
    """
    knowledge = load_knowledge(load_settings().model_copy(update={"site_file": None}))
    if pack is None:
        if len(knowledge.packs) != 1:
            known = ", ".join(pack.id for pack in knowledge.packs)
            raise click.UsageError(f"name one of the packs: {known}")
        pack = knowledge.packs[0].id
    view = review_of(knowledge, pack)
    text = document("review.html", {"view": view})
    if out is None:
        click.echo(text)
        return
    with writing_to(out):
        out.write_text(text, encoding="utf-8", newline="\n")
    click.echo(f"{out}: {view.count} rules of {view.title} {view.version}", err=True)

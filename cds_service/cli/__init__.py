# SPDX-License-Identifier: Apache-2.0
"""The command line: thin doors to the service. The only place that knows exit codes.

Heavy libraries are imported by the command that needs them, so that `--help` is quick.
"""

import sys

import click

import cds_service
from cds_service.cli.check import check, lock
from cds_service.cli.clients import clients
from cds_service.cli.database import database
from cds_service.cli.docs import docs
from cds_service.cli.evaluate import evaluate
from cds_service.cli.explain import explain
from cds_service.cli.feedback import feedback
from cds_service.cli.keys import keys
from cds_service.cli.prefetch import prefetch_sheet
from cds_service.cli.sandbox import sandbox
from cds_service.cli.serve import demo, serve
from cds_service.cli.servers import servers
from cds_service.cli.settings import settings
from cds_service.errors import (
    Busy,
    CdsServiceError,
    Forbidden,
    KnowledgeError,
    MissingData,
    PayloadTooLarge,
    RequestError,
    SettingsError,
    StoreError,
    TooSlow,
    Unauthenticated,
    UnknownPage,
    UnknownService,
    UnsupportedMediaType,
)

EXIT_CODES: dict[type[CdsServiceError], int] = {
    CdsServiceError: 3,
    RequestError: 1,
    Unauthenticated: 1,
    Forbidden: 1,
    UnknownService: 2,
    UnknownPage: 2,
    UnsupportedMediaType: 1,
    PayloadTooLarge: 1,
    TooSlow: 1,
    Busy: 3,
    MissingData: 1,
    KnowledgeError: 1,
    SettingsError: 2,
    StoreError: 3,
}
"""0 fine, 1 problems found, 2 wrong use or settings, 3 something failed, 130 interrupted."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(cds_service.__version__, prog_name="cds-service")
def cli() -> None:
    """Laboratory results in, CDS Hooks cards out.

    \b
    Examples:
      cds-service demo                      see it work on one synthetic patient
      cds-service serve                     answer CDS Hooks calls on http://127.0.0.1:8000
      cds-service evaluate bundle.json      the cards for a FHIR Bundle
      cds-service sandbox --fhir URL        the cards for patients of a FHIR server
      cds-service check cards --nudge       check the knowledge, and that every number is guarded
      cds-service explain alt-very-low      one rule in words
      cds-service feedback                  what clinicians did with the cards of each rule

    Exit codes: 0 fine, 1 problems found, 2 wrong use or settings, 3 something failed,
    130 interrupted. Colours are left out when NO_COLOR is set or the output is no terminal.
    """


for command in (
    serve,
    demo,
    evaluate,
    sandbox,
    check,
    lock,
    docs,
    explain,
    clients,
    servers,
    keys,
    feedback,
    database,
    prefetch_sheet,
    settings,
):
    cli.add_command(command)


def main() -> None:
    """Run the command and leave with its exit code."""
    try:
        code = cli.main(prog_name="cds-service", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except CdsServiceError as error:
        click.echo(f"cds-service: {error}", err=True)
        code = EXIT_CODES[type(error)]
    except BrokenPipeError:
        code = 0
    sys.exit(code)

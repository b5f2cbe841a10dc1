# SPDX-License-Identifier: Apache-2.0
"""The command line: thin doors to the service. The only place that knows exit codes.

A command is imported when it is called, so that `--help` is quick and each module imports at its
top what it needs.
"""

import sys
from importlib import import_module

import click

import cds_service
from cds_service.cli.garbage_collection import without_collection
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


COMMANDS: dict[str, str] = {
    "burden": "Count the cards that a population is shown, and what an edition changes.",
    "call": "Send REQUEST, a hook request in a file or - for standard input, and show the cards.",
    "check": "Check a folder of card packs and run every case in it.",
    "clients": "Who may call the service.",
    "database": "The database that keeps feedback (CDS_DATABASE_URL).",
    "decisions": "The decisions on arrived results, and what of them was written to the server.",
    "demo": "Start the service, send it one synthetic patient and show the cards.",
    "docs": "Write one page a rule, and an index, from the configured packs.",
    "doctor": "Say what is missing or wrong before the service is used.",
    "evaluate": "Show the cards for FHIR resources, a hook request or HL7 v2 results.",
    "explain": "Show a rule, or a pack, in words with its versions; without NAME, list every rule.",
    "export": "Fetch the patients of a FHIR server to files, to be screened.",
    "facts": "Which facts the codes and words of a site would make so.",
    "feedback": "Show acceptance and override reasons of every rule and version.",
    "inbox": "Results that arrived by Subscriptions and wait, or failed too often.",
    "keys": "The keys by which FHIR servers know the service (SMART Backend Services).",
    "listen": "Take in results that do not come by FHIR.",
    "lock": "Record the meaning of every rule with its version in lock.json.",
    "prefetch-sheet": "Print the prefetch queries of each service, for EHRs without discovery.",
    "read": "Show what a laboratory report says, row by row, and evaluate nothing.",
    "replay": "Derive a decision on a result that arrived again, and compare.",
    "review": "Write a pack as one page of HTML, to be read, printed and signed by a clinician.",
    "sandbox": "Show the cards for patients of a FHIR server.",
    "screen": "Show how many cards a population would get, and who, by the rules of the bedside.",
    "serve": "Answer CDS Hooks calls.",
    "servers": "Which FHIR servers the service may ask.",
    "settings": "Show every setting, its value and where that came from.",
    "subscribe": "Have a FHIR server notify the service of laboratory results.",
    "subscriptions": "By which Subscriptions FHIR servers notify the service.",
    "worker": "Decide on results that arrived by Subscriptions.",
}
"""Every command with the first sentence of its help, so that listing them imports none."""

# A command is the function of its name in the module of its name, but for these.
_ELSEWHERE = {"lock": ("check", "lock"), "prefetch-sheet": ("prefetch", "prefetch_sheet")}


class LazyGroup(click.Group):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in alphabetical order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command of that name; `None` if there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, function = _ELSEWHERE.get(cmd_name, (cmd_name, cmd_name))
        with without_collection():
            command: click.Command = getattr(import_module(f"cds_service.cli.{module}"), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(cds_service.__version__, prog_name="cds-service")
def cli() -> None:
    """Laboratory results in, CDS Hooks cards out.

    \b
    Examples:
      cds-service demo                      see it work on one synthetic patient
      cds-service serve                     answer CDS Hooks calls on http://127.0.0.1:8000
      cds-service evaluate bundle.json      the cards for a FHIR Bundle
      cds-service screen FOLDER             the cards for everybody in a Bulk Data export
      cds-service sandbox --fhir URL        the cards for patients of a FHIR server
      cds-service check cards --nudge       check the knowledge, and that every number is guarded
      cds-service explain alt-very-low      one rule in words
      cds-service subscribe --server NAME   have a FHIR server notify the service of results
      cds-service feedback                  what clinicians did with the cards of each rule

    Exit codes: 0 fine, 1 problems found, 2 wrong use or settings, 3 something failed,
    130 interrupted. Colours are left out when NO_COLOR is set or the output is no terminal.
    """
    from cds_service.cli.authorities import trust_authorities  # it imports all settings

    trust_authorities()


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

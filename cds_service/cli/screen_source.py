# SPDX-License-Identifier: Apache-2.0
"""What `cds-service screen` may be given: files and folders, or a FHIR server that exports."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from cds_service.cli.export import access_to, fetched, not_exported
from cds_service.screening.engine import import_engine
from cds_service.screening.output import refuse_finished
from cds_service.settings import load_settings

_EXPORT: Final = "export"
_SCHEMES: Final = ("https://", "http://")
_PATH: Final = click.Path(exists=True, path_type=Path)


class ServerUrl(str):
    """The base URL of a server."""

    __slots__ = ()


class SourceType(click.ParamType[Path | ServerUrl]):
    """A file or folder that exists, or the base URL of a server."""

    name = "source"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path | ServerUrl:
        """A URL by its scheme, everything else is a path."""
        if isinstance(value, str) and value.lower().startswith(_SCHEMES):
            return ServerUrl(value)
        found: Path = _PATH.convert(value, param, ctx)
        return found


class FilesType(click.ParamType[Path]):
    """A file or folder that exists; says how the files of a server are come by."""

    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """A path; fails for a URL."""
        if isinstance(value, str) and value.lower().startswith(_SCHEMES):
            self.fail(
                "it is read from files: cds-service export SERVER FOLDER --encounters fetches "
                "those of a server",
                param,
                ctx,
            )
        found: Path = _PATH.convert(value, param, ctx)
        return found


def check_sources(
    sources: Sequence[Path | ServerUrl], folder: Path | None, group: str | None
) -> None:
    """Refuse what does not go together, and an output that the next run would read."""
    if not any(isinstance(source, ServerUrl) for source in sources):
        if group is not None:
            raise click.UsageError("--group goes with a server")
        if folder is not None:
            check_outside(folder, [source for source in sources if isinstance(source, Path)])
    elif len(sources) > 1:
        raise click.UsageError("a server is the only SOURCE: export it, and screen the folders")
    elif folder is None:
        raise click.UsageError("a server goes with --out: its export is kept there")


def paths_of(
    sources: Sequence[Path | ServerUrl],
    folder: Path | None,
    *,
    group: str | None,
    overwrite: bool,
) -> list[Path]:
    """The files and folders to read; a server exports to one in the folder of the output.

    What would fail only after the export fails before.
    """
    server = next((source for source in sources if isinstance(source, ServerUrl)), None)
    if server is None or folder is None:
        return [source for source in sources if isinstance(source, Path)]
    import_engine()
    if not overwrite:
        refuse_finished(folder)
    access = access_to(server, load_settings(), "SOURCE")
    target = folder / _EXPORT
    summary = fetched(access, target, group=group, overwrite=overwrite)
    for line in not_exported(summary.not_exported):
        click.echo(line, err=True)
    return [target]


def check_outside(folder: Path, sources: Sequence[Path]) -> None:
    """Refuse a folder that the next run would read as a part of its source."""
    if any(
        source.is_dir() and folder.resolve().is_relative_to(source.resolve()) for source in sources
    ):
        raise click.BadParameter(
            "it is in SOURCE, where it would be read: take a folder outside", param_hint="--out"
        )

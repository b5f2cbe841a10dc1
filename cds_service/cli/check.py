# SPDX-License-Identifier: Apache-2.0
"""`cds-service check` and `lock`: is the knowledge sound, and is its meaning recorded."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cds_service.knowledge.pack import PackFiles
    from cds_service.knowledge.problems import Format, Problem

FOLDER = click.argument(
    "folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)


@click.command()
@FOLDER
@click.option("--nudge", is_flag=True, help="Also change every number, word and line by itself.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    show_default=True,
    help="How problems are printed.",
)
@click.option("--processes", type=click.IntRange(1), help="Workers for --nudge [default: cores].")
def check(folder: Path | None, nudge: bool, style: "Format", processes: int | None) -> None:
    """Check a folder of card packs and run every case in it.

    All problems are told at once, each with file, line, column and what to write instead.
    FOLDER is a pack or a folder of packs; without it the configured packs are checked.
    With --nudge every number is moved one step, every comparison word swapped and every line
    dropped, one at a time; a change that no case notices is a problem.

    \b
    Examples:
      cds-service check
      cds-service check cards/liver --nudge
      cds-service check cards --format sarif > problems.sarif
    """
    from cds_service.knowledge.pack import pack_folders, read_files
    from cds_service.knowledge.problems import print_problems

    place, shown = _place(folder)
    folders = pack_folders(place)
    if not folders:
        raise click.UsageError(f"no pack in {shown}: a pack is a folder with a pack.yaml")
    problems: list[Problem] = []
    told: list[str] = []
    for pack_folder in folders:
        name = shown if pack_folder == place else f"{shown}/{pack_folder.name}"
        files = read_files(pack_folder, name)
        found, summary = _check_pack(files, pack_folder, nudge=nudge, processes=processes)
        problems.extend(found)
        told.append(f"{name}: {summary}")
    if problems or style != "text":
        click.echo(print_problems(problems, style))
    for line in told:
        click.echo(line, err=True)
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        click.echo(f"{count} found", err=True)
        sys.exit(1)


def _place(folder: Path | None) -> tuple[Path, str]:
    if folder is not None:
        return folder, folder.as_posix().rstrip("/")
    from cds_service.settings import cards_folder, load_settings

    place = cards_folder(load_settings())
    return place, place.name if place.name == "cards" else place.as_posix()


def _check_pack(
    files: "PackFiles", folder: Path, *, nudge: bool, processes: int | None
) -> tuple[list["Problem"], str]:
    from cds_service.knowledge.lock import check_lock, read_lock
    from cds_service.knowledge.pack import build_pack
    from cds_service.trials.run import check_cases, read_trials

    pack, problems = build_pack(files)
    if pack is None or problems:
        return problems, "not checked further; mend these first"
    problems = [*check_cases(files, pack), *check_lock(files, pack, read_lock(folder))]
    trials, _ = read_trials(files, pack)
    summary = f"{len(pack.rules)} rules, {len(trials)} cases"
    if nudge and not problems:
        report, said = _nudge(files, processes)
        problems.extend(report)
        summary += f", {said}"
    return problems, summary


def _nudge(files: "PackFiles", processes: int | None) -> tuple[tuple["Problem", ...], str]:
    import os

    from cds_service.trials.nudge import nudge_pack

    bar = click.progressbar(length=100, label="nudging", file=sys.stderr)
    with bar:

        def progress(done: int, total: int) -> None:
            bar.update(done * 100 // total - bar.pos)

        report = nudge_pack(files, processes=processes or os.cpu_count() or 1, progress=progress)
    return report.problems, f"{report.tried} changes tried, {len(report.problems)} unnoticed"


@click.command()
@FOLDER
def lock(folder: Path | None) -> None:
    """Record the meaning of every rule with its version in lock.json.

    `cds-service check` refuses a rule whose meaning changed while its version did not. Raise the
    version first, then run this.

    \b
    Examples:
      cds-service lock cards/liver
    """
    from cds_service.knowledge.lock import write_lock
    from cds_service.knowledge.pack import load_pack, pack_folders

    place, shown = _place(folder)
    for pack_folder in pack_folders(place):
        pack = load_pack(pack_folder, shown if pack_folder == place else None)
        write_lock(pack_folder, pack)
        click.echo(f"{pack.id} {pack.version}: {len(pack.rules)} rules locked", err=True)

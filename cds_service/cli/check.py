# SPDX-License-Identifier: Apache-2.0
"""`cds-service check` and `lock`: is the knowledge sound, and is its meaning recorded."""

import os
import sys
from pathlib import Path

import click

from cds_service.cli.check_burden import check_asked, check_burden
from cds_service.cli.output_files import writing_to
from cds_service.cli.screen_source import FilesType
from cds_service.counting import counted
from cds_service.knowledge.checking.frames import narrow_indexes
from cds_service.knowledge.checking.lock import RENEW, check_lock, read_lock, write_lock
from cds_service.knowledge.checking.shared_ids import check_shared_ids
from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.model.status import approval
from cds_service.knowledge.reading.build import build_pack
from cds_service.knowledge.reading.folder import PackFiles, pack_folders, read_files
from cds_service.knowledge.site.file import SiteFile, no_such_pack, read_site
from cds_service.knowledge.site.markers import spellings_in_words
from cds_service.settings import cards_folder, load_settings
from cds_service.sourcefile.diagnostics import Format, Problem, print_problems
from cds_service.trials.nudge import nudge_pack
from cds_service.trials.run import check_cases, read_trials
from cds_service.trials.site_check import check_site

FOLDER = click.argument(
    "folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)


@click.command()
@FOLDER
@click.option(
    "--site",
    "site_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A site file, checked with its pack [default without FOLDER: CDS_SITE_FILE].",
)
@click.option("--nudge", is_flag=True, help="Also change every number, word and line by itself.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    show_default=True,
    help="How problems are printed.",
)
@click.option(
    "--burden",
    "sources",
    metavar="SOURCE",
    multiple=True,
    type=FilesType(),
    help="Hold the cards of this population against the budget of the site file.",
)
@click.option("--as-of", "moment", metavar="DAY|INSTANT", help="When --burden counts to [now].")
@click.option("--processes", type=click.IntRange(1), help="Workers for --nudge [default: cores].")
def check(
    folder: Path | None,
    site_file: Path | None,
    nudge: bool,
    style: Format,
    sources: tuple[Path, ...],
    moment: str | None,
    processes: int | None,
) -> None:
    """Check a folder of card packs and run every case in it.

    All problems are listed at once, each with file, line, column and what to write instead. What
    may be meant is listed too, as a warning (K208: a rule is about fewer markers than it asks for).
    FOLDER is a pack or a folder of packs; without it the configured packs are checked.
    With --nudge every number is moved one step, every comparison word swapped and every line
    dropped, one at a time; a change that no case notices is a problem.
    With a site file the pack is checked as it is, and then with the values of the site.
    With --burden the cards that SOURCE (as for `burden`) is shown on an average day, of the 28 up
    to --as-of, are held against the `budget` of the site file.

    \b
    Examples:
      cds-service check
      cds-service check --site site.yaml
      cds-service check cards/liver --nudge
      cds-service check cards --format sarif > problems.sarif
      cds-service check cards --site site.yaml --burden export --as-of 2026-06-15

    Exit codes: 0 no problem, perhaps warnings; 1 problems, or the budget is not known to be kept.
    """
    place, shown = _place(folder)
    folders = pack_folders(place)
    if not folders:
        raise click.UsageError(f"no pack in {shown}: a pack is a folder with a pack.yaml")
    site = _site(site_file, given=folder is not None)
    check_asked(site, sources, moment)
    problems: list[Problem] = []
    warnings: list[Problem] = []
    notes: list[str] = []
    known: list[str] = []
    library: list[tuple[Pack, PackFiles]] = []
    for pack_folder in folders:
        name = shown if pack_folder == place else f"{shown}/{pack_folder.name}"
        files = read_files(pack_folder, name)
        pack, faults, summary = _check_pack(files, pack_folder, nudge=nudge, processes=processes)
        problems.extend(faults)
        notes.append(f"{name}: {summary}")
        if pack is not None:
            library.append((pack, files))
            notes.extend([f"{name}: {approval(pack)}"] if pack.signature is not None else [])
            warnings.extend(narrow_indexes(pack, files.documents))
        known.append(_id_of(files))
        if site is not None and known[-1] == site.shape.pack and not faults:
            site_faults, site_notes = _check_site(files, site)
            problems.extend(site_faults)
            notes.extend(site_notes)
    problems.extend([*check_shared_ids(library), *_without_pack(site, known)])
    if site is not None and not problems:
        problems.extend(check_burden(place, site, sources, moment, notes))
    _print(problems, warnings, notes, style)


def _print(
    problems: list[Problem], warnings: list[Problem], notes: list[str], style: Format
) -> None:
    """Print everything; any problem ends the command with exit code 1, a warning does not."""
    if problems or warnings or style != "text":
        click.echo(print_problems([*problems, *warnings], style))
    for line in notes:
        click.echo(line, err=True)
    if problems:
        click.echo(f"{counted(len(problems), 'problem')} found", err=True)
        sys.exit(1)


def _place(folder: Path | None) -> tuple[Path, str]:
    if folder is not None:
        return folder, folder.as_posix().rstrip("/")

    place = cards_folder(load_settings())
    return place, place.name if place.name == "cards" else place.as_posix()


def _site(site_file: Path | None, *, given: bool) -> SiteFile | None:
    """The site file of the command, or for the configured packs the configured one."""
    if site_file is None and not given:
        site_file = load_settings().site_file
    return None if site_file is None else read_site(site_file)


def _without_pack(site: SiteFile | None, known: list[str]) -> list[Problem]:
    return [] if site is None or site.shape.pack in known else [no_such_pack(site, known)]


def _id_of(files: PackFiles) -> str:
    document = files.documents.get("pack.yaml")
    data = document.data if document is not None else None
    return str(data.get("id", "")) if isinstance(data, dict) else ""


def _check_site(files: PackFiles, site: SiteFile) -> tuple[list[Problem], list[str]]:
    """The problems of a site file, and what it made of the cases of the pack."""
    report, shape = check_site(files, site), site.shape
    notes = [
        f"changed by the site: {change.mark.file}:{change.mark.line}: {change.message}"
        for change in report.changed
    ]
    notes.extend(f"read by the site: {line}" for line in spellings_in_words(site))
    notes.append(
        f"{site.document.file}: {shape.site}: {len(shape.values)} values, "
        f"{len(shape.order_codes)} order codes, {len(shape.switched_off)} rules off, "
        f"{report.cases} cases, {report.tried} changes tried; of the pack's cases "
        f"{len(report.changed)} changed, {report.silent} of rules that are off"
    )
    return list(report.problems), notes


def _check_pack(
    files: PackFiles, folder: Path, *, nudge: bool, processes: int | None
) -> tuple[Pack | None, list[Problem], str]:
    """The pack if one could be made, its problems, and what was tried."""
    pack, problems = build_pack(files)
    if pack is None or problems:
        return pack, problems, "not checked further; mend these first"
    problems = [*check_cases(files, pack), *check_lock(files, pack, read_lock(folder))]
    trials, _ = read_trials(files, pack)
    summary = f"{len(pack.rules)} rules, {len(trials)} cases"
    if nudge and not problems:
        report, nudge_summary = _nudge(files, processes)
        problems.extend(report)
        summary += f", {nudge_summary}"
    return pack, problems, summary


def _nudge(files: PackFiles, processes: int | None) -> tuple[tuple[Problem, ...], str]:

    bar = click.progressbar(length=100, label="nudging", file=sys.stderr)
    with bar:

        def progress(done: int, total: int) -> None:
            bar.update(done * 100 // total - bar.pos)

        report = nudge_pack(files, processes=processes or os.cpu_count() or 1, progress=progress)
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(report.kinds.items()))
    nudge_summary = f"{report.tried} changes tried ({kinds}), {len(report.problems)} unnoticed"
    return report.problems, nudge_summary


@click.command()
@FOLDER
def lock(folder: Path | None) -> None:
    """Record the meaning of every rule with its version in lock.json.

    `cds-service check` refuses a rule whose meaning changed while its version did not. Raise the
    version and tell of it in the history first, then run this. Versions are only ever added: what
    an older one meant stays recorded.

    \b
    Examples:
      cds-service lock cards/liver
    """
    place, shown = _place(folder)
    for pack_folder in pack_folders(place):
        name = shown if pack_folder == place else f"{shown}/{pack_folder.name}"
        files = read_files(pack_folder, name)
        pack, problems = build_pack(files)
        if pack is not None and not problems and (there := read_lock(pack_folder)) is not None:
            # what a new entry does not mend is not to be locked over
            problems = [
                problem for problem in check_lock(files, pack, there) if problem.remedy != RENEW
            ]
        if pack is None or problems:
            click.echo(print_problems(problems, "text"))
            sys.exit(1)
        with writing_to(pack_folder):
            write_lock(pack_folder, pack)
        click.echo(f"{pack.id} {pack.version}: {len(pack.rules)} rules locked", err=True)

# SPDX-License-Identifier: Apache-2.0
"""From the pages to a folder of HTML that asks no other host; its search needs a server."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from website.staging import stage

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
ROOT = Path(__file__).resolve().parents[1]


def build(site: Path, root: Path = ROOT) -> None:
    """Make the folder anew; it is left alone if a page links to what is not there.

    Raises FileNotFoundError for a link to a file that is not there, and ChildProcessError, with
    what Zensical found, for a link to a heading that is not there.
    """
    with TemporaryDirectory(prefix="site-") as name:
        folder = Path(name).resolve()
        stage(root, folder / "docs")
        shutil.copytree(ROOT / "website" / "assets", folder / "docs" / "assets")
        shutil.copyfile(root / "mkdocs.yml", folder / "mkdocs.yml")
        _run_zensical(folder)
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(folder / "site", site)


def _run_zensical(folder: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise ChildProcessError(f"the site was not built:\n{_COLOURS.sub('', run.stdout)}")

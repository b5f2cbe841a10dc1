# SPDX-License-Identifier: Apache-2.0
"""What the patients of a folder are shown, as a file of views that `cds-service burden` reads.

`benchmarks.burden` runs this with the package of another edition on the path, and takes
`burden_views` from this tree: that edition may not have it.
"""

import importlib.util
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import ModuleType

_VIEWS = Path(__file__).parents[1] / "cds_service" / "cli" / "burden_views.py"


def _burden_views() -> ModuleType:
    spec = importlib.util.spec_from_file_location("burden_views", _VIEWS)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{_VIEWS} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def main(words: Sequence[str]) -> None:
    """Print the views of FOLDER with the packs of CARDS for HOOK at each TIME, as JSON objects."""
    folder, cards, hook, *times = words
    at = [datetime.fromisoformat(time) for time in times]
    views = _burden_views()
    knowledge = views.knowledge_of(Path(cards))
    for file in views.files_of(Path(folder)):
        for view in views.views_of(file, knowledge, hook, at):
            print(json.dumps(asdict(view)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

# SPDX-License-Identifier: Apache-2.0
"""A pack that somebody signed."""

from pathlib import Path


def sign(folder: Path, lock: str, on: str = "2027-01-02") -> None:
    """Add the line that signs the pack in the folder."""
    head = folder / "pack.yaml"
    text = head.read_text(encoding="utf-8")
    line = f"signed: {{by: Dr. Example, on: {on}, lock: {lock}}}\n"
    head.write_text(f"{line}{text}", encoding="utf-8")

# SPDX-License-Identifier: Apache-2.0
"""Figures as a table: every time stands beside its ratio to a floor of the same run."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

_NOISY = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured thing: how many times its floor it is, and what it was in that run."""

    mode: str
    name: str
    size: int | str
    floor: str
    ratio: float
    amount: float
    unit: str
    spread: float | None = None  # (largest - smallest) / median of the ratios of the rounds


def as_json(figures: Sequence[Figure]) -> list[dict[str, object]]:
    """The figures for a file."""
    return [asdict(figure) for figure in figures]


def lines_of(figures: Sequence[Figure]) -> Iterator[str]:
    """A table: one line a figure, noisy ones marked."""
    names = [f"{figure.name} @{figure.size}" for figure in figures]
    wide = max((len(name) for name in names), default=0)
    for name, figure in zip(names, figures, strict=True):
        spread = "" if figure.spread is None else f" ±{figure.spread / 2:4.0%}"
        noisy = " noisy" if (figure.spread or 0) > _NOISY else ""
        yield (
            f"{name:<{wide}}  ratio {figure.ratio:8.3f}{spread}  "
            f"{figure.amount:12,.1f} {figure.unit:<11} of: {figure.floor}{noisy}"
        )

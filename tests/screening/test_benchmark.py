# SPDX-License-Identifier: Apache-2.0
"""The benchmark of a population runs, on a small one. How fast it is, is not tested."""

from pathlib import Path

import pytest

from benchmarks.population import measure, write_population


@pytest.mark.slow
def test_the_benchmark_screens_a_tenth_of_its_patients(tmp_path: Path) -> None:
    source = tmp_path / "export"
    write_population(source, patients=300, observations=9000)

    found = measure(source, tmp_path, workers=1)

    assert 10 < found.with_card < 60
    assert found.with_card <= found.kept < 150

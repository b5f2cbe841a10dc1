# SPDX-License-Identifier: Apache-2.0
"""A step of a text is one that can change what the text means."""

from cds_service.trials.steps import text_steps


def test_a_unit_of_the_same_size_is_no_step() -> None:
    units = {"ug/mL": "1", "mg/L": "1", "umol/L": {"divided by": "6.615"}}

    steps = [step.text for step in text_steps("at least 5 ug/mL", units) if step.kind == "unit"]

    assert steps == ["at least 5 umol/L"]

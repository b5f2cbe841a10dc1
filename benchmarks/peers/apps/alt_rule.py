# SPDX-License-Identifier: Apache-2.0
"""The one rule of all peers: a card when the newest ALT is below a limit.

Code, unit, limit and text stand in `rule.json`, which the benchmark reads too. Only final results
in the very unit count, as a small service written by hand would have it.
"""

import json
from pathlib import Path
from typing import Any

RULE: dict[str, Any] = json.loads(Path(__file__).with_name("rule.json").read_text("utf-8"))
_SYSTEM, _CODE, _UNIT, _BELOW = (RULE[name] for name in ("system", "code", "unit", "below"))
_FINAL = frozenset({"final", "amended", "corrected"})


def cards_for(prefetch: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The cards for the resources that came with a call: one or none."""
    newest, value = "", None
    bundle = (prefetch or {}).get("observations") or {}
    for entry in bundle.get("entry", ()):
        sheet = entry["resource"]
        if sheet.get("resourceType") != "Observation" or sheet.get("status") not in _FINAL:
            continue
        quantity = sheet.get("valueQuantity")
        drawn = sheet.get("effectiveDateTime", "")
        if not quantity or quantity.get("code") != _UNIT or drawn < newest or not _is_alt(sheet):
            continue
        newest, value = drawn, quantity["value"]
    if value is None or value >= _BELOW:
        return []
    return [
        {
            "summary": RULE["summary"].format(value=value),
            "indicator": RULE["indicator"],
            "source": {"label": RULE["source"]},
        }
    ]


def _is_alt(sheet: dict[str, Any]) -> bool:
    for coding in sheet.get("code", {}).get("coding", ()):
        if coding.get("code") == _CODE and coding.get("system") == _SYSTEM:
            return True
    return False

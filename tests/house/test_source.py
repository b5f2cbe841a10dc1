# SPDX-License-Identifier: Apache-2.0
"""What holds for all source of the service."""

import ast
import re

import pytest

from tests.house.source import PACKAGE, modules, names_used, texts

MODULES = modules()
LONGEST_MODULE = 400
LONGEST_FUNCTION = 60

ENVIRONMENT = re.compile(r"os\.(environb?|getenvb?)")
TIME = re.compile(
    r"time\.(time|time_ns|monotonic|monotonic_ns|perf_counter|perf_counter_ns|gmtime|localtime)"
    r"|datetime\.(now|utcnow|today)|date\.today"
)
LOINC = re.compile(r"(?<!\[)\b\d{1,5}-\d\b")  # "[0-9]" is a pattern, not a code


@pytest.mark.parametrize("path", MODULES)
def test_a_module_is_short(path: str) -> None:
    length = len((PACKAGE / path).read_text(encoding="utf-8").splitlines())

    assert length <= LONGEST_MODULE, f"{path} has {length} lines"


@pytest.mark.parametrize("path", MODULES)
def test_a_function_is_short(path: str) -> None:
    lengths = {
        f"{path}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(MODULES[path])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {name: n for name, n in lengths.items() if n > LONGEST_FUNCTION} == {}


@pytest.mark.parametrize("path", MODULES)
def test_a_module_names_its_licence(path: str) -> None:
    text = (PACKAGE / path).read_text(encoding="utf-8")

    assert not text or text.startswith("# SPDX-License-Identifier: Apache-2.0\n")


@pytest.mark.parametrize("path", sorted(set(MODULES) - {"settings.py"}))
def test_only_settings_read_the_environment(path: str) -> None:
    found = [use for use in names_used(MODULES[path]) if ENVIRONMENT.fullmatch(use[0])]

    assert found == []


@pytest.mark.parametrize("path", sorted(set(MODULES) - {"settings.py"}))
def test_no_command_option_reads_the_environment(path: str) -> None:
    found = [
        node.value.lineno
        for node in ast.walk(MODULES[path])
        if isinstance(node, ast.keyword) and node.arg in {"envvar", "auto_envvar_prefix"}
    ]

    assert found == []


@pytest.mark.parametrize("path", sorted(set(MODULES) - {"clock.py"}))
def test_only_the_clock_asks_the_time(path: str) -> None:
    found = [use for use in names_used(MODULES[path]) if TIME.fullmatch(use[0])]

    assert found == []


@pytest.mark.parametrize("path", MODULES)
def test_no_laboratory_code_stands_in_python(path: str) -> None:
    found = [text for text in texts(MODULES[path]) if LOINC.search(text[0])]

    assert found == []

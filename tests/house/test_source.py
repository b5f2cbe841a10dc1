# SPDX-License-Identifier: Apache-2.0
"""What holds for all source of the service. Each test lists all offenders at once."""

import ast
import re
from collections.abc import Callable, Iterable

from tests.house.source import PACKAGE, modules, names_used, nodes, texts

LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
LICENCE = "# SPDX-License-Identifier: Apache-2.0\n"

ENVIRONMENT = re.compile(r"os\.(environb?|getenvb?)")
TIME = re.compile(
    r"time\.(time|time_ns|monotonic|monotonic_ns|perf_counter|perf_counter_ns|gmtime|localtime)"
    r"|datetime\.(now|utcnow|today)|date\.today"
)
LOINC = re.compile(r"(?<!\[)\b\d{1,5}-\d\b")  # "[0-9]" is a pattern, not a code


def offenders(lines: Callable[[str], Iterable[str]], *, but: str = "") -> str:
    """What `lines` returns for every module except `but`, joined; empty when nothing offends."""
    return "\n".join(line for path in modules() if path != but for line in lines(path))


def uses(pattern: re.Pattern[str]) -> Callable[[str], list[str]]:
    """For a module's path, the names it reads that match, with their places."""

    def lines(path: str) -> list[str]:
        return [
            f"{path}:{line} {name}"
            for name, line in names_used(modules()[path])
            if pattern.fullmatch(name)
        ]

    return lines


def test_a_module_is_short() -> None:
    def too_long(path: str) -> list[str]:
        length = len((PACKAGE / path).read_text(encoding="utf-8").splitlines())
        return [f"{path} has {length} lines"] if length > LONGEST_MODULE else []

    assert offenders(too_long) == ""


def test_a_function_is_short() -> None:
    def too_long(path: str) -> list[str]:
        lengths = {
            f"{path}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
            for node in nodes(modules()[path])
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        return [f"{name} has {n} lines" for name, n in lengths.items() if n > LONGEST_FUNCTION]

    assert offenders(too_long) == ""


def test_a_module_names_its_licence() -> None:
    def unlicensed(path: str) -> list[str]:
        text = (PACKAGE / path).read_text(encoding="utf-8")
        return [path] if text and not text.startswith(LICENCE) else []

    assert offenders(unlicensed) == ""


def test_only_settings_read_the_environment() -> None:
    assert offenders(uses(ENVIRONMENT), but="settings.py") == ""


def test_no_command_option_reads_the_environment() -> None:
    def reading(path: str) -> list[str]:
        return [
            f"{path}:{node.value.lineno} {node.arg}"
            for node in nodes(modules()[path])
            if isinstance(node, ast.keyword) and node.arg in {"envvar", "auto_envvar_prefix"}
        ]

    assert offenders(reading, but="settings.py") == ""


def test_only_the_clock_asks_the_time() -> None:
    assert offenders(uses(TIME), but="clock.py") == ""


def test_no_laboratory_code_stands_in_python() -> None:
    def codes(path: str) -> list[str]:
        return [
            f"{path}:{line} {text!r}" for text, line in texts(modules()[path]) if LOINC.search(text)
        ]

    assert offenders(codes) == ""

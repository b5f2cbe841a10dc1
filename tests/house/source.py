# SPDX-License-Identifier: Apache-2.0
"""The source of the service as syntax trees, for the tests of this folder."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "cds_service"


@cache
def modules() -> Mapping[str, ast.Module]:
    """Every module of the service by its path inside the package; read once, so change no tree."""
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


@cache
def functions_of(path: str) -> frozenset[str]:
    """The functions of a module of the repository."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@cache
def nodes(tree: ast.Module) -> tuple[ast.AST, ...]:
    """Every node of the tree, in the order of `ast.walk`."""
    return tuple(ast.walk(tree))


@cache
def names_used(tree: ast.Module) -> tuple[tuple[str, int], ...]:
    """Dotted names that are read or imported, such as `os.environ`, with their lines."""
    return tuple(_names_used(tree))


def _names_used(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in nodes(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                yield f"{owner}.{name}", node.lineno
            case ast.Attribute(value=ast.Attribute(attr=owner), attr=name):
                yield f"{owner}.{name}", node.lineno
            case ast.ImportFrom(module=str(owner)):
                for alias in node.names:
                    yield f"{owner}.{alias.name}", node.lineno


@cache
def texts(tree: ast.Module) -> tuple[tuple[str, int], ...]:
    """Every text in the code but the docstrings, with its line."""
    return tuple(_texts(tree))


def _texts(tree: ast.Module) -> Iterator[tuple[str, int]]:
    docstrings = {id(node.value) for node in nodes(tree) if isinstance(node, ast.Expr)}
    for node in nodes(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                yield text, node.lineno

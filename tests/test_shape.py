"""Caps that keep the code readable: modules, functions, nesting, docstrings."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

MODULE_LINES = 400
FUNCTION_LINES = 40
ARGUMENTS = 5
NESTING = 3

ROOT = Path(__file__).parent.parent
HOUSES = ("vmsim", "backends", "features", "bench")
SOURCES = sorted(
    path
    for name in HOUSES
    for path in (ROOT / name).glob("**/*.py")
    if not path.name.startswith("test_")
)

PROTOCOL = "a property of a Protocol, whose own docstring says what it is"
OPTIONS = "typer makes the options of a command from the arguments of its function"
LEVELS = "one loop for each level of the file: clusters, entries, the hosts of an entry"

ALLOWED: Mapping[str, str] = {
    "docstring: vmsim.admission.ImageRef.name": PROTOCOL,
    "docstring: vmsim.admission.ImageRef.kind": PROTOCOL,
    "docstring: vmsim.admission.AdmissionCatalog.image_matches": PROTOCOL,
    "docstring: vmsim.admission.AdmissionCatalog.storage_class": PROTOCOL,
    "docstring: vmsim.admission.AdmissionCatalog.storage_class_in_namespace": PROTOCOL,
    "docstring: vmsim.admission.AdmissionCatalog.zones": PROTOCOL,
    "docstring: vmsim.prerequisites.ImageState.name": PROTOCOL,
    "docstring: vmsim.prerequisites.ImageState.provider": PROTOCOL,
    "docstring: vmsim.prerequisites.ImageState.ready": PROTOCOL,
    "docstring: vmsim.prerequisites.ImageState.reason": PROTOCOL,
    "docstring: vmsim.prerequisites.StorageState.policy_id": PROTOCOL,
    "docstring: vmsim.prerequisites.PrerequisiteCatalog.vm_class": PROTOCOL,
    "docstring: vmsim.prerequisites.PrerequisiteCatalog.class_bound": PROTOCOL,
    "docstring: vmsim.prerequisites.PrerequisiteCatalog.image": PROTOCOL,
    "docstring: vmsim.prerequisites.PrerequisiteCatalog.image_object": PROTOCOL,
    "docstring: vmsim.prerequisites.PrerequisiteCatalog.content_source_reason": PROTOCOL,
    "docstring: vmsim.prerequisites.PrerequisiteCatalog.storage_class": PROTOCOL,
    "arguments: vmsim.cli.run": OPTIONS,
    "arguments: vmsim.cli.get": OPTIONS,
    "arguments: vmsim.serve_cli.serve": OPTIONS,
    "arguments: vmsim.serve_cli.node_add": OPTIONS,
    "arguments: vmsim.conformance.cli.conform": OPTIONS,
    "arguments: vmsim.whatif.whatif_cli.whatif": OPTIONS,
    "arguments: vmsim.whatif.sweep_cli.plan": OPTIONS,
    "arguments: vmsim.whatif.sweep_cli.run": OPTIONS,
    "nesting: vmsim.loading._Loader._hosts": LEVELS,
}
"""Breaches that stay, as "rule: module.function", each with its reason."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = Function | ast.ClassDef
DEEPER = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)


def breaches(source: str, module: str) -> list[str]:
    """Every breach of the caps in the text of a module, as "rule: where"."""
    tree = ast.parse(source)
    found = []
    if len(source.splitlines()) > MODULE_LINES:
        found.append(f"module lines: {module}")
    if not _first_line(tree):
        found.append(f"docstring: {module}")
    for name, scope in _scopes(tree, module):
        if _is_public(name, module) and not _first_line(scope):
            found.append(f"docstring: {name}")
        if isinstance(scope, Function):
            found += [f"{rule}: {name}" for rule in _of_function(scope)]
    return found


def _of_function(function: Function) -> Iterator[str]:
    if _lines_under_docstring(function) > FUNCTION_LINES:
        yield "function lines"
    if _arguments(function) > ARGUMENTS:
        yield "arguments"
    if _depth(function.body) > NESTING:
        yield "nesting"


def _first_line(node: ast.Module | Scope) -> str:
    return (ast.get_docstring(node) or "").partition("\n")[0].strip()


def _scopes(node: ast.AST, prefix: str) -> Iterator[tuple[str, Scope]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Scope):
            name = f"{prefix}.{child.name}"
            yield name, child
            inner = f"{name}.<locals>" if isinstance(child, Function) else name
            yield from _scopes(child, inner)
        else:
            yield from _scopes(child, prefix)


def _is_public(name: str, module: str) -> bool:
    parts = name.removeprefix(module + ".").split(".")
    return "<locals>" not in parts and not any(part.startswith("_") for part in parts)


def _lines_under_docstring(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def _arguments(function: Function) -> int:
    given = function.args
    names = [item.arg for item in given.posonlyargs + given.args + given.kwonlyargs]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def _depth(body: list[ast.stmt]) -> int:
    return max((_depth_of(statement) for statement in body), default=0)


def _depth_of(statement: ast.stmt) -> int:
    """How many blocks deep the statement goes; `elif` is no deeper than its `if`."""
    if not isinstance(statement, DEEPER):
        return 0
    inner = [*getattr(statement, "body", []), *getattr(statement, "finalbody", [])]
    for part in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
        inner += part.body
    rest = getattr(statement, "orelse", [])
    if isinstance(statement, ast.If) and len(rest) == 1 and isinstance(rest[0], ast.If):
        return max(1 + _depth(inner), _depth_of(rest[0]))
    return 1 + _depth([*inner, *rest])


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", SOURCES, ids=_module)
def test_module_keeps_to_the_caps(path: Path) -> None:
    found = breaches(path.read_text(), _module(path))
    assert [breach for breach in found if breach not in ALLOWED] == []


def test_every_allowed_breach_is_still_there_and_has_its_reason() -> None:
    found = {breach for path in SOURCES for breach in breaches(path.read_text(), _module(path))}
    assert [breach for breach in ALLOWED if breach not in found] == []
    assert all(ALLOWED.values())


LINES = "\n".join(["    x = 1"] * FUNCTION_LINES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"""A."""\n', []),
        ("x = 1\n", ["docstring: m"]),
        ('"""\n"""\n', ["docstring: m"]),
        ('"""A."""\n' + "#\n" * 399, []),
        ('"""A."""\n' + "#\n" * 400, ["module lines: m"]),
        ('"""A."""\nclass B:\n    def c(self): ...\n', ["docstring: m.B", "docstring: m.B.c"]),
        ('"""A."""\nclass _B:\n    def c(self): ...\ndef _d(): ...\n', []),
        ('"""A."""\ndef _f():\n    def g(): ...\n', []),
        (f'"""A."""\ndef _f():\n    """D.\n\n    E.\n    """\n{LINES}\n', []),
        (f'"""A."""\ndef _f():\n    """D."""\n    y = 1\n{LINES}\n', ["function lines: m._f"]),
        ('"""A."""\nclass _B:\n    def c(self, a, b, c, *, d, e): ...\n', []),
        ('"""A."""\ndef _f(a, b, c, *, d, e, f): ...\n', ["arguments: m._f"]),
        ('"""A."""\ndef _f():\n if 1:\n  for x in y:\n   with z:\n    w()\n', []),
        (
            '"""A."""\ndef _f():\n if 1:\n  for x in y:\n   with z:\n    if w: v()\n',
            ["nesting: m._f"],
        ),
        ('"""A."""\ndef _f():\n if 1: ...\n elif 2: ...\n elif 3: ...\n elif 4: ...\n', []),
        (
            '"""A."""\ndef _f():\n try: ...\n except A:\n  if 1:\n   while 2:\n    if 3: ...\n',
            ["nesting: m._f"],
        ),
    ],
)
def test_caps_are_measured(text: str, expected: list[str]) -> None:
    assert breaches(text, "m") == expected

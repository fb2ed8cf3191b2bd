"""How is one function, row or constant made wrong, and right again?

A function is named `module:name` or `module:Class.name`. Its fault is a piece of its source in
other words: the function is compiled anew where it stands and only its code is swapped, so that
whoever holds the function has the fault too. A piece that is not there exactly once means that the
function has changed since: the mutant is `Stale`, which is an error and never a survivor.
"""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import FunctionType
from typing import Any


class Stale(Exception):
    """What a mutant changes is not there any more."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A fault, there while the context that a call gives is open.

    `reach` are the functions through which alone it can be felt (none: anything may feel it),
    `edits` those of which the source is changed.
    """

    make: Callable[[], AbstractContextManager[None]]
    reach: tuple[str, ...] = ()
    edits: tuple[str, ...] = ()

    def __call__(self) -> AbstractContextManager[None]:
        return self.make()


def edit(place: str, old: str, new: str) -> Patch:
    """The function at `place` with `new` in place of the one `old` in its source."""
    return Patch(partial(_edited, place, old, new), (place,), (place,))


def put(place: str, name: str, value: Any, *reach: str) -> Patch:
    """`value` as attribute `name` of what is at `place`, which may be frozen."""
    return Patch(partial(_put, place, name, value), reach)


def field(
    place: str, chosen: Callable[[Any], bool], name: str, value: Any, reach: str = ""
) -> Patch:
    """`value` as attribute `name` of every row that is chosen, of the table at `place`."""
    return Patch(partial(_field, place, chosen, name, value), (reach,) if reach else ())


def both(*patches: Patch) -> Patch:
    """Several patches that make one fault; ValueError for two edits of one function, of which the
    second would undo the first."""
    edits = tuple(place for patch in patches for place in patch.edits)
    if twice := sorted({place for place in edits if edits.count(place) > 1}):
        raise ValueError(f"edited twice, write one edit: {', '.join(twice)}")
    reach = tuple(place for patch in patches for place in patch.reach)
    felt = reach if all(patch.reach for patch in patches) else ()
    return Patch(partial(_both, patches), felt, edits)


def find(place: str) -> Any:
    """What stands at `module` or `module:name.name`."""
    module, _, path = place.partition(":")
    found: Any = import_module(module)
    for name in filter(None, path.split(".")):
        found = found.__dict__.get(name, None) if inspect.isclass(found) else getattr(
            found, name, None
        )  # fmt: skip
        if found is None:
            raise Stale(f"{place} is not there")
    return found


def function_at(place: str) -> FunctionType:
    """The plain function at `place`, without what decorates it."""
    found = find(place)
    found = getattr(found, "fget", None) or getattr(found, "__func__", None) or found
    plain = inspect.unwrap(found)
    if not isinstance(plain, FunctionType):
        raise Stale(f"{place} is no function")
    return plain


def edited_code(place: str, old: str, new: str) -> Any:
    """The code of the function with the fault."""
    function = function_at(place)
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(old) != 1:
        raise Stale(f"{place} has {source.count(old)} times: {old}")
    start = source.index("def ")
    filled = "\n" * (function.__code__.co_firstlineno - 1) + source[start:].replace(old, new)
    names: dict[str, Any] = {}
    exec(compile(filled, inspect.getsourcefile(function) or place, "exec"),
         function.__globals__, names)  # fmt: skip
    code = names[function.__name__].__code__
    if code.co_freevars != function.__code__.co_freevars:
        raise Stale(f"{place} closes over {function.__code__.co_freevars}")
    return code


@contextmanager
def _edited(place: str, old: str, new: str) -> Iterator[None]:
    function, code = function_at(place), edited_code(place, old, new)
    before = function.__code__
    function.__code__ = code
    try:
        yield
    finally:
        function.__code__ = before


@contextmanager
def _put(place: str, name: str, value: Any) -> Iterator[None]:
    owner = find(place)
    if not hasattr(owner, name):
        raise Stale(f"{place} has no {name}")
    before = inspect.getattr_static(owner, name) if inspect.isclass(owner) else getattr(owner, name)
    _set(owner, name, value)
    try:
        yield
    finally:
        _set(owner, name, before)


def _set(owner: Any, name: str, value: Any) -> None:
    if inspect.isclass(owner) or inspect.ismodule(owner):
        setattr(owner, name, value)
    else:
        object.__setattr__(owner, name, value)


@contextmanager
def _field(place: str, chosen: Callable[[Any], bool], name: str, value: Any) -> Iterator[None]:
    rows = [row for row in find(place) if chosen(row)]
    if not rows:
        raise Stale(f"{place} has no such row")
    before = [getattr(row, name) for row in rows]
    for row in rows:
        object.__setattr__(row, name, value)
    try:
        yield
    finally:
        for row, kept in zip(rows, before, strict=True):
            object.__setattr__(row, name, kept)


@contextmanager
def _both(patches: tuple[Patch, ...]) -> Iterator[None]:
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch())
        yield

"""What every part of a scenario file has in common.

A part is strict: unknown fields are errors, names are in camel case as in Kubernetes. A quantity
carries its unit (`90s`, `2h`, `256Gi`) and is a plain number once it is parsed. A new block of the
scenario is a module of its own with types made from these, and one field of `scenario.Spec`.
"""

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, create_model
from pydantic.alias_generators import to_camel

from vmsim.quantities import duration_s, memory_mib


class Strict(BaseModel):
    """A part of a scenario: unknown fields are errors, names are in camel case."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


def _with_unit(read: Any, unit: str, example: str, what: str) -> Any:
    """What makes a number one that is written with its unit; a bare 0 needs none."""

    def check(value: Any) -> Any:
        if value == 0 and not isinstance(value, bool):
            return value
        if not isinstance(value, str):
            raise ValueError(f"{what} with a unit is expected, as in {example!r}")
        return read(value)

    schema: dict[str, Any] = {"type": ["string", "integer"], "examples": [example]}
    return (
        BeforeValidator(check, json_schema_input_type=str),
        PlainSerializer(lambda value: f"{value}{unit}", when_used="json"),
        Field(json_schema_extra=schema),
    )


_DURATION = _with_unit(duration_s, "s", "90s", "a duration")
_MEMORY = _with_unit(memory_mib, "Mi", "256Gi", "a quantity of memory")

Duration = Annotated[float, *_DURATION]
"""Seconds; written `90s`, `5m30s`, `2h`, `3d`."""

MemoryMib = Annotated[int, *_MEMORY]
"""MiB; written `256Gi`."""


def durations_model(name: str, doc: str, figures: type, describe: Callable[[Any], str]) -> Any:
    """A part with a duration for each field of the dataclass `figures`, without its `_s`.

    `describe` tells what a field means, from its metadata; one marked `positive` may not be 0.
    """
    fields = {
        item.name.removesuffix("_s"): (
            Duration,
            Field(
                default=item.default,
                description=describe(item.metadata),
                gt=0 if item.metadata.get("positive") else None,
            ),
        )
        for item in dataclasses.fields(figures)
    }
    return create_model(name, __base__=Strict, __doc__=doc, **fields)  # type: ignore[call-overload]

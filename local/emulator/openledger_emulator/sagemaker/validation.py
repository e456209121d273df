"""Requests against botocore's own description of the SageMaker API: members, types, patterns, ranges, enums."""

from __future__ import annotations

import functools
import re
from typing import Any

import botocore.session
from botocore.model import Shape
from botocore.validate import ParamValidator

from .faults import Fault, Invalid


@functools.cache
def _service(name: str):
    return botocore.session.get_session().get_service_model(name)


def known(action: str) -> bool:
    """Whether the SageMaker API has this action at all."""
    return action in _service("sagemaker").operation_names


def check(action: str, request: dict, service: str = "sagemaker", fault: type[Fault] = Invalid) -> None:
    """Raise `fault` listing every violation, in the words that AWS uses for constraints."""
    shape = _service(service).operation_model(action).input_shape
    if shape is None:
        return
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        raise fault(report.generate_report())
    broken = list(_violations(request, shape, ""))
    if broken:
        noun = "validation error" if len(broken) == 1 else "validation errors"
        raise fault(f"{len(broken)} {noun} detected: " + "; ".join(broken))


def _violations(value: Any, shape: Shape, path: str):
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if name in value:
                yield from _violations(value[name], member, f"{path}.{name}".lstrip("."))
        return
    if shape.type_name == "list":
        yield from _bounds(len(value), shape, path, "length")
        for index, item in enumerate(value):
            yield from _violations(item, shape.member, f"{path}.{index + 1}.member")
        return
    if shape.type_name == "map":
        yield from _bounds(len(value), shape, path, "length")
        for key, item in value.items():
            yield from _violations(key, shape.key, f"{path}.{key}")
            yield from _violations(item, shape.value, f"{path}.{key}")
        return
    if shape.type_name == "string":
        yield from _string(value, shape, path)
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _bounds(value, shape, path, "value")
    elif shape.type_name == "blob":
        yield from _bounds(len(value), shape, path, "length")


def _bounds(size: float, shape: Shape, path: str, noun: str):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield f"Value at '{path}' failed to satisfy constraint: Member must have {noun} greater than or equal to {low}"
    if high is not None and size > high:
        yield f"Value at '{path}' failed to satisfy constraint: Member must have {noun} less than or equal to {high}"


def _string(value: str, shape: Shape, path: str):
    yield from _bounds(len(value), shape, path, "length")
    enum = getattr(shape, "enum", None)
    if enum and value not in enum:
        yield (
            f"Value '{value}' at '{path}' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(enum)}]"
        )
    pattern = shape.metadata.get("pattern")
    if pattern and not _matches(pattern, value):
        yield (
            f"Value '{value}' at '{path}' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {pattern}"
        )


@functools.cache
def _compiled(pattern: str) -> re.Pattern | None:
    """Patterns are Java's; the few that Python cannot read (\\p{ASCII}) are checked by length alone."""
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        return None


def _matches(pattern: str, value: str) -> bool:
    compiled = _compiled(pattern)
    return compiled is None or compiled.fullmatch(value) is not None

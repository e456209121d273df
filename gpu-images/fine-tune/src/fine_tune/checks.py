"""Checks of values that came as JSON: each refusal names the field."""

import math

from fine_tune.refusal import Refusal

SHOWN = 80  # characters of a value that a reason repeats


def shown(value: object) -> str:
    """The value as a reason repeats it: short, and UTF-8 whatever is in it."""
    try:
        said = ascii(value) if isinstance(value, str) and not is_text(value) else repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, a list in a list in a list
        said = f"this {type(value).__name__}"
    return said if len(said) <= SHOWN else f"{said[:SHOWN]}..."


def is_text(value: str) -> bool:
    """False for half a surrogate pair: JSON can name it, UTF-8 and tokenizers have no place for it."""
    return not any("\ud800" <= letter <= "\udfff" for letter in value) if not value.isascii() else True


def require_text(value: object, where: str, code: str = "bad-job") -> None:
    """Every string in a value, names too, can be written as UTF-8."""
    if isinstance(value, str) and not is_text(value):
        raise Refusal(code, f"{where or 'a name'} holds half a surrogate pair, which is no text")
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for name, part in inner:
        if isinstance(name, str):
            require_text(name, f"{where}: a name" if where else "", code)
        require_text(part, f"{where}.{name}" if where else str(name), code)


def checked_number(name: str, value: object, low: float, high: float, *, whole: bool = False, exactly: bool = False) -> int | float:
    """A number within the limits. `exactly`: no string stands for it, and with `whole` no 1.0 for 1."""
    try:
        if exactly and not isinstance(value, int if whole else int | float):
            raise TypeError
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        kind = "whole number" if exactly and whole and isinstance(value, float) else "number"
        raise Refusal("bad-job", f"{name}: {shown(value)} is not a {kind}") from None
    except OverflowError:
        found = math.inf
    if isinstance(value, bool) or not math.isfinite(found) or not low <= found <= high:
        raise Refusal("bad-job", f"{name}: {shown(value)} must be between {low} and {high}")
    if whole and found != int(found):
        raise Refusal("bad-job", f"{name}: {shown(value)} must be a whole number")
    return int(value) if whole and isinstance(value, int) else int(found) if whole else found

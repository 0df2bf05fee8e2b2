"""What the fields of `tf_hps.config` take, and how their values become JSON."""

import dataclasses
import math
import numbers
import operator
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

_NAME = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_GENERATION = re.compile(r"[a-z0-9]+(-+[a-z0-9]+)*")
_LARGEST_FLOAT32 = 3.4028234663852886e38
# Their rows are in memory, three times decoded.
_MOST_DEFAULT_ROWS = 2**20


@dataclasses.dataclass(frozen=True)
class Check:
    """Gives the value as it is written, or None where it is not what the field takes."""

    wanted: str
    function: Callable[[Any], Any]
    shows_value: bool = True  # False: what came instead may be a secret

    def __call__(self, value: Any) -> Any:
        try:
            return self.function(value)
        except OverflowError:  # a number beyond any float
            return None


def whole_number(smallest: int, largest: int = 2**63 - 1) -> Check:
    """`8e9` is a whole number too; True and NaN are not."""

    def check(value: Any) -> int | None:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            return None
        if isinstance(value, numbers.Integral):
            number = operator.index(value)
        elif math.isfinite(value) and float(value).is_integer():
            number = int(float(value))
        else:
            return None
        return number if smallest <= number <= largest else None

    to = f" to {largest}" if largest < 2**63 - 1 else " on"
    return Check(f"a whole number from {smallest}{to}", check)


def number(smallest: float, largest: float) -> Check:
    def check(value: Any) -> float | None:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            return None
        return float(value) if smallest <= float(value) <= largest else None

    return Check(f"a number from {smallest:g} to {largest:g}", check)


def one_of(*choices: str) -> Check:
    return Check(
        f"one of {', '.join(choices)}",
        lambda value: value if isinstance(value, str) and value in choices else None,
    )


def _row_of_id(value: Mapping[str, Any]) -> Any:
    row_id = whole_number(-(2**63))(value.get("id"))
    if row_id is None:
        return None
    if set(value) == {"id"}:
        return {"id": row_id}
    buckets = whole_number(1, _MOST_DEFAULT_ROWS)(value.get("buckets"))
    rule = one_of("floormod", "fingerprint", "decimal_fingerprint")(value.get("by"))
    if set(value) != {"id", "buckets", "by"} or buckets is None or rule is None:
        return None
    is_key = row_id <= 2**63 - 1 - _MOST_DEFAULT_ROWS
    return {"id": row_id, "buckets": buckets, "by": rule} if is_key else None


def _default_row(value: Any) -> Any:
    if isinstance(value, str):
        return value if value == "zeros" else None
    if isinstance(value, Mapping):
        return _row_of_id(value)
    value = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(value, Sequence) or not value:
        return None
    for element in value:
        if isinstance(element, bool) or not isinstance(element, numbers.Real):
            return None
        if not abs(float(element)) <= _LARGEST_FLOAT32:
            return None
    return [float(element) for element in value]


def _path(value: Any) -> str | None:
    if not isinstance(value, str | os.PathLike):
        return None
    path = os.fspath(value)
    return path if isinstance(path, str) and path and "\0" not in path else None


def _matching(pattern: re.Pattern[str]) -> Callable[[Any], str | None]:
    return lambda value: value if isinstance(value, str) and pattern.fullmatch(value) else None


def _redis_url(value: Any) -> str | None:
    if not isinstance(value, str) or re.search("[@?\0]", value):
        return None
    urls = [url.strip() for url in value.split(",")]
    return value if all(re.match("rediss?://[^/]", url) for url in urls) else None


def _rate(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    return float(value) if 0 <= float(value) <= 1 else None


rate = Check("a number from 0 to 1", _rate)
flag = Check("True or False", lambda value: value if isinstance(value, bool) else None)
path = Check("a path", _path)
name = Check("made of [A-Za-z0-9_.-] with / inside", _matching(_NAME))
generation = Check("made of [a-z0-9] with - inside", _matching(_GENERATION))
text = Check("a text", lambda value: value if isinstance(value, str) and value else None)
variable = Check(
    "the name of an environment variable, and does not begin with TF_HPS_",
    _matching(re.compile("(?!TF_HPS_)[A-Za-z_][A-Za-z0-9_]*")),
    shows_value=False,
)
redis_url = Check(
    "redis://HOST[:PORT][/DATABASE] or rediss://..., without user and password (`username`, "
    "`password_file` or `password_env`)",
    _redis_url,
    shows_value=False,
)
default_row = Check(
    '"zeros", a list of finite float32 numbers, {"id": n} or {"id": n, "buckets": 1 to 1048576, "by": '
    '"floormod", "fingerprint" or "decimal_fingerprint"}',
    _default_row,
)


def field(check: Check) -> Any:
    """A dataclass field that may be None: then it is not written."""
    return dataclasses.field(default=None, metadata={"check": check})


def check_value(label: str, check: Check, value: Any) -> Any:
    checked = check(value)
    if checked is None:
        received = f"{label}={value!r}" if check.shows_value else "something else, not shown"
        raise ValueError(f"`{label}` is {check.wanted}. Received: {received}")
    return checked


def check_fields(options: Any) -> None:
    """Replaces what was given to a frozen dataclass by what is written."""
    for item in dataclasses.fields(options):
        value = getattr(options, item.name)
        if value is not None and "check" in item.metadata:
            checked = check_value(item.name, item.metadata["check"], value)
            object.__setattr__(options, item.name, checked)


def field_names(options: Any) -> list[str]:
    """The names that stand in hps.json."""
    return [
        item.name for item in dataclasses.fields(options) if item.init and item.name != "folder"
    ]


def check_known(place: str, received: Iterable[str], known: Sequence[str]) -> None:
    for key in received:
        if key not in known:
            raise ValueError(f"unknown {key!r} in {place}. Known: {', '.join(known)}")


def check_object(place: str, received: Any) -> dict[str, Any]:
    if not isinstance(received, dict):
        raise ValueError(f"{place} is an object. Received: {received!r}")
    return received

"""What the op library's failures are in Python.

TensorFlow's ops raise `tf.errors.*`, as all ops do. Everything else (opening a `Table`, scanning it,
configuration files) raises `ValueError` for an argument that makes no sense, and otherwise one of these.
"""


class HpsError(RuntimeError):
    """A failure that no class below describes; the message says what happened, and where."""


class NotFoundError(HpsError, LookupError):
    """No such file, store or table; the message lists what there is."""


class FailedPreconditionError(HpsError):
    """Not in this state: a read-only store was to be written, a store is locked by another process."""


class UnavailableError(HpsError):
    """A tier did not answer; the same call may succeed later."""


class DeadlineExceededError(HpsError, TimeoutError):
    """What was waited for did not happen in time."""


class DataLossError(HpsError):
    """A store's files are corrupted or truncated."""


class ResourceExhaustedError(HpsError):
    """No memory, or no room on the disk."""


_EXCEPTION_TYPES: dict[str, type[Exception]] = {
    "INVALID_ARGUMENT": ValueError,
    "OUT_OF_RANGE": ValueError,
    "NOT_FOUND": NotFoundError,
    "FAILED_PRECONDITION": FailedPreconditionError,
    "UNAVAILABLE": UnavailableError,
    "DEADLINE_EXCEEDED": DeadlineExceededError,
    "DATA_LOSS": DataLossError,
    "RESOURCE_EXHAUSTED": ResourceExhaustedError,
}


def exception_type(code: str) -> type[Exception]:
    """The exception for a status code's name. The bindings ask."""
    return _EXCEPTION_TYPES.get(code, HpsError)

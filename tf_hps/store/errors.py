"""What can go wrong with a store on disk, in the user's words."""

from tf_hps.errors import FailedPreconditionError, HpsError


class StoreError(HpsError):
    """A store that cannot be read or written as asked; the message names the path and the cure."""


class StoreInUseError(StoreError, FailedPreconditionError):
    """Somebody else has the store open for writing."""

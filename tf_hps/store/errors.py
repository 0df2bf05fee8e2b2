"""What can go wrong with a store on disk, in the user's words."""


class StoreError(RuntimeError):
    """A store that cannot be read or written as asked; the message names the path and the cure."""


class StoreInUseError(StoreError):
    """Somebody else has the store open for writing."""

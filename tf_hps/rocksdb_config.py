"""The section `rocksdb` of hps.json: the tier on disk."""

import dataclasses

from tf_hps import _config_fields as fields


@dataclasses.dataclass(frozen=True)
class RocksdbConfig:
    """The tier on this machine's disk. What is left None has its default.

    Args:
        path: The store's folder. Needed, unless it comes from `TF_HPS_CONFIG` or the environment. A URL
            (`gs://bucket/store`) names a store that is fetched to `state_dir` first, with `read_only`.
        read_only: Whether the store is opened without its lock, so that many processes may read it.
            Default: False.
        block_cache_bytes: Bytes of memory for blocks of files, one cache for all stores of the process that say the same.
        state_dir: Of a store that is read-only: a folder of this server's own, made when it is not there,
            for the rows that updates change, and for the copy of a store that `path` names by a URL.
            Default: None, such a store takes no updates.

    Example:

    >>> tf_hps.RocksdbConfig("stores/ratings", read_only=True)
    """

    path: str | None = fields.field(fields.path)
    read_only: bool | None = fields.field(fields.flag)
    block_cache_bytes: int | None = fields.field(fields.whole_number(0))
    state_dir: str | None = fields.field(fields.path)

    def __post_init__(self) -> None:
        fields.check_fields(self)

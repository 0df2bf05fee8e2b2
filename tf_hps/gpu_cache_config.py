"""The section `gpu_cache` of hps.json: a table's rows in the memory of GPUs."""

import dataclasses

from tf_hps import _config_fields as fields


@dataclasses.dataclass(frozen=True)
class GpuCacheConfig:
    """What each GPU that looks a table up keeps of it. What is left None has its default.

    Args:
        capacity_rows: Rows a GPU keeps; with 1.1 times a table's rows it keeps all. Default: all rows, as
            far as 1 GiB goes.
        capacity_bytes: Bytes of the GPU's memory; with both the smaller counts.
        policy: Which row goes when the cache is full: `"lfu"` (the default) or `"lru"`.
        hit_rate_threshold: From this rate of hits on, of a batch's ids, the other ids get the default row
            now and their own later. Default: 1, all rows are always their own. With 0 the GPU never waits
            for the host.

    Example:

    >>> tf_hps.GpuCacheConfig(capacity_bytes=4_000_000_000)
    """

    capacity_rows: int | None = fields.field(fields.whole_number(1))
    capacity_bytes: int | None = fields.field(fields.whole_number(1))
    policy: str | None = fields.field(fields.one_of("lfu", "lru"))
    hit_rate_threshold: float | None = fields.field(fields.rate)

    def __post_init__(self) -> None:
        fields.check_fields(self)

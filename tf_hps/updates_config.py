"""The section `updates` of hps.json: which stream the tables of a deployment follow."""

import dataclasses

from tf_hps import _config_fields as fields


@dataclasses.dataclass(frozen=True)
class UpdatesConfig:
    """The stream of a trainer's commits that the tables follow. What is left None has its default.

    Args:
        source: Which kind of stream: `"directory"` (the default), segment files in a folder.
        url: Where it is: for a directory the folder, as a path or a file:// URL. Needed, unless it comes
            from `TF_HPS_CONFIG` or the environment.
        start: The position that a table's rows have when they are loaded; commits after it are applied.
            Default: all commits are.
        position: What must be applied before a table is open: the dense part of the model goes with those
            rows. An export writes it.
        position_timeout_s: How long opening waits for `position`; then it fails. Default: 60.
        poll_ms: Pause between two looks for new commits. Default: 10.
        max_rows_per_s: Rows applied in a second at most. Default: 0, no limit.
        state_dir: A folder for commits that are not applied. Default: beside the RocksDB store, with
            `-updates` behind its name; without a store nothing is kept.
        quarantine_bytes: Bytes of such commits that are kept at most. Default: 2^30.

    Example:

    >>> tf_hps.UpdatesConfig(url="/streams/ratings", max_rows_per_s=100_000)
    """

    source: str | None = fields.field(fields.one_of("directory"))
    url: str | None = fields.field(fields.path)
    start: str | None = fields.field(fields.text)
    position: str | None = fields.field(fields.text)
    position_timeout_s: float | None = fields.field(fields.number(0, 86400))
    poll_ms: int | None = fields.field(fields.whole_number(1, 60000))
    max_rows_per_s: int | None = fields.field(fields.whole_number(0))
    state_dir: str | None = fields.field(fields.path)
    quarantine_bytes: int | None = fields.field(fields.whole_number(0))

    def __post_init__(self) -> None:
        fields.check_fields(self)

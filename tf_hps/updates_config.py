"""The section `updates` of hps.json: which stream the tables of a deployment follow."""

import dataclasses

from tf_hps import _config_fields as fields


@dataclasses.dataclass(frozen=True)
class UpdatesConfig:
    """The stream of a trainer's commits that the tables follow. What is left None has its default.

    Args:
        source: Which kind of stream: `"directory"` (the default), segment files in a folder, or
            `"redis_stream"`, which the options from `stream` on are for.
        url: Where it is: for a directory the folder, as a path or a file:// URL; for Redis as in
            `RedisConfig`. Needed, unless it comes from `TF_HPS_CONFIG` or the environment.
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
        stream: The stream's name in Redis. Default: "updates".
        reader: This server's name to publishers, which keep what a live reader has not read. Default: host,
            process and a random number.
        timeout_ms: Longest time to wait for an answer. Default: 5000.
        cluster, username, password_file, password_env, tls_ca_file, tls_cert_file, tls_key_file,
            tls_server_name, connect_timeout_ms: As in `RedisConfig`.

    Example:

    >>> tf_hps.UpdatesConfig(url="/streams/ratings", max_rows_per_s=100_000)
    """

    source: str | None = fields.field(fields.one_of("directory", "redis_stream"))
    url: str | None = fields.field(fields.path)
    start: str | None = fields.field(fields.text)
    position: str | None = fields.field(fields.text)
    position_timeout_s: float | None = fields.field(fields.number(0, 86400))
    poll_ms: int | None = fields.field(fields.whole_number(1, 60000))
    max_rows_per_s: int | None = fields.field(fields.whole_number(0))
    state_dir: str | None = fields.field(fields.path)
    quarantine_bytes: int | None = fields.field(fields.whole_number(0))
    stream: str | None = fields.field(fields.text)
    reader: str | None = fields.field(fields.text)
    timeout_ms: int | None = fields.field(fields.whole_number(1, 600000))
    cluster: bool | None = fields.field(fields.flag)
    username: str | None = fields.field(fields.text)
    password_file: str | None = fields.field(fields.path)
    password_env: str | None = fields.field(fields.variable)
    tls_ca_file: str | None = fields.field(fields.path)
    tls_cert_file: str | None = fields.field(fields.path)
    tls_key_file: str | None = fields.field(fields.path)
    tls_server_name: str | None = fields.field(fields.text)
    connect_timeout_ms: int | None = fields.field(fields.whole_number(1, 60000))

    def __post_init__(self) -> None:
        fields.check_fields(self)

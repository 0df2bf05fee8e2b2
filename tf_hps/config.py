"""The configuration of a deployment, as it is written into hps.json."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tf_hps import _config_fields as fields
from tf_hps import _config_json
from tf_hps.gpu_cache_config import GpuCacheConfig as GpuCacheConfig
from tf_hps.rocksdb_config import RocksdbConfig as RocksdbConfig
from tf_hps.updates_config import UpdatesConfig as UpdatesConfig

_SCHEME = "://"


@dataclasses.dataclass(frozen=True)
class MemoryConfig:
    """The tier in this process's memory. What is left None has its default.

    Args:
        capacity_rows: Rows a table holds at most. Default: no bound.
        capacity_bytes: Bytes a table takes at most, its index included. Default: no bound.
        eviction: Which row goes when a table is full: `"lfu"` (the default), the one that was asked for
            least often of late, unless a new one was asked for even less; or `"lru"`, the one that was
            not asked for longest.
        preload: Whether a table is filled from the tier below when it is opened. Default: True where
            there is one.
        hot_keys_path: The folder of the hot keys, as `tf_hps.export(hot_keys=...)` writes it: their rows are
            in memory before a table has opened.
        save_hot_keys_s: Seconds between two writings of the hot keys into that folder. Default: 0, never.

    Example:

    >>> tf_hps.MemoryConfig(capacity_bytes=8_000_000_000, eviction="lru")
    """

    capacity_rows: int | None = fields.field(fields.whole_number(1))
    capacity_bytes: int | None = fields.field(fields.whole_number(1))
    eviction: str | None = fields.field(fields.one_of("lfu", "lru"))
    preload: bool | None = fields.field(fields.flag)
    hot_keys_path: str | None = fields.field(fields.path)
    save_hot_keys_s: int | None = fields.field(fields.whole_number(0))

    def __post_init__(self) -> None:
        fields.check_fields(self)


@dataclasses.dataclass(frozen=True)
class RedisConfig:
    """The tier in Redis, which many servers may share. What is left None has its default.

    Args:
        url: `redis://HOST:PORT/DATABASE`, or `rediss://` for TLS; of a cluster any of its nodes, with
            commas between them. Without user and password. Needed, unless it comes from `TF_HPS_CONFIG`
            or the environment.
        cluster: Whether the servers are a Redis Cluster. Default: False.
        username: The ACL user. Default: Redis' default user.
        password_file: A file that holds the password.
        password_env: Instead, the name of an environment variable that holds it.
        tls_ca_file: Certificates that the server's must be signed by. Default: the system's.
        tls_cert_file: This client's certificate.
        tls_key_file: Its private key.
        tls_server_name: The name in the server's certificate. Default: the host of the URL.
        connect_timeout_ms: Longest time to connect. Default: 200.
        timeout_ms: Longest time that a lookup waits for this tier, retries included. Default: 100.
        retries: How often what failed is tried again, while there is time. Default: 1.
        retry_backoff_ms: Pause before the first retry, doubled for each further one. Default: 5.
        pool_size: Idle connections kept to each server. Default: 8.
        breaker_failures: Failures in a row after which a server is left alone. Default: 3.
        breaker_open_ms: How long it is left alone before it is tried in the background. Default: 1000.
        ttl_s: Seconds a row stays after it was written; 0: for ever. Default: a week, and for ever when
            no tier below has the rows.
        partitions: Parts of a table, each in one slot of a cluster. The first server that opens the
            table decides. Default: 16.

    Example:

    >>> tf_hps.RedisConfig("redis://127.0.0.1:6379", timeout_ms=20)
    """

    url: str | None = fields.field(fields.redis_url)
    cluster: bool | None = fields.field(fields.flag)
    username: str | None = fields.field(fields.text)
    password_file: str | None = fields.field(fields.path)
    password_env: str | None = fields.field(fields.variable)
    tls_ca_file: str | None = fields.field(fields.path)
    tls_cert_file: str | None = fields.field(fields.path)
    tls_key_file: str | None = fields.field(fields.path)
    tls_server_name: str | None = fields.field(fields.text)
    connect_timeout_ms: int | None = fields.field(fields.whole_number(1, 60000))
    timeout_ms: int | None = fields.field(fields.whole_number(1, 60000))
    retries: int | None = fields.field(fields.whole_number(0, 10))
    retry_backoff_ms: int | None = fields.field(fields.whole_number(0, 10000))
    pool_size: int | None = fields.field(fields.whole_number(1, 1024))
    breaker_failures: int | None = fields.field(fields.whole_number(1, 1000000))
    breaker_open_ms: int | None = fields.field(fields.whole_number(1, 3600000))
    ttl_s: int | None = fields.field(fields.whole_number(0, 1000000000))
    partitions: int | None = fields.field(fields.whole_number(1, 4096))

    def __post_init__(self) -> None:
        fields.check_fields(self)
        if self.password_file is not None and self.password_env is not None:
            raise ValueError("`password_file` and `password_env` are both given")


_SECTIONS: dict[
    str,
    type[GpuCacheConfig]
    | type[MemoryConfig]
    | type[RedisConfig]
    | type[RocksdbConfig]
    | type[UpdatesConfig],
] = {
    "gpu_cache": GpuCacheConfig,
    "memory": MemoryConfig,
    "redis": RedisConfig,
    "rocksdb": RocksdbConfig,
    "updates": UpdatesConfig,
}
# What all tables of a deployment share: a table may only do without.
_SHARED = ("updates",)


@dataclasses.dataclass(frozen=True)
class TableConfig:
    """One table of a deployment. What is left None has its default.

    Args:
        generation: Which content. Default: the newest that the store has of this name.
        embedding_dim: Elements of a row. Default: as the store says.
        row_format: How a row is stored: `"float32"`, `"float16"`, `"bfloat16"` or `"int8"`. Default: as
            the store says, else float32.
        default_row: The row of an id that has none: `"zeros"` (the default), a list of `embedding_dim`
            numbers, `{"id": n}` for the row of another id, or `{"id": n, "buckets": m, "by": rule}` for one
            of the rows n to n + m - 1: by `"floormod"`, id modulo m; by `"fingerprint"`, the same of the id as
            an unsigned number, as for words by `tf_hps.word_keys`; by `"decimal_fingerprint"`, the same of the
            fingerprint of its decimal digits.
        out_of_range: What ids outside `[0, vocabulary_size)` do: `"default_row"` (the default),
            `"error"`, or `"wrap_negatives"` (count from the end, as Keras).
        vocabulary_size: Ids the model was trained with. Needed unless out_of_range is default_row.
        max_rows: Rows that the stream of updates may bring the table to. Default: no bound.
        ttl_s: Seconds that a row stays after its last update, by the trainer's clock. Default: for ever.
        when_full: Who makes room at max_rows: `"evict_oldest"` (the default), the rows updated longest
            ago, or `"reject"`, new ids, which do not come in.
        miss_deadline_us: Microseconds that a lookup waits for the stores. Rows that are not there by then
            are default rows (`embedding_lookup_until_deadline` says which). Default: as long as they take.
        memory: Options of the memory tier that differ for this table; False: the table does without.
        redis: The same for the Redis tier.
        rocksdb: The same for the RocksDB tier.
        gpu_cache: Options of the GPUs' caches that differ for this table.
        updates: False: the table does not follow the deployment's stream.

    Example:

    >>> tf_hps.TableConfig(embedding_dim=64, default_row={"id": 0})
    """

    generation: str | None = fields.field(fields.generation)
    embedding_dim: int | None = fields.field(fields.whole_number(1, 2**24))
    row_format: str | None = fields.field(fields.one_of("float32", "float16", "bfloat16", "int8"))
    default_row: str | Sequence[float] | Mapping[str, int | str] | None = fields.field(
        fields.default_row
    )
    out_of_range: str | None = fields.field(fields.one_of("default_row", "error", "wrap_negatives"))
    vocabulary_size: int | None = fields.field(fields.whole_number(0))
    max_rows: int | None = fields.field(fields.whole_number(1))
    ttl_s: int | None = fields.field(fields.whole_number(1, 3153600000))
    when_full: str | None = fields.field(fields.one_of("evict_oldest", "reject"))
    miss_deadline_us: int | None = fields.field(fields.whole_number(1))
    memory: MemoryConfig | Literal[False] | None = None
    redis: RedisConfig | Literal[False] | None = None
    rocksdb: RocksdbConfig | Literal[False] | None = None
    gpu_cache: GpuCacheConfig | Literal[False] | None = None
    updates: Literal[False] | None = None

    def __post_init__(self) -> None:
        fields.check_fields(self)
        _check_sections(self, or_false=True)
        if self.out_of_range not in (None, "default_row") and not self.vocabulary_size:
            raise ValueError(
                f"`out_of_range` {self.out_of_range!r} needs a `vocabulary_size` of at least 1. "
                f"Received: vocabulary_size={self.vocabulary_size!r}"
            )
        if self.when_full == "reject" and self.max_rows is None:
            raise ValueError('`when_full` "reject" needs a `max_rows`')
        if self.updates is False and (self.max_rows, self.ttl_s) != (None, None):
            raise ValueError(
                "`max_rows` and `ttl_s` bound what a stream of updates brings. "
                f"Received: max_rows={self.max_rows}, ttl_s={self.ttl_s} and updates=False"
            )
        dim = self.embedding_dim
        if isinstance(self.default_row, list) and dim not in (None, len(self.default_row)):
            raise ValueError(
                f"`default_row` has as many elements as a row, {dim}. "
                f"Received: {len(self.default_row)} elements"
            )


@dataclasses.dataclass(frozen=True)
class Config:
    """The tiers and tables of a deployment: an hps.json in Python.

    Values are checked here as far as one can without the stores; defaults and what an operator
    overrides (`TF_HPS_CONFIG`, `TF_HPS_*`) come in when a table is opened. A Config does not change:
    `dataclasses.replace` gives another one.

    Args:
        deployment: Whose tables these are; equal names in different deployments share nothing.
        memory: The tier in this process's memory. None: there is none.
        redis: The tier in Redis. None: there is none.
        rocksdb: The tier on this machine's disk. None: there is none.
        updates: The stream that the tables follow. None: there is none.
        tables: The tables by name.
        gpu_cache: What each GPU keeps of a table. None: the defaults.
        folder: Where relative paths start. Default: the working directory. Not written.

    Example:

    >>> config = tf_hps.Config(
    ...     deployment="ratings",
    ...     memory=tf_hps.MemoryConfig(capacity_rows=1_000_000),
    ...     rocksdb=tf_hps.RocksdbConfig("stores/ratings"),
    ...     tables={"movie_id": tf_hps.TableConfig(embedding_dim=64)},
    ... )
    >>> table = tf_hps.Table("movie_id", config)
    """

    deployment: str = "default"
    memory: MemoryConfig | None = None
    redis: RedisConfig | None = None
    rocksdb: RocksdbConfig | None = None
    updates: UpdatesConfig | None = None
    tables: Mapping[str, TableConfig] = dataclasses.field(default_factory=dict)
    gpu_cache: GpuCacheConfig | None = None
    folder: str | None = dataclasses.field(default=None, repr=False, compare=False, kw_only=True)
    _file: str | None = dataclasses.field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        fields.check_value("deployment", fields.name, self.deployment)
        _check_sections(self, or_false=False)
        if not isinstance(self.tables, Mapping):
            raise ValueError(
                f"`tables` is a dict of TableConfig by name. Received: tables={self.tables!r}"
            )
        for name, table in self.tables.items():
            fields.check_value("table name", fields.name, name)
            if not isinstance(table, TableConfig):
                raise ValueError(f"`tables[{name!r}]` is a TableConfig. Received: {table!r}")
            for section in _SECTIONS:
                if getattr(table, section) and getattr(self, section) is None:
                    raise ValueError(
                        f"`tables[{name!r}].{section}` overrides a tier that the deployment does not "
                        f"have; give `{section}` to the Config too"
                    )
        object.__setattr__(self, "tables", dict(self.tables))

    def to_json(self) -> str:
        """The text of hps.json. Paths stand in it as they were given."""
        document: dict[str, Any] = {"format_version": _config_json.FORMAT_VERSION}
        document |= _written(self)
        document["tables"] = {name: _written(table) for name, table in self.tables.items()}
        return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `to_json()` to `path`, whole or not at all. Relative paths in it start there."""
        _config_json.write(os.fspath(path), self.to_json())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Config":
        """Reads what `save` wrote. Unknown options are a ValueError that lists the known ones."""
        file = os.path.abspath(os.fspath(path))
        with open(file, "rb") as opened:
            text = opened.read()
        try:
            config = _config_from(_config_json.parse(text), os.path.dirname(file))
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from error
        object.__setattr__(config, "_file", file)
        return config

    def absolute(self) -> "Config":
        """The same with absolute paths: it may be saved anywhere."""
        return dataclasses.replace(
            self,
            **self._absolute(self),
            tables={
                name: dataclasses.replace(table, **self._absolute(table))
                for name, table in self.tables.items()
            },
        )

    def path(self) -> str:
        """An hps.json that says this: the file it was loaded from, else one in a temporary folder."""
        return self._file or _config_json.write_private(self.absolute().to_json())

    def _absolute(self, options: Any) -> dict[str, Any]:
        """The sections of `options` with absolute paths."""
        sections = {}
        for section in _SECTIONS:
            value = getattr(options, section)
            if not value:
                continue
            paths = {
                item.name: os.path.abspath(os.path.join(self.folder or "", path))
                for item in dataclasses.fields(value)
                if item.metadata.get("check") is fields.path
                and (path := getattr(value, item.name)) is not None
                and _SCHEME not in path
            }
            sections[section] = dataclasses.replace(value, **paths)
        return sections


def _check_sections(options: Any, or_false: bool) -> None:
    for section, kind in _SECTIONS.items():
        value = getattr(options, section)
        if or_false and value is False:
            continue
        if or_false and section in _SHARED and value is not None:
            raise ValueError(
                f"`{section}` is the same for all tables of a deployment; a table may only say False. "
                f"Received: {section}={value!r}"
            )
        if value is not None and not isinstance(value, kind):
            raise ValueError(f"`{section}` is a {kind.__name__}. Received: {section}={value!r}")


def _written(options: Any) -> dict[str, Any]:
    """The fields of a dataclass that are not None; a tier that is False is null in JSON."""
    written = {}
    for name in fields.field_names(options):
        value = getattr(options, name)
        if name == "tables" or value is None:
            continue
        if name in _SECTIONS:
            value = _written(value) if value else None
        written[name] = value
    return written


def _config_from(document: dict[str, Any], folder: str) -> Config:
    fields.check_known("hps.json", document, ["format_version", *fields.field_names(Config)])
    options = {name: value for name, value in document.items() if value is not None}
    for section, kind in _SECTIONS.items():
        if section in options:
            options[section] = _options_from(kind, options[section], f"`{section}`")
    tables = fields.check_object("`tables`", options.pop("tables", {}))
    return Config(
        **options,
        tables={name: _table_from(name, entry) for name, entry in tables.items()},
        folder=folder,
    )


def _table_from(name: str, entry: Any) -> TableConfig:
    place = f"`tables.{name}`"
    options = dict(fields.check_object(place, entry))
    for section, kind in _SECTIONS.items():
        if section not in options:
            continue
        if options[section] is None:
            options[section] = False
        else:
            options[section] = _options_from(kind, options[section], f"`tables.{name}.{section}`")
    table: TableConfig = _options_from(TableConfig, options, place)
    return table


def _options_from(kind: Any, options: Any, place: str) -> Any:
    fields.check_known(place, fields.check_object(place, options), fields.field_names(kind))
    try:
        return kind(**options)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None

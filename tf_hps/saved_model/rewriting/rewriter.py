"""Rewrites a SavedModel so that its embeddings are looked up in tables."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tf_hps.config import Config, MemoryConfig, RocksdbConfig, TableConfig
from tf_hps.progress import Progress
from tf_hps.row_keys import default_row
from tf_hps.saved_model.config_assets import STORE_FOLDER
from tf_hps.saved_model.lookup_groups import group_saved_model
from tf_hps.saved_model.rewriting.asset_files import asset_files
from tf_hps.saved_model.rewriting.check import check_rewrite
from tf_hps.saved_model.rewriting.graph_edit import edit_graph
from tf_hps.saved_model.rewriting.plan import GraphPlan, PlannedTable, agreed, plan_graph
from tf_hps.saved_model.rewriting.plan_report import make_report
from tf_hps.saved_model.rewriting.report import RewriteReport
from tf_hps.saved_model.rewriting.source_model import SourceModel
from tf_hps.store import StoreWriter

_OUT_OF_RANGE = ("error", "default_row", "wrap_negatives")


def rewrite(
    saved_model_dir: str | os.PathLike[str],
    output_dir: str | os.PathLike[str] | None = None,
    *,
    store: str | os.PathLike[str] | None = None,
    deployment: str = "default",
    min_rows: int = 0,
    memory: MemoryConfig | Literal[False] | None = None,
    out_of_range: str = "error",
    drop_unread: bool = False,
    fold_lookups: bool = False,
    group: bool = True,
    check: bool = True,
    dry_run: bool = False,
) -> RewriteReport:
    """Writes a SavedModel that looks embeddings up in tables, from one that holds them as variables.

    The model's Python is not needed, nor is Keras. Every variable that is only used for looking rows up
    becomes a table: its rows are streamed from the checkpoint into a store, the variable goes from the graph and
    from the checkpoint. Signatures, assets, `assets.extra` and warm-up requests stay. Variables that are
    used otherwise too, by tied output weights say, stay as they are; the report says which and why.

    What is written appears under `output_dir` when it is whole and, unless `check` is off, after both models
    have answered generated requests alike, bit for bit, in processes of their own. The input is only read.

    Args:
        saved_model_dir: The SavedModel that is read.
        output_dir: The new folder; must not exist. Not needed for a dry run.
        store: Folder of the RocksDB store, which may be shared with other models. Defaults to `None`: the rows
            are inside of the output, in `assets.extra/hps`, and the output may be moved.
        deployment: Name of the deployment. Defaults to `"default"`.
        min_rows: Variables with fewer rows stay. Defaults to 0.
        memory: The memory tier before the store; `False` for none. Defaults to `None`: one that holds all
            rows.
        out_of_range: What ids outside of the vocabulary do: `"error"` as before, `"default_row"` or
            `"wrap_negatives"`. Defaults to `"error"`.
        drop_unread: Whether variables go that no function reads, an optimizer's state for instance. What
            belongs to a table's rows always goes. Defaults to `False`.
        fold_lookups: Whether vocabularies go that only feed tables: rows are stored under the keys themselves,
            words under their 64-bit fingerprints, and unknown keys get the row that they had as the default
            row. Defaults to `False`.
        group: Whether lookups that do not wait for each other become one op. Defaults to `True`.
        check: Whether the result is compared with the original before it appears. Defaults to `True`.
        dry_run: Whether to only look, and write nothing. Defaults to `False`.

    Returns:
        A `RewriteReport`; `print` shows it.

    Example:

    ```python
    model = keras.Sequential([keras.Input((3,), dtype="int32"), keras.layers.Embedding(1000, 8)])
    model.export(path := os.path.join(tempfile.mkdtemp(), "1"), verbose=False)
    print(tf_hps.saved_model.rewrite(path, path + "-rewritten"))
    loaded = tf_hps.load(path + "-rewritten")
    loaded.serve(tf.constant([[1, 2, 999]]))
    ```
    """
    if out_of_range not in _OUT_OF_RANGE:
        raise ValueError(
            f"`out_of_range` is one of {_OUT_OF_RANGE}. Received: out_of_range={out_of_range!r}"
        )
    source = SourceModel(os.path.abspath(os.fspath(saved_model_dir)))
    plans = agreed(
        [
            plan_graph(
                graph,
                source.checkpoint,
                source.objects(graph),
                min_rows,
                drop_unread,
                fold_lookups,
                source.path,
            )
            for graph in source.proto.meta_graphs
        ]
    )
    report = make_report(source.path, plans, out_of_range)
    if dry_run:
        return report
    if output_dir is None:
        raise ValueError("`output_dir` is needed unless `dry_run` is on")
    output = os.path.abspath(os.fspath(output_dir))
    if os.path.lexists(output):
        raise FileExistsError(f"`output_dir` is a new folder. Received: {output}, which exists")
    if not any(plan.tables for plan in plans):
        why = "; ".join(f"{kept.variable}: {kept.why}" for kept in report.left)
        raise ValueError(
            f"{source.path} has no lookup that can move to a table"
            + (f" ({why})" if why else ": nothing in it gathers rows of a variable")
        )
    partial = output + ".partial"
    shutil.rmtree(partial, ignore_errors=True)  # Of a rewrite that was killed.
    os.makedirs(os.path.dirname(output), exist_ok=True)
    inside = os.path.join("assets.extra", STORE_FOLDER)
    rows = _Rows(source, store or os.path.join(partial, inside))
    try:
        source.copy_files(partial)
        generations = rows.write(plans)
        config = _config(plans, generations, store, deployment, memory, out_of_range)
        groups = _write_model(source, plans, config, partial, group)
        report = report.written(
            output, os.fspath(store or os.path.join(output, inside)), generations, groups
        )
        if check:
            sources = {table.name: source.rows(table) for table in _tables(plans)}
            same_outside = out_of_range == "error"
            report = check_rewrite(report, sources, source.path, partial, rows.path, same_outside)
        os.rename(partial, output)
    except BaseException:
        rows.undo()
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return report


class _Rows:
    """The rows of the tables on their way into a store."""

    def __init__(self, source: SourceModel, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(os.fspath(path))
        self._source = source
        self._existed = os.path.exists(self.path)
        self._new: list[tuple[str, str]] = []

    def write(self, plans: Sequence[GraphPlan]) -> dict[str, str]:
        """Writes the rows of all tables; their generations, by the tables' names."""
        generations: dict[str, str] = {}
        with StoreWriter(self.path) as writer:
            for table in _tables(plans):
                rows = self._source.rows(table)[0]
                with Progress(table.name) as progress:
                    generation = writer.write_table(table.name, rows, table.row_format, progress)
                generations[table.name] = generation
                assert writer.last_load is not None
                if not writer.last_load.already_there:
                    self._new.append((table.name, generation))
        return generations

    def undo(self) -> None:
        """Takes out of a store that outlives a failure what was written into it."""
        if not self._existed:
            shutil.rmtree(self.path, ignore_errors=True)
        elif self._new:
            with StoreWriter(self.path) as writer:
                for name, generation in self._new:
                    writer.drop_table(name, generation)


def _tables(plans: Sequence[GraphPlan]) -> list[PlannedTable]:
    return list({table.name: table for plan in plans for table in plan.tables}.values())


def _config(
    plans: Sequence[GraphPlan],
    generations: Mapping[str, str],
    store: str | os.PathLike[str] | None,
    deployment: str,
    memory: MemoryConfig | Literal[False] | None,
    out_of_range: str,
) -> Config:
    path = f"../assets.extra/{STORE_FOLDER}" if store is None else os.path.abspath(os.fspath(store))
    return Config(
        deployment=deployment,
        memory=MemoryConfig() if memory is None else memory or None,
        rocksdb=RocksdbConfig(path=path, read_only=True),
        tables={
            table.name: TableConfig(
                generation=generations[table.name],
                embedding_dim=table.embedding_dim,
                row_format=table.row_format,
                **_meaning(table, out_of_range),
            )
            for table in _tables(plans)
        },
    )


def _meaning(table: PlannedTable, out_of_range: str) -> dict[str, Any]:
    """What ids get that have no row."""
    if table.folding is not None:
        row = default_row(len(table.folding.unknown_rows), table.folding.rule)
        return {"out_of_range": "default_row", "default_row": row}
    return {"out_of_range": out_of_range, "vocabulary_size": table.rows}


def _write_model(
    source: SourceModel,
    plans: Sequence[GraphPlan],
    config: Config,
    folder: str,
    group: bool,
) -> int:
    file_name = _unused_asset(folder)
    dropped: set[str] = set()
    unnamed: set[str] = set()
    for meta_graph, plan in zip(source.proto.meta_graphs, plans, strict=True):
        if not plan.tables:
            continue

        def shared_name(table: PlannedTable, node: str) -> str:
            # With the generation: loaders of TensorFlow 1 graphs keep a handle's name as it is. One
            # for each variable: who lets go of a handle destroys what has its name.
            generation = config.tables[table.name].generation
            number = table.nodes.index(node)
            return f"tf_hps/{config.deployment}/{table.name}/{generation}/{number}"

        objects = source.objects(meta_graph)
        unnamed |= edit_graph(meta_graph, plan, objects, file_name, shared_name)
        dropped |= plan.dropped_keys
    source.write(folder, dropped)
    for graph in source.proto.meta_graphs:
        unnamed -= set(asset_files(graph).values())
    for name in unnamed:
        os.remove(os.path.join(folder, "assets", name))
    os.makedirs(os.path.join(folder, "assets"), exist_ok=True)
    config.save(os.path.join(folder, "assets", file_name))
    groups = group_saved_model(folder) if group else ()
    return sum(len(lookups.lookups) for lookups in groups)


def _unused_asset(folder: str) -> str:
    name, number = "hps.json", 1
    while os.path.exists(os.path.join(folder, "assets", name)):
        number += 1
        name = f"hps-{number}.json"
    return name

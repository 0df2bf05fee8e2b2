"""The tables' metrics in TensorFlow's monitoring registry, in the text that Prometheus scrapes."""

import dataclasses
import json
import pathlib
import re
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from served_models import export_version, serving
from tables import memory_config, rocksdb_config, rows_of

import tf_hps
from tf_hps._library import load_core
from tf_hps.cli import main

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LINE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[a-zA-Z_]\w*="(?:[^"\\]|\\.)*",?)*)\} (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Scrape:
    """A page of metrics, read as Prometheus reads it."""

    def __init__(self, page: str):
        self.types: dict[str, str] = {}
        self.points: dict[tuple[str, frozenset], float] = {}
        for line in page.splitlines():
            if line.startswith("# TYPE "):
                name, kind = line.removeprefix("# TYPE ").split()
                assert name not in self.types, f"{name} is there twice"
                self.types[name] = kind
                continue
            match = LINE.match(line)
            assert match, line
            point = (match[1], frozenset(LABEL.findall(match[2])))
            assert point not in self.points, f"{line}: is there twice"
            self.points[point] = float(match[3])

    def of(self, name: str, **labels: str) -> dict[frozenset, float]:
        wanted = set(labels.items())
        return {
            found: value
            for (n, found), value in self.points.items()
            if n == name and wanted <= found
        }

    def value(self, name: str, **labels: str) -> float:
        (value,) = self.of(name, **labels).values()
        return value


def scrape() -> Scrape:
    return Scrape(load_core().metrics())


@pytest.fixture
def table(tmp_path):
    """20,000 rows on disk, and memory for 8 of them that is filled by lookups alone."""
    with tf_hps.store.StoreWriter(tmp_path / "store") as writer:
        writer.write_table("movie_id", tf_hps.store.from_arrays(rows_of(np.arange(20_000))))
    config = dataclasses.replace(
        rocksdb_config(tmp_path / "store"),
        memory=tf_hps.MemoryConfig(capacity_rows=8, preload=False),
        rocksdb=tf_hps.RocksdbConfig(str(tmp_path / "store"), read_only=True),
    )
    return tf_hps.Table("movie_id", config)


def test_each_counter_of_a_table_is_a_metric(table):
    tf_hps.embedding_lookup(table, [1, 2, 3, 99_999])
    table._table.wait_for_promotions()
    tf_hps.embedding_lookup(table, [1, 2, 3])
    stats = table.stats()
    metrics = scrape()
    own = {"deployment": table.deployment, "table": "movie_id", "generation": table.generation}
    assert metrics.value(":tf_hps:lookups", **own) == 2
    assert metrics.value(":tf_hps:keys", **own) == 7
    assert metrics.value(":tf_hps:default_rows", **own) == 1
    assert metrics.value(":tf_hps:degraded_rows", **own) == 0
    assert metrics.value(":tf_hps:rows", **own) == 20_000
    assert metrics.value(":tf_hps:promoted_rows", **own) == 3
    assert metrics.value(":tf_hps:promotion_queue_bytes", **own) == 0
    assert metrics.value(":tf_hps:health", **own) == 0
    for tier, hits, misses in (("memory", 3, 4), ("rocksdb", 3, 1)):
        assert metrics.value(":tf_hps:tier:hits", tier=tier, **own) == hits
        assert metrics.value(":tf_hps:tier:misses", tier=tier, **own) == misses
        assert metrics.value(":tf_hps:tier:find_errors", tier=tier, **own) == 0
    assert metrics.value(":tf_hps:tier:rows", tier="memory", **own) == 3
    assert metrics.value(":tf_hps:tier:capacity_rows", tier="memory", **own) == 8
    assert metrics.value(":tf_hps:tier:bytes", tier="memory", **own) == stats["tiers"][0]["bytes"]
    assert metrics.types[":tf_hps:tier:hits"] == "counter"
    assert metrics.types[":tf_hps:tier:bytes"] == "gauge"


def test_latencies_are_histograms_that_prometheus_can_sum(table):
    for _ in range(5):
        tf_hps.embedding_lookup(table, np.arange(50, 100))
    metrics = scrape()
    name, own = ":tf_hps:tier:latency_usecs", {"deployment": table.deployment, "tier": "rocksdb"}
    assert metrics.types[name] == "histogram"
    buckets = {dict(labels)["le"]: n for labels, n in metrics.of(f"{name}_bucket", **own).items()}
    counts = [buckets.pop("+Inf")]
    limits = sorted(buckets, key=float, reverse=True)
    counts += [buckets[limit] for limit in limits]
    assert len(limits) == 27 and {"0.25", "0.5", "1", "2"} <= set(limits)
    assert counts == sorted(counts, reverse=True)
    count = metrics.value(f"{name}_count", **own)
    assert count == counts[0] == 5
    assert 0 < metrics.value(f"{name}_sum", **own) / count < 1e6
    assert metrics.value(":tf_hps:stores_latency_usecs_count", deployment=table.deployment) == 5


def test_of_memory_one_call_in_sixteen_is_measured():
    table = tf_hps.Table("movie_id", memory_config())
    for _ in range(3200):
        table._table.lookup(np.array([1, 2]))
    metrics = scrape()
    (count,) = metrics.of(":tf_hps:tier:latency_usecs_count", deployment=table.deployment).values()
    assert 100 < count < 400


def test_a_scrape_sees_what_happened_since_the_last_and_no_table_that_is_gone():
    table = tf_hps.Table("movie_id", memory_config())
    deployment = table.deployment
    for lookups in (1, 2, 3):
        tf_hps.embedding_lookup(table, [1])
        assert scrape().value(":tf_hps:lookups", deployment=deployment) == lookups
    del table
    assert not scrape().of(":tf_hps:lookups", deployment=deployment)


def test_a_table_whose_disk_fails_is_failing_until_it_answers_again(table, tmp_path):
    files = sorted((tmp_path / "store").glob("*.sst"))
    contents = {path: path.read_bytes() for path in files}
    own = {"deployment": table.deployment}
    for path, content in contents.items():  # in place: RocksDB holds the files open
        with path.open("r+b") as file:
            file.write(b"\0" * (len(content) - 200))
    with pytest.raises(tf.errors.OpError):
        tf_hps.embedding_lookup(table, np.arange(20_000))
    assert scrape().value(":tf_hps:health", **own) == 2
    assert scrape().value(":tf_hps:tier:failing", tier="rocksdb", **own) == 1
    assert table.stats()["health"] == "failing"
    for path, content in contents.items():
        with path.open("r+b") as file:
            file.write(content)
    tf_hps.embedding_lookup(table, np.arange(20_000))
    assert scrape().value(":tf_hps:health", **own) == 0
    assert scrape().value(":tf_hps:tier:find_errors", tier="rocksdb", **own) >= 1


def test_labels_are_escaped():
    config = memory_config()
    table = tf_hps.Table("movie_id", config)
    page = load_core().metrics()
    assert f'deployment="{table.deployment}"' in page
    Scrape(page)  # all of TensorFlow's own metrics parse, too


def test_the_server_has_the_page_where_tensorflow_serving_has_it(tmp_path):
    export_version(tmp_path / "sums", 1, 1.0, tmp_path / "store")
    with serving(tmp_path / "sums", rest_port=0) as client:
        client.predict([1, 2, 3])
        address = f"http://localhost:{client.rest_port}/monitoring/prometheus/metrics"
        with urllib.request.urlopen(address) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            metrics = Scrape(answer.read().decode())
        assert 3 in metrics.of(":tf_hps:keys", table="id").values()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://localhost:{client.rest_port}/v1/models/sums")


def test_top_shows_what_the_tables_did_between_two_looks(table, capsys):
    from tf_hps.commands.top import sample, view
    from tf_hps.metrics_reader import parse_figures

    tf_hps.embedding_lookup(table, [1])
    pages = [load_core().metrics()]
    tf_hps.embedding_lookup(table, [1, 2, 3, 99_999])
    pages.append(load_core().metrics())
    own = [
        "\n".join(line for line in page.splitlines() if table.deployment in line) for page in pages
    ]
    before, after = (parse_figures(page) for page in own)
    shown = view(sample(before, 10.0), sample(after, 12.0)).splitlines()
    assert shown[0].split()[:4] == ["table", "health", "ids/s", "default"]
    memory, disk = shown[1].split(), shown[2].split()
    assert memory[:5] == ["movie_id", "ok", "2", "25.0%", "memory"]
    assert disk[0] == "rocksdb" and len(shown) == 3
    hits = float(memory[5].rstrip("%")) + float(disk[1].rstrip("%"))
    assert hits == 75.0


def test_top_reads_a_running_server(tmp_path, capsys):
    export_version(tmp_path / "sums", 1, 1.0, tmp_path / "store")
    with serving(tmp_path / "sums", rest_port=0) as client:
        client.predict([1, 2, 3])
        arguments = ["top", f"localhost:{client.rest_port}", "--seconds", "0.05", "--count", "2"]
        assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert shown.count("table ") == 2 and "memory" in shown and "rocksdb" in shown


def test_plan_reads_a_running_server(tmp_path, capsys):
    export_version(tmp_path / "sums", 1, 1.0, tmp_path / "store")
    with serving(tmp_path / "sums", rest_port=0) as client:
        server = f"localhost:{client.rest_port}"
        assert main(["plan", server]) == 2
        assert f"{server} has no curves yet" in capsys.readouterr().err
        for _ in range(20):
            client.predict([1, 2, 3, 4] * 250)
        arguments = ["plan", server, "--budget", "1e4", "--plot", f"{tmp_path}/curves.png"]
        assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "id: 20,000 lookups of about " in shown
    assert "10,000 bytes split so that " in shown and "id: memory.capacity_rows" in shown
    assert (tmp_path / "curves.png").stat().st_size > 5000


def registered_metrics() -> set[str]:
    """Names as Prometheus has them; a table of every kind of store need not be open for that."""
    return {name for name in scrape().types if name.startswith(":tf_hps:")}


def test_the_dashboard_and_the_docs_name_metrics_that_there_are():
    known = registered_metrics()
    dashboard = json.loads((ROOT / "docs/grafana_dashboard.json").read_text())
    expressions = " ".join(
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])
    )
    used = set(re.findall(r":tf_hps:[\w:]+", expressions))
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in used} <= known
    listed = set(
        re.findall(r"^\| `(/tf_hps/[\w/]+)`", (ROOT / "docs/operations.md").read_text(), re.M)
    )
    assert {name.replace("/", ":") for name in listed} == known


def test_the_profiler_shows_the_tiers(table, tmp_path):
    tf.profiler.experimental.start(str(tmp_path / "profile"))
    tf_hps.embedding_lookup(table, [1, 2, 3])
    tf.profiler.experimental.stop()
    (trace,) = (tmp_path / "profile").rglob("*.xplane.pb")
    recorded = trace.read_bytes()
    for stage in (b"memory", b"stores", b"rocksdb"):
        assert b"HpsLookup:" + stage in recorded, stage

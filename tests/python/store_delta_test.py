"""Deltas: what differs from a generation, and the table that both are."""

import hashlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tf_hps.cli import main
from tf_hps.store import StoreError, StoreReader, StoreWriter, database, from_arrays, row_formats
from tf_hps.store.compare import compare_table
from tf_hps.store.copy import copy_store
from tf_hps.store.snapshot import snapshot_store

INT64 = np.iinfo(np.int64)
DIM = 3


def source_of(model):
    keys = np.array(sorted(model), np.int64)
    rows = np.array([model[key] for key in keys.tolist()], np.float32).reshape(len(keys), DIM)
    return from_arrays(rows, keys)


def random_keys(rng, count):
    """Keys that meet each other, and both ends of all keys."""
    keys = rng.integers(-200, 200, count).tolist()
    return [*keys, *rng.choice([INT64.min, INT64.max, 1 << 40], rng.integers(0, 3)).tolist()]


def random_rows(rng, keys):
    return {key: rng.standard_normal(DIM, dtype=np.float32).tolist() for key in keys}


def rows_of(path, generation):
    """Keys and stored rows."""
    with StoreReader(path) as reader:
        record = reader.record("t", generation)
        batches = list(reader.rows(record))
        assert sum(len(keys) for keys, _ in batches) == record.rows
    keys = np.concatenate([np.empty(0, np.int64), *(keys for keys, _ in batches)])
    rows = np.concatenate(
        [np.empty((0, record.row_bytes), np.uint8), *(rows for _, rows in batches)]
    )
    return keys, rows


def check_is(path, generation, model, row_format):
    """A delta and a full load of the same rows have them row for row, by every way to read."""
    full = path.parent / f"full-{generation}"
    with StoreWriter(full) as writer:
        writer.write_table("t", source_of(model), row_format)
    keys, rows = rows_of(path, generation)
    wanted_keys, wanted_rows = rows_of(full, None)
    np.testing.assert_array_equal(keys, wanted_keys)
    np.testing.assert_array_equal(rows, wanted_rows)
    with StoreReader(path) as reader:
        record = reader.record("t", generation)
        scratch = str(path.parent / "sort")
        assert compare_table(reader, record, source_of(model), scratch).equal == len(model)
        asked = np.array([*range(-210, 210), INT64.min, INT64.max, 1 << 40])
        found_rows, found = reader.get(record, asked)
        assert found.tolist() == [key in model for key in asked.tolist()]
        at = {key: i for i, key in enumerate(wanted_keys.tolist())}
        for key, row in zip(asked[found].tolist(), found_rows[found], strict=True):
            assert (row == wanted_rows[at[key]]).all()
        first, last = -50, 70
        part = [keys for keys, _ in reader.rows(record, first, last, 7)]
        expected = [key for key in sorted(model) if first <= key <= last]
        assert [key for keys in part for key in keys.tolist()] == expected


@pytest.mark.parametrize("row_format", row_formats.ROW_FORMATS)
@pytest.mark.parametrize("seed", range(2))
def test_chains_of_deltas_are_full_loads_row_for_row(tmp_path, row_format, seed):
    rng = np.random.default_rng(seed)
    model = random_rows(rng, random_keys(rng, 300))
    with StoreWriter(tmp_path / "s") as writer:
        root = writer.write_table("t", source_of(model), row_format)
    generation = root
    for _ in range(5):
        changed = random_rows(rng, random_keys(rng, 8))
        erased = sorted(set(random_keys(rng, 8)) - set(changed))
        model = {k: row for k, row in (model | changed).items() if k not in set(erased)}
        with StoreWriter(tmp_path / "s") as writer:
            generation = writer.write_delta("t", generation, source_of(changed), erased)
            record = writer.last_load.record
        assert record.base == root, f"seed {seed}"
        check_is(tmp_path / "s", generation, model, row_format)
    # Where all rows are given, only what differs stands in the store, by whichever deltas that came about.
    with StoreWriter(tmp_path / "s") as writer:
        whole = writer.write_delta("t", root, source_of(model), complete=True)
        assert writer.write_delta("t", generation, source_of(model), complete=True) == whole
        assert writer.last_load.already_there
    check_is(tmp_path / "s", whole, model, row_format)
    with StoreReader(tmp_path / "s") as reader:
        own = list(reader.layers(reader.record("t", whole)).own.scan())
        old, old_found = reader.get(reader.record("t", root), own[0][0])
        new, new_found = reader.get(reader.record("t", whole), own[0][0])
        assert ((old != new).any(axis=1) | (old_found != new_found)).all()


@pytest.fixture
def store(tmp_path):
    model = {key: [key, 0, 1] for key in range(100)}
    with StoreWriter(tmp_path / "s") as writer:
        root = writer.write_table("t", source_of(model))
    return tmp_path / "s", root, model


def test_the_generation_is_made_of_the_bytes_that_the_docs_name(store):
    path, root, _ = store
    with StoreWriter(path) as writer:
        generation = writer.write_delta("t", root, source_of({5: [9, 9, 9]}), [7, 3])
    rows = hashlib.blake2b(b"float32:3\n", digest_size=16, person=b"tf_hps.gen.1")
    rows.update(np.array([5], "<i8").tobytes() + np.full(3, 9, "<f4").tobytes())
    keys = hashlib.blake2b(
        np.array([3, 7], "<i8").tobytes(), digest_size=16, person=b"tf_hps.dlt.1"
    )
    text = f"{root}\n{rows.hexdigest()}\n{keys.hexdigest()}\n".encode()
    expected = hashlib.blake2b(text, digest_size=16, person=b"tf_hps.dlt.1")
    assert generation == expected.hexdigest()


def test_nothing_that_differs_is_the_base(store):
    path, root, model = store
    with StoreWriter(path) as writer:
        other = writer.write_table("t", source_of({1: [1, 1, 1]}))
        assert writer.write_delta("t", root, source_of(model), complete=True) == root
        assert writer.last_load.already_there
        assert writer.write_delta("t", root) == root
    with StoreReader(path) as reader:
        assert reader.record("t").generation == root
        assert {record.generation for record in reader.tables()} == {root, other}


def test_a_delta_that_is_undone_is_the_base(store):
    path, root, model = store
    with StoreWriter(path) as writer:
        delta = writer.write_delta("t", root, source_of({3: [0, 0, 0], 500: [1, 1, 1]}), [4])
        again = writer.write_delta("t", delta, source_of(model), complete=True)
    assert again == root


def test_what_is_given_stands_there_as_it_is(store):
    path, root, model = store
    with StoreWriter(path) as writer:
        delta = writer.write_delta("t", root, source_of({3: model[3], 500: [1, 1, 1]}), [4, 1000])
        load = writer.last_load
    assert (load.changed, load.erased) == (2, 2)
    check_is(
        path, delta, {k: row for k, row in model.items() if k != 4} | {500: [1, 1, 1]}, "float32"
    )


def test_rows_are_counted_up_to_256_keys_and_estimated_beyond(tmp_path):
    rng = np.random.default_rng(0)
    keys = 2 * np.arange(200_000)
    with StoreWriter(tmp_path / "s") as writer:
        root = writer.write_table("t", from_arrays(np.zeros((len(keys), 2), np.float32), keys))

        def delta(changed, new, erased):
            there = np.concatenate(
                [rng.choice(keys, changed, False), rng.choice(keys, new, False) + 1]
            )
            gone = np.setdiff1d(rng.choice(keys, erased, False), there)
            rows = np.ones((len(there), 2), np.float32)
            writer.write_delta("t", root, from_arrays(rows, there), gone)
            return writer.last_load.record, len(keys) + new - len(gone)

        record, rows = delta(180, 76, 200)
        assert record.rows == rows and record.rows_estimated is None
        record, rows = delta(20_000, 5_000, 3_000)
        # The share of new keys, a fifth, as 256 of them tell: four standard deviations.
        assert abs(record.rows - rows) < 4 * 25_000 * (0.2 * 0.8 / 256) ** 0.5
        assert record.rows_estimated
    with StoreReader(tmp_path / "s") as reader:
        assert reader.source("t").rows is None
        assert sum(len(keys) for keys, _ in reader.rows(record)) == rows
    assert main(["inspect", "--store", str(tmp_path / "s")]) == 0


def test_what_is_more_than_half_is_written_in_full(store):
    path, root, model = store
    changed = {key: [7, 7, key] for key in range(50, 101)}
    with StoreWriter(path) as writer:
        first = writer.write_delta("t", root, source_of({k: changed[k] for k in range(50, 80)}))
        assert writer.last_load.record.base == root
        second = writer.write_delta("t", first, source_of(changed))
        assert writer.last_load.record.base is None
        assert writer.write_table("t", source_of(model | changed)) == second
    check_is(path, second, model | changed, "float32")


def test_a_base_is_kept_and_what_is_no_base_says_why(store):
    path, root, _ = store
    with StoreWriter(path) as writer:
        delta = writer.write_delta("t", root, source_of({5: [9, 9, 9]}))
        with pytest.raises(StoreError, match=f"has deltas over it.*{delta}. Drop those first"):
            writer.drop_table("t", root)
        with pytest.raises(
            StoreError, match=f"has no table 't' of generation 00. It has: t.*{root}"
        ):
            writer.write_delta("t", "00")
        with pytest.raises(ValueError, match="has an embedding_dim of 3, an array of 4"):
            writer.write_delta("t", root, from_arrays(np.ones((1, 4), np.float32)))
        with pytest.raises(
            ValueError, match="The key 5 is to be erased, and has a row in the source"
        ):
            writer.write_delta("t", root, source_of({5: [1, 1, 1]}), [4, 5])
        with pytest.raises(ValueError, match="the key 5 more than once"):
            writer.write_delta("t", root, from_arrays(np.ones((2, 3), np.float32), [5, 5]))
        with pytest.raises(ValueError, match="`erased` has the key 4 more than once"):
            writer.write_delta("t", root, None, [4, 5, 4])
        with pytest.raises(
            ValueError, match=r"`erased` is keys, integers \[n\]. Received: float64"
        ):
            writer.write_delta("t", root, None, [0.5])
        with pytest.raises(ValueError, match="`complete` needs a `source`"):
            writer.write_delta("t", root, None, complete=True)
        assert [record.generation for record in writer.tables()] == [root, delta]
        writer.drop_table("t", delta)
        writer.drop_table("t", root)
        assert database.column_families(str(path)) == []


def test_rows_that_were_updated_are_no_base(store):
    path, root, _ = store
    with StoreWriter(path) as writer:
        delta = writer.write_delta("t", root, None, [1])
    with database.open_for_writing(str(path), "none") as opened:
        opened[f"tf_hps/modified/t/{root}".encode()] = b"1"
    with (
        StoreWriter(path) as writer,
        pytest.raises(
            StoreError, match=r"were updated since they were loaded.*Load the table in full"
        ),
    ):
        writer.write_delta("t", root, None, [2])
    with (
        StoreReader(path) as reader,
        pytest.raises(StoreError, match="whose rows were changed since"),
    ):
        reader.rows(reader.record("t", delta))


def test_a_copy_of_a_delta_has_its_base(tmp_path, store):
    path, root, model = store
    with StoreWriter(path) as writer:
        writer.write_delta("t", root, None, [2])
        delta = writer.write_delta("t", root, source_of({5: [9, 9, 9]}), [1])
    changed = {k: row for k, row in (model | {5: [9, 9, 9]}).items() if k != 1}
    copy_store(path, tmp_path / "copy", {"t": delta})
    assert snapshot_store(path, tmp_path / "snapshot", {"t": delta})
    for made in ("copy", "snapshot"):
        with StoreReader(tmp_path / made) as reader:
            assert {record.generation for record in reader.tables()} == {root, delta}
        check_is(tmp_path / made, delta, changed, "float32")


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    return code, capsys.readouterr().out


def test_the_command_line_writes_shows_and_verifies_deltas(tmp_path, store, capsys):
    path, root, model = store
    rows = np.array([model[key] for key in range(100)], np.float32)
    rows[5] = 9
    np.save(tmp_path / "whole.npy", rows)
    np.save(tmp_path / "rows.npy", rows[4:6])
    np.save(tmp_path / "keys.npy", np.array([4, 5]))
    np.save(tmp_path / "gone.npy", np.array([99]))
    load = ("load", "--store", path, "--table", "t", "--base", root, "--from")
    keys = ("--keys", tmp_path / "keys.npy")
    code, out = run(capsys, *load, tmp_path / "rows.npy", *keys, "--erased", tmp_path / "gone.npy")
    assert code == 0
    assert out.startswith("t: 99 rows, embedding_dim 3, float32, generation ")
    assert f"Over generation {root}: 2 rows new or changed, 1 erased" in out
    code, out = run(capsys, "inspect", "--store", path, "--table", "t", "--key", 99)
    assert code == 1 and "delta over" in out and "4..99" in out
    code, out = run(capsys, *load, tmp_path / "whole.npy", "--complete")
    assert code == 0 and "1 rows new or changed, 0 erased" in out
    verify = ("verify", "--store", path, "--table", "t", "--from", tmp_path / "whole.npy")
    code, out = run(capsys, *verify)
    assert code == 0 and "100 equal, 0 different, 0 missing, 0 extra" in out
    code, _ = run(capsys, *load, tmp_path / "rows.npy", *keys, "--row_format", "int8")
    assert code == 2


LOAD = """
import sys
import numpy as np
from tf_hps.store import StoreWriter, from_arrays
print("loading", flush=True)
with StoreWriter(sys.argv[1]) as writer:
    rows = np.full((20_000, 32), float(sys.argv[3]), np.float32)
    writer.write_delta("t", sys.argv[2], from_arrays(rows), np.arange(60_000, 61_000))
    print("done", flush=True)
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_delta_leaves_its_base_whole(tmp_path, seed):
    path = tmp_path / "s"
    with StoreWriter(path) as writer:
        root = writer.write_table("t", from_arrays(np.ones((61_000, 32), np.float32)))

    def start(value):
        command = [sys.executable, "-c", LOAD, path, root, str(value)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "loading\n"
        return child

    started = time.monotonic()
    start(2).communicate()
    usual = time.monotonic() - started
    child = start(3)
    time.sleep(random.Random(seed).uniform(0, usual))
    child.send_signal(signal.SIGKILL)
    child.communicate()
    with StoreWriter(path) as writer:
        last = writer.write_delta("t", root, from_arrays(np.full((1, 32), 4, np.float32)))
        tables = writer.tables()
    assert len(tables) in (3, 4) and len(database.column_families(str(path))) == len(tables)
    assert not (path / "loading").exists()
    with StoreReader(path) as reader:
        for record in tables:
            rows = np.concatenate([rows for _, rows in reader.rows(record)]).view(np.float32)
            changed = {root: 0, last: 1}.get(record.generation, 20_000)
            assert len(rows) == record.rows == (60_000 if changed == 20_000 else 61_000)
            assert (rows[changed:] == 1).all(), f"seed {seed}"
            assert (rows[:changed] == rows[0, 0]).all() and (rows[0, 0] > 1) == (changed > 0)

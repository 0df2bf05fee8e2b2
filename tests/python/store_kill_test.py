"""A load that is killed leaves the store with what it had, and the next load works."""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tf_hps.store import StoreReader, StoreWriter, database, from_arrays

ROWS, DIM = 40_000, 32

# Small files, so that a load has many steps. Says "loading" before the first and "done" after the last.
LOAD = f"""
import sys
import numpy as np
from tf_hps.store import StoreWriter, from_arrays, sst_slices
sst_slices.SstSlices.__init__.__defaults__ = (1 << 20,)
rows = np.full(({ROWS}, {DIM}), float(sys.argv[2]), np.float32)
print("loading", flush=True)
with StoreWriter(sys.argv[1]) as writer:
    writer.write_table("t", from_arrays(rows))
    print("done", flush=True)
"""


def load(path, value):
    with StoreWriter(path) as writer:
        return writer.write_table("t", from_arrays(np.full((ROWS, DIM), value, np.float32)))


def start_load(path, value):
    child = subprocess.Popen(
        [sys.executable, "-c", LOAD, path, str(value)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "loading\n"
    return child


def kill(child):
    child.send_signal(signal.SIGKILL)
    said = child.stdout.read()
    child.wait()
    child.stdout.close()
    return "done" in said


def whole_tables(path):
    """The value that fills each table, by generation; every table has all of its rows."""
    tables = {}
    with StoreReader(path) as reader:
        for record in reader.tables():
            batches = list(reader.rows(record))
            keys = np.concatenate([keys for keys, _ in batches])
            values = np.concatenate([rows for _, rows in batches]).view(np.float32)
            assert (keys == np.arange(ROWS)).all()
            assert (values == values[0, 0]).all()
            tables[record.generation] = float(values[0, 0])
    return tables


@pytest.mark.parametrize("seed", range(8))
def test_a_killed_load_is_there_whole_or_not_at_all(tmp_path, seed):
    store = tmp_path / "s"
    former = load(store, 1)
    child = start_load(tmp_path / "time", 2)
    started = time.monotonic()
    child.wait()
    usual = time.monotonic() - started
    child.stdout.close()
    delay = random.Random(seed).uniform(0, usual)
    child = start_load(store, 2)
    time.sleep(delay)
    finished = kill(child)

    tables = whole_tables(store)
    assert tables.pop(former) == 1.0, f"seed {seed}"
    assert list(tables.values()) in ([], [2.0]), f"seed {seed}"
    assert tables or not finished, f"seed {seed}"

    third = load(store, 3)
    tables = whole_tables(store)
    assert (tables[former], tables[third]) == (1.0, 3.0), f"seed {seed}"
    # Nothing is left of the killed one but what is registered.
    assert len(database.column_families(str(store))) == len(tables)
    assert not (store / "loading").exists()


@pytest.mark.parametrize("seed", range(4))
def test_a_store_that_was_killed_while_it_was_made_can_be_loaded(tmp_path, seed):
    child = start_load(tmp_path / "s", 2)
    time.sleep(random.Random(seed).uniform(0, 0.06))
    kill(child)
    load(tmp_path / "s", 3)
    assert 3.0 in whole_tables(tmp_path / "s").values(), f"seed {seed}"


# Each is a moment at which a load can stop, in order.
@pytest.mark.parametrize(
    "moment",
    [
        "sst_slices.SstSlices._close_slice",
        "generation.GenerationHash.hexdigest",
        "writer.StoreWriter._ingest",
        "rocksdict.IngestExternalFileOptions",
        "formats.TableRecord.to_json",
    ],
)
def test_a_load_killed_at_each_of_its_steps_leaves_the_former_table(tmp_path, moment):
    former = load(tmp_path / "s", 1)
    module, _, name = moment.rpartition(".")
    module = module if module.startswith("rocksdict") else f"tf_hps.store.{module}"
    child = (
        "import os, signal, rocksdict\n"
        "from tf_hps.store import sst_slices, generation, writer, formats\n"
        "import tf_hps.store\n"
        f"{module}.{name} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n" + LOAD
    )
    done = subprocess.run([sys.executable, "-c", child, tmp_path / "s", "2"], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert whole_tables(tmp_path / "s") == {former: 1.0}
    load(tmp_path / "s", 2)
    assert sorted(whole_tables(tmp_path / "s").values()) == [1.0, 2.0]
    assert len(database.column_families(str(tmp_path / "s"))) == 2

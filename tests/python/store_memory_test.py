"""Memory of a load is bounded by a constant, whatever the size of the table."""

import subprocess
import sys

import pytest

# 410 MB of rows that exist in batches only; says by how many MiB the process grew.
LOAD = """
import resource, sys
import numpy as np
from tf_hps.store import RowSource, StoreWriter

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

class Generated(RowSource):
    embedding_dim, rows = 128, 800_000
    ascending = sys.argv[2] == "ascending"
    def __iter__(self):
        for start in range(0, self.rows, 20_000):
            keys = np.arange(start, start + 20_000)
            yield keys if self.ascending else -keys, np.full((20_000, 128), start, np.float32)

with StoreWriter(sys.argv[1]) as writer:
    before = peak()
    writer.write_table("t", Generated())
    print(writer.last_load.record.rows, peak() - before)
"""


@pytest.mark.parametrize(("order", "limit"), [("ascending", 150), ("descending", 350)])
def test_a_load_takes_less_memory_than_its_rows(tmp_path, order, limit):
    command = [sys.executable, "-c", LOAD, tmp_path / "s", order]
    rows, grown = map(int, subprocess.check_output(command, text=True).split())
    assert rows == 800_000
    assert grown < limit

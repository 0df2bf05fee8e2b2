"""external_sort: against numpy's own sort, by way of memory and of disk."""

import numpy as np
import pytest

from tf_hps.store.external_sort import external_sort


def random_batches(rng, n, row_bytes):
    keys = rng.integers(-(1 << 63), 1 << 63, n, dtype=np.int64)
    rows = rng.integers(0, 256, (n, row_bytes), dtype=np.uint8)
    cuts = np.sort(rng.integers(0, n, rng.integers(1, 30)))
    return keys, rows, list(zip(np.split(keys, cuts), np.split(rows, cuts), strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_batches_come_out_in_key_order(tmp_path, seed):
    rng = np.random.default_rng(seed)
    row_bytes = int(rng.integers(1, 40))
    run_bytes = int(rng.choice([1, 1000, 1 << 20]))
    keys, rows, batches = random_batches(rng, 2000, row_bytes)
    scratch = tmp_path / "scratch"
    found = list(external_sort(iter(batches), row_bytes, str(scratch), run_bytes))
    order = np.argsort(keys)
    assert (np.concatenate([k for k, _ in found]) == keys[order]).all(), f"seed {seed}"
    assert (np.concatenate([r for _, r in found]) == rows[order]).all(), f"seed {seed}"
    assert scratch.exists() == (run_bytes < 1 << 20)


def test_equal_keys_stay_side_by_side_across_runs(tmp_path):
    batches = [(np.array([3, 1]), np.zeros((2, 1), np.uint8)) for _ in range(3)]
    found = list(external_sort(iter(batches), 1, str(tmp_path / "scratch"), run_bytes=1))
    assert np.concatenate([keys for keys, _ in found]).tolist() == [1, 1, 1, 3, 3, 3]


def test_no_batches_are_no_batches(tmp_path):
    assert list(external_sort(iter([]), 4, str(tmp_path / "scratch"))) == []

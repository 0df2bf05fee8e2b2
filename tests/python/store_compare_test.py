"""compare_table: against sets."""

import numpy as np
import pytest

from tf_hps.store import RowSource, StoreReader, StoreWriter, from_arrays
from tf_hps.store.compare import compare_table


class InPieces(RowSource):
    """Rows in batches of changing sizes."""

    ascending = True

    def __init__(self, keys, rows, rng):
        self.embedding_dim = rows.shape[1]
        self.rows = len(keys)
        cuts = np.sort(rng.integers(0, len(keys) + 1, 10))
        self._batches = list(zip(np.split(keys, cuts), np.split(rows, cuts), strict=True))

    def __iter__(self):
        return iter(self._batches)


@pytest.mark.parametrize("seed", range(20))
def test_rows_are_counted_by_what_became_of_them(tmp_path, seed):
    rng = np.random.default_rng(seed)
    keys = np.unique(rng.integers(-300, 300, 400))
    rows = rng.standard_normal((len(keys), 2), dtype=np.float32)
    stored_keys = keys[rng.random(len(keys)) < rng.choice([0.1, 0.9, 1])]
    wanted = rng.random(len(keys)) < rng.choice([0, 0.1, 0.9, 1])
    wanted_rows = rows.copy()
    changed = rng.random(len(keys)) < rng.choice([0, 0.1])
    wanted_rows[changed, 1] += 1
    with StoreWriter(tmp_path / "s") as writer:
        writer.write_table("t", from_arrays(rows[np.isin(keys, stored_keys)], stored_keys))
    with StoreReader(tmp_path / "s") as reader:
        record = reader.record("t")
        source = InPieces(keys[wanted], wanted_rows[wanted], rng)
        result = compare_table(reader, record, source, str(tmp_path / "sort"))

    in_store, in_source = set(stored_keys.tolist()), set(keys[wanted].tolist())
    different = {key for key in in_store & in_source if key in set(keys[changed].tolist())}
    unequal = different | (in_store ^ in_source)
    assert result.equal == len(in_store & in_source) - len(different), f"seed {seed}"
    assert result.different == len(different), f"seed {seed}"
    assert result.missing == len(in_source - in_store), f"seed {seed}"
    assert result.extra == len(in_store - in_source), f"seed {seed}"
    assert result.first_difference == min(unequal, default=None), f"seed {seed}"
    assert result.same == (not unequal)


def test_a_source_is_compared_in_the_format_of_the_table(tmp_path):
    rows = np.random.default_rng(0).standard_normal((100, 4), dtype=np.float32)
    with StoreWriter(tmp_path / "s") as writer:
        writer.write_table("t", from_arrays(rows), "int8")
    with StoreReader(tmp_path / "s") as reader:
        record = reader.record("t")
        assert compare_table(reader, record, from_arrays(rows), str(tmp_path / "sort")).equal == 100
        shuffled = from_arrays(rows[::-1], np.arange(100)[::-1])
        assert compare_table(reader, record, shuffled, str(tmp_path / "sort")).equal == 100
        other = compare_table(reader, record, from_arrays(rows * 2), str(tmp_path / "sort"))
        assert other.different == 100


def test_another_dimension_is_an_error(tmp_path):
    with StoreWriter(tmp_path / "s") as writer:
        writer.write_table("t", from_arrays(np.ones((3, 4), np.float32)))
    with (
        StoreReader(tmp_path / "s") as reader,
        pytest.raises(ValueError, match="Table 't' has an embedding_dim of 4, an array of 5"),
    ):
        other = from_arrays(np.ones((3, 5), np.float32))
        compare_table(reader, reader.record("t"), other, str(tmp_path / "sort"))

"""Rows of arrays and of .npy files."""

import numpy as np
import pytest

from tf_hps.store import from_arrays, from_npy, row_formats


def everything(source):
    batches = list(source)
    return np.concatenate([keys for keys, _ in batches]), np.concatenate(
        [rows for _, rows in batches]
    )


def test_keys_are_0_to_rows_minus_1_by_default():
    rows = np.random.default_rng(0).standard_normal((70000, 2), dtype=np.float32)
    source = from_arrays(rows)
    keys, found = everything(source)
    assert (source.rows, source.embedding_dim, source.ascending) == (70000, 2, True)
    assert keys.dtype == np.int64 and (keys == np.arange(70000)).all() and (found == rows).all()


def test_npy_files_are_mapped_and_can_be_read_twice(tmp_path):
    rows = np.arange(12, dtype=np.float16).reshape(4, 3)
    np.save(tmp_path / "rows.npy", rows)
    np.save(tmp_path / "keys.npy", np.array([3, 1, 2, 9], np.int32))
    source = from_npy(tmp_path / "rows.npy", tmp_path / "keys.npy")
    assert (source.row_format, source.ascending) == ("float16", False)
    for _ in range(2):
        keys, found = everything(source)
        assert keys.tolist() == [3, 1, 2, 9] and (found == rows).all()


def test_bfloat16_rows_of_an_array():
    rows = np.ones((2, 3), row_formats.element_dtype("bfloat16"))
    assert from_arrays(rows).row_format == "bfloat16"


@pytest.mark.parametrize(
    ("keys", "ascending"), [([1, 2, 3], True), ([1, 1, 3], False), ([3, 2, 1], False)]
)
def test_whether_keys_ascend_is_looked_at(keys, ascending):
    assert from_arrays(np.ones((3, 1), np.float32), np.array(keys)).ascending == ascending


def test_wide_rows_come_in_smaller_batches():
    rows = np.zeros((1000, 8192), np.float32)
    assert max(batch.nbytes for _, batch in from_arrays(rows)) <= 16 << 20


@pytest.mark.parametrize(
    ("rows", "keys", "message"),
    [
        (
            np.ones(3, np.float32),
            None,
            r"shape \[rows, embedding_dim\]. Received: an array of shape",
        ),
        (np.ones((3, 0), np.float32), None, r"Received: an array of shape \(3, 0\)"),
        (np.ones((3, 1)), None, "Rows are float32, float16 or bfloat16. Received: float64"),
        (np.ones((3, 1), np.int32), None, "Received: int32"),
        (np.ones((3, 1), np.float32), np.arange(2), "are 3 integers, .*Received: int64 of shape"),
        (np.ones((3, 1), np.float32), np.ones(3), "Received: float64 of shape"),
        (np.ones((1, 1), np.float32), np.array([1 << 63], np.uint64), "signed 64-bit"),
    ],
)
def test_what_cannot_be_rows_and_keys_is_named(rows, keys, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(rows, keys)


def test_a_npy_file_that_is_none_or_was_cut_is_named(tmp_path):
    path = tmp_path / "rows.npy"
    with pytest.raises(FileNotFoundError, match=str(path)):
        from_npy(path)
    np.save(path, np.ones((100, 4), np.float32))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"{path} is not a whole .npy file"):
        from_npy(path)
    for content in (b"", b"text"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{path} is not a whole .npy file"):
            from_npy(path)
    np.savez(tmp_path / "rows.npz", np.ones((1, 1)))
    with pytest.raises(ValueError, match="is an archive of arrays"):
        from_npy(tmp_path / "rows.npz")

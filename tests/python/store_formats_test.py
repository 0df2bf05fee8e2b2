"""Keys, records and generations: the bytes of docs/formats.md."""

import hashlib
import struct

import numpy as np
import pytest
import rocksdict

from tf_hps.store import StoreError, StoreWriter, formats, from_arrays
from tf_hps.store.formats import TableRecord
from tf_hps.store.generation import GenerationHash

KEYS = [-(1 << 63), -(1 << 32) - 1, -1, 0, 1, 255, 1 << 32, (1 << 63) - 1]
RECORD = TableRecord("a/b", "00ff", "rows/a/b/00ff", 2, "int8", 5, 3, "2026-11-20T23:40:00Z", -1, 9)


def stored_keys(path):
    """RocksDB's own keys of a table with KEYS, in its order."""
    with StoreWriter(path) as writer:
        rows = np.ones((len(KEYS), 1), np.float32)
        generation = writer.write_table("t", from_arrays(rows, np.array(KEYS)))
    options = rocksdict.Options(raw_mode=True)
    with rocksdict.Rdict(str(path), options) as opened:
        return list(opened.get_column_family(formats.column_family("t", generation)).keys())


def test_keys_are_big_endian_with_the_sign_bit_flipped(tmp_path):
    keys = stored_keys(tmp_path / "s")
    assert keys == [(key + (1 << 63)).to_bytes(8, "big") for key in sorted(KEYS)]
    assert keys[2:5] == [
        bytes.fromhex(x) for x in ("7f" + 7 * "ff", "80" + 7 * "00", "80" + 6 * "00" + "01")
    ]


def test_a_record_comes_back_and_says_what_the_page_says():
    assert RECORD.key == b"tf_hps/table/a/b/00ff"
    assert RECORD.modified_key == b"tf_hps/modified/a/b/00ff"
    assert RECORD.row_bytes == 6
    assert TableRecord.parse(RECORD.key, RECORD.to_json(), "p") == RECORD


def test_unknown_fields_of_a_record_are_ignored_and_key_bounds_may_be_missing():
    text = (
        b'{"column_family": "rows/t/1", "embedding_dim": 1, "row_format": "float32", "rows": 0,'
        b' "sequence": 1, "created": "", "later": 1}'
    )
    record = TableRecord.parse(b"tf_hps/table/t/1", text, "p")
    assert (record.name, record.generation, record.min_key) == ("t", "1", None)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b"\xff", RECORD.to_json().replace(b"int8", b"x")]
)
def test_a_damaged_record_is_named(text):
    with pytest.raises(StoreError, match=r"/store: the record b'tf_hps/table/a/b/00ff' is damaged"):
        TableRecord.parse(RECORD.key, text, "/store")


@pytest.mark.parametrize("name", ["", "a b", "/a", "a/", "a//b", "ä", "a\n", None])
def test_names_that_are_none(name):
    with pytest.raises(ValueError, match="Received: name="):
        formats.check_name(name)


def test_names_may_have_slashes_inside():
    formats.check_name("user/id-1_v.2")


def test_a_generation_hashes_blocks_of_65536_rows_keys_first():
    keys = np.arange(65536 + 3, dtype=np.int64) * 2
    rows = np.arange(len(keys) * 2, dtype=np.uint16).view(np.uint8).reshape(len(keys), 4)
    expected = hashlib.blake2b(digest_size=16, person=b"tf_hps.gen.1")
    expected.update(b"float16:2\n")
    for part in (slice(0, 65536), slice(65536, None)):
        expected.update(struct.pack(f"<{len(keys[part])}q", *keys[part].tolist()))
        expected.update(rows[part].tobytes())
    for step in (1000, 65536, 1 << 20):
        with GenerationHash("float16", 2) as generation:
            for start in range(0, len(keys), step):
                generation.update(keys[start : start + step], rows[start : start + step])
            assert generation.hexdigest() == expected.hexdigest(), f"batches of {step}"


def test_the_generation_of_no_rows_is_that_of_its_format():
    with GenerationHash("float32", 4) as generation:
        empty = generation.hexdigest()
    expected = hashlib.blake2b(b"float32:4\n", digest_size=16, person=b"tf_hps.gen.1").hexdigest()
    assert empty == expected

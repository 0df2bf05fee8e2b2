"""The trainer's side of updates: what a stream says is what the trainer has."""

import threading

import numpy as np
import pytest
from segment_server import SegmentServer

from tf_hps import store
from tf_hps.publish import Publisher
from tf_hps.publish.row_hashes import RowHashes, hash_rows


def test_a_commit_is_one_file_and_its_frames_are_numbered_without_a_gap(tmp_path):
    with Publisher(str(tmp_path), "movies", {"user": "a1", "movie": "b2"}) as publisher:
        publisher.publish("user", [1, 2], [[1, 2], [3, 4]])
        publisher.publish("movie", [-5], [[1]])
        publisher.erase("user", [1])
        assert list(tmp_path.iterdir()) == []
        assert publisher.commit() == "00000000000000000001.hpsu"
        assert publisher.commit() == "00000000000000000002.hpsu"
    server = SegmentServer(tmp_path).catch_up()
    assert server.tables["user"] == {2: [3, 4]}
    assert server.tables["movie"] == {-5: [1]}
    headers = [frame.header for frame in server.frames]
    assert [header["sequence"] for header in headers] == [0, 1, 2, 3, 4]
    assert [header["kind"] for header in headers] == ["rows", "rows", "erase", "commit", "commit"]
    assert [header.get("generation") for header in headers] == ["a1", "b2", "a1", None, None]
    assert [header.get("frames") for header in headers[3:]] == [3, 0]
    assert {header["publisher"] for header in headers} == {publisher.id}
    assert {header["deployment"] for header in headers} == {"movies"}


def test_many_rows_go_in_frames_of_a_megabyte(tmp_path):
    rows = np.random.default_rng(0).random((40_000, 16), np.float32)
    with Publisher(str(tmp_path), "d", "g") as publisher:
        publisher.publish("t", np.arange(40_000), rows)
        publisher.erase("t", np.arange(100, 300_000))
        publisher.commit()
    server = SegmentServer(tmp_path).catch_up()
    assert max(len(frame.to_bytes()) for frame in server.frames) < (1 << 20) + 1000
    np.testing.assert_array_equal(server.rows("t"), rows[:100])


@pytest.mark.parametrize(
    ("keys", "rows", "message"),
    [
        ([1, 2], [[1.0]], r"rows have shape \[2, embedding_dim\].*shape \(1, 1\)"),
        ([1], [1.0], r"shape \(1,\)"),
        ([[1]], [[1.0]], r"keys are integers of shape \[n\]"),
        ([1.0], [[1.0]], "Received: float64"),
        (np.array([2**63], np.uint64), [[1.0]], "9223372036854775808"),
        ([1, 7], [[1.0], [float("nan")]], "1 of 2 rows have a NaN .* key 7"),
        ([1], [[float("inf")]], "infinity"),
        ([1], [[1e39]], "infinity"),
    ],
)
def test_bad_rows_are_refused_and_nothing_of_them_is_kept(tmp_path, keys, rows, message):
    with Publisher(str(tmp_path), "d", "g") as publisher:
        with np.errstate(over="ignore"), pytest.raises(ValueError, match=message):
            publisher.publish("t", keys, rows)
        publisher.commit()
    assert [frame.header["kind"] for frame in SegmentServer(tmp_path).catch_up().frames] == [
        "commit"
    ]


def test_a_table_without_a_generation_is_refused(tmp_path):
    publisher = Publisher(str(tmp_path), "d", {"user": "g"})
    with pytest.raises(ValueError, match=r"'movie' has no generation.*\['user'\]"):
        publisher.erase("movie", [1])


def test_an_unknown_url_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`url` is a folder, file.*'kafka://there'"):
        Publisher("kafka://there", "d", "g")
    folder = tmp_path / "with space"
    with Publisher(f"file://{str(folder).replace(' ', '%20')}", "d", "g") as publisher:
        publisher.commit()
    assert [segment.name for segment in folder.iterdir()] == ["00000000000000000001.hpsu"]


def test_a_failed_commit_keeps_everything_and_can_be_repeated(tmp_path):
    with Publisher(str(tmp_path / "folder"), "d", "g") as publisher:
        publisher.publish("t", [1], [[1.0]])
        (tmp_path / "folder").rmdir()
        with pytest.raises(FileNotFoundError):
            publisher.commit()
        (tmp_path / "folder").mkdir()
        publisher.commit()
    server = SegmentServer(tmp_path / "folder").catch_up()
    assert server.tables["t"] == {1: [1]}
    assert [frame.header["sequence"] for frame in server.frames] == [0, 1]


def test_publishers_in_one_folder_lose_nothing(tmp_path):
    def work(key):
        with Publisher(str(tmp_path), "d", "g") as publisher:
            for i in range(50):
                publisher.publish("t", [key * 1000 + i], [[key]])
                publisher.commit()

    threads = [threading.Thread(target=work, args=(key,)) for key in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"{i:020d}.hpsu" for i in range(1, 201)]
    assert len(SegmentServer(tmp_path).catch_up().tables["t"]) == 200


def test_only_changed_rows_are_published(tmp_path):
    rows = np.random.default_rng(0).standard_normal((1000, 7)).astype(np.float32)
    with Publisher(str(tmp_path), "d", "g") as publisher:
        publisher.watch("t", rows.copy())
        assert publisher.publish_changed("t", rows) == 0
        rows[[3, 900]] *= 2
        rows[17, 6] = np.nextafter(rows[17, 6], np.float32(np.inf))
        rows[18, 0] = -rows[18, 0]
        assert publisher.publish_changed("t", rows) == 4
        assert publisher.publish_changed("t", rows) == 0
        publisher.commit()
    server = SegmentServer(tmp_path).catch_up()
    assert sorted(server.tables["t"]) == [3, 17, 18, 900]
    np.testing.assert_array_equal(server.rows("t"), rows[[3, 17, 18, 900]])


def test_rows_of_a_call_that_failed_are_published_by_the_next(tmp_path):
    rows = np.zeros((10, 2), np.float32)
    with Publisher(str(tmp_path), "d", "g") as publisher:
        publisher.watch("t", rows)
        changed = rows + 1
        changed[5, 0] = np.nan
        with pytest.raises(ValueError, match="key 5"):
            publisher.publish_changed("t", changed)
        changed[5, 0] = 1
        assert publisher.publish_changed("t", changed) == 10


def test_keys_come_and_rows_keep_their_type(tmp_path):
    rows = np.arange(8, dtype=np.float16).reshape(4, 2)
    with Publisher(str(tmp_path), "d", "g") as publisher:
        assert publisher.publish_changed("t", store.from_arrays(rows[:2], [-7, 5])) == 2
        assert publisher.publish_changed("t", store.from_arrays(rows, [-9, -7, 5, 6])) == 4
        publisher.commit()
    assert SegmentServer(tmp_path).catch_up().tables["t"] == {
        -9: [0, 1],
        -7: [2, 3],
        5: [4, 5],
        6: [6, 7],
    }


def test_what_cannot_be_compared_is_refused(tmp_path):
    publisher = Publisher(str(tmp_path), "d", "g")
    with pytest.raises(ValueError, match="do not ascend"):
        publisher.publish_changed("t", store.from_arrays(np.ones((2, 2), np.float32), [2, 1]))


@pytest.mark.parametrize("dim", [1, 2, 3, 16, 33])
def test_hashes_tell_rows_apart(dim):
    rows = np.random.default_rng(1).standard_normal((3000, dim)).astype(np.float32)
    hashes = hash_rows(rows)
    assert len(np.unique(hashes)) == len(np.unique(rows, axis=0))
    np.testing.assert_array_equal(hash_rows(rows.copy()), hashes)
    # Exponents and signs are the upper bits of a word: where a plain sum of products is weak.
    for factor in (2, 0.5, -1, 4):
        assert not (hash_rows(rows * np.float32(factor)) == hashes).any()
    for bit in range(32):
        flipped = (rows.view(np.uint32) ^ np.uint32(1 << bit)).view(np.float32)
        assert not (hash_rows(flipped) == hashes).any()


def test_hashes_of_keys_in_any_batches_are_those_of_all():
    random = np.random.default_rng(2)
    hashes, model = RowHashes(), {}
    for _ in range(50):
        keys = np.unique(random.integers(0, 200, 30))
        rows = random.integers(0, 3, (len(keys), 2)).astype(np.float32)
        expected = [model.get(key) != row for key, row in zip(keys, rows.tolist(), strict=True)]
        assert hashes.changed(keys, rows).tolist() == expected
        model.update(zip(keys.tolist(), rows.tolist(), strict=True))
    assert len(hashes) == len(model)

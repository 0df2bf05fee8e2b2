"""What cannot be rewritten is refused in words, and leaves nothing behind."""

import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf
from rewrite_models import Tied, rows

from tf_hps.cli import main
from tf_hps.errors import HpsError
from tf_hps.saved_model import rewrite
from tf_hps.saved_model.rewriting.check import check_answers
from tf_hps.saved_model.rewriting.requests import MadeRequest
from tf_hps.store import StoreReader, StoreWriter, from_arrays


class Lookup(tf.Module):
    def __init__(self, table):
        super().__init__()
        self.items = tf.Variable(table, name="items")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="ids")])
    def __call__(self, ids):
        return tf.gather(self.items, ids)


@pytest.fixture
def saved(tmp_path):
    tf.saved_model.save(Lookup(rows(50, 4)), str(tmp_path / "in"))
    return tmp_path / "in"


def files(folder):
    """Every file below a folder with its content."""
    paths = (path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_a_folder_without_a_saved_model(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"with a saved_model\.pb"):
        rewrite(tmp_path, tmp_path / "out")
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff\xff no protocol buffer")
    with pytest.raises(ValueError, match="is no SavedModel, or damaged"):
        rewrite(tmp_path, tmp_path / "out")
    assert os.listdir(tmp_path) == ["saved_model.pb"]


def test_a_model_without_lookups(tmp_path):
    module = tf.Module()
    module.weights = tf.Variable(rows(4, 3), name="weights")
    multiply = tf.function(lambda x: x @ module.weights)
    signature = multiply.get_concrete_function(tf.TensorSpec([None, 4], tf.float32))
    tf.saved_model.save(module, str(tmp_path / "in"), signatures=signature)
    with pytest.raises(ValueError, match="nothing in it gathers rows of a variable"):
        rewrite(tmp_path / "in", tmp_path / "out")
    assert rewrite(tmp_path / "in", dry_run=True).tables == ()
    assert os.listdir(tmp_path) == ["in"]


def test_lookups_that_all_stay_are_named(saved, tmp_path):
    with pytest.raises(ValueError, match="items: fewer than min_rows=51 rows"):
        rewrite(saved, tmp_path / "out", min_rows=51)


def test_an_output_that_exists_is_not_touched(saved, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match=f"{tmp_path}/out, which exists"):
        rewrite(saved, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []


def test_a_model_that_is_rewritten_already(saved, tmp_path):
    rewrite(saved, tmp_path / "out", check=False)
    with pytest.raises(ValueError, match="in tables of tf_hps already"):
        rewrite(tmp_path / "out", tmp_path / "again")


def test_a_missing_or_cut_shard(saved, tmp_path):
    before = files(saved)
    shard = saved / "variables/variables.data-00000-of-00001"
    content = shard.read_bytes()
    shard.write_bytes(content[:100])
    with pytest.raises(ValueError, match=r"data-00000-of-00001 is cut short"):
        rewrite(saved, tmp_path / "out")
    shard.unlink()
    with pytest.raises((ValueError, OSError), match=r"data-00000-of-00001"):
        rewrite(saved, tmp_path / "out")
    assert os.listdir(tmp_path) == ["in"]
    shard.write_bytes(content)
    rewrite(saved, tmp_path / "out", check=False)
    assert files(saved) == before


def test_a_failure_takes_back_what_a_shared_store_got(saved, tmp_path, monkeypatch):
    with StoreWriter(tmp_path / "store") as writer:
        writer.write_table("former", from_arrays(rows(3, 2)))

    def fail(*unused, **also_unused):
        raise HpsError("differs")

    monkeypatch.setattr("tf_hps.saved_model.rewriting.rewriter.check_rewrite", fail)
    with pytest.raises(HpsError, match="differs"):
        rewrite(saved, tmp_path / "out", store=tmp_path / "store")
    with pytest.raises(HpsError, match="differs"):
        rewrite(saved, tmp_path / "out", store=tmp_path / "new")
    assert sorted(os.listdir(tmp_path)) == ["in", "store"]
    with StoreReader(tmp_path / "store") as reader:
        assert [record.name for record in reader.tables()] == ["former"]


FULL = """
import resource, sys
from tf_hps.saved_model import rewrite
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
try:
    rewrite(sys.argv[1], sys.argv[2], check=False)
except RuntimeError as error:
    print(error)
"""


def test_a_full_disk(tmp_path):
    # No file may grow above the limit, which is met as a full disk is.
    tf.saved_model.save(Lookup(rows(10_000, 64)), str(tmp_path / "in"))
    before = files(tmp_path / "in")
    command = [sys.executable, "-c", FULL, tmp_path / "in", tmp_path / "out"]
    output = subprocess.check_output([*map(str, command)], text=True)
    assert "the disk is full" in output
    assert os.listdir(tmp_path) == ["in"] and files(tmp_path / "in") == before


def test_other_answers_are_found(tmp_path):
    for name, table in (("one", rows(50, 4)), ("other", -rows(50, 4))):
        tf.saved_model.save(Lookup(table), str(tmp_path / name))
    request = MadeRequest("serving_default", ("serving_default", {"serving_default_ids:0": [7]}))
    with pytest.raises(HpsError, match=r"the rewritten model answers .*-3\.5.*the original .*3\.5"):
        check_answers([request], str(tmp_path / "one"), str(tmp_path / "other"))


def test_on_the_command_line(saved, tmp_path, capsys):
    arguments = ["rewrite", "--saved_model_dir", str(saved)]
    assert main([*arguments, "--dry_run"]) == 0
    assert "variables: 800 bytes before, 0 after" in capsys.readouterr().out
    assert main(arguments) == 2
    assert "--output_dir is needed" in capsys.readouterr().err
    assert main([*arguments, "--output_dir", str(tmp_path / "out"), "--no_check"]) == 0
    assert capsys.readouterr().out.startswith("table  variable  rows")
    assert main([*arguments, "--output_dir", str(tmp_path / "out")]) == 2
    assert "which exists" in capsys.readouterr().err


def test_a_variable_that_is_written_stays(tmp_path):
    module = Tied()

    @tf.function(input_signature=[tf.TensorSpec([1], tf.int64)])
    def count(ids):
        module.users.scatter_add(tf.IndexedSlices(tf.ones([1, 4]), ids))

    module.count = count
    tf.saved_model.save(module, str(tmp_path / "in"))
    report = rewrite(tmp_path / "in", dry_run=True)
    assert [table.table for table in report.tables] == ["tiny"]
    why = {kept.variable: kept.why for kept in report.left}
    assert why["users"].startswith("also used by ResourceScatterAdd (")

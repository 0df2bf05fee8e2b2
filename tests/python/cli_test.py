"""tf-hps: what it prints and how it exits."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tf_hps.cli import main
from tf_hps.store import StoreWriter


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.save("rows.npy", rows)
    np.save("keys.npy", np.array([10, -5, 7, 1 << 40]))
    changed = rows.copy()
    changed[2, 1] += 1
    np.save("changed.npy", changed)
    return tmp_path


def run(capsys, *arguments):
    code = main(arguments)
    output = capsys.readouterr()
    return code, output.out, output.err


LOAD = ("load", "--store", "s", "--table", "t", "--from", "rows.npy")
VERIFY = ("verify", "--store", "s", "--table", "t", "--from")


def test_load_says_what_it_wrote_and_the_second_time_that_it_was_there(files, capsys):
    code, out, _ = run(capsys, *LOAD)
    assert code == 0
    assert out.startswith("t: 4 rows, embedding_dim 3, float32, generation ")
    assert "rows/s" in out
    code, out, _ = run(capsys, *LOAD)
    assert code == 0
    assert "The store had this generation already; nothing was written." in out


def test_inspect_lists_tables_and_shows_rows(files, capsys):
    run(capsys, *LOAD, "--keys", "keys.npy")
    run(capsys, *LOAD[:4], "u", *LOAD[5:], "--row_format", "int8")
    code, out, _ = run(capsys, "inspect", "--store", "s")
    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert lines[0] == ["table", "generation", "rows", "dim", "format", "bytes", "keys", "loaded"]
    assert [line[0] for line in lines[1:]] == ["t", "u"]
    assert lines[1][2:5] == ["4", "3", "float32"] and lines[1][6] == f"-5..{1 << 40}"
    assert lines[2][2:5] == ["4", "3", "int8"] and lines[2][6] == "0..3"

    _, out, _ = run(
        capsys, "inspect", "--store", "s", "--table", "t", "--rows", "2", "--first", "0"
    )
    assert out.splitlines()[2:] == ["7: [6. 7. 8.]", "10: [0. 1. 2.]"]


def test_verify_counts_rows_and_exits_1_when_any_is_not_equal(files, capsys):
    run(capsys, *LOAD)
    code, out, _ = run(capsys, *VERIFY, "rows.npy")
    assert code == 0 and "4 equal, 0 different, 0 missing, 0 extra" in out
    code, out, _ = run(capsys, *VERIFY, "changed.npy")
    assert code == 1 and "3 equal, 1 different, 0 missing, 0 extra" in out
    assert "The first key that is not equal: 2" in out
    code, out, _ = run(capsys, *VERIFY, "rows.npy", "--keys", "keys.npy")
    assert code == 1 and "0 equal, 0 different, 4 missing, 4 extra" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*LOAD[:6], "none.npy"), "none.npy"),
        ((*LOAD[:6], "s"), "s is not a .npy file: name --variable for a checkpoint"),
        ((*LOAD[:6], "ckpt", "--variable", "v"), "ckpt.index is not there; a checkpoint is named"),
        ((*LOAD[:6], "m.keras", "--layer", "l"), "m.keras is not there"),
        ((*LOAD, "--layer", "l", "--variable", "v"), "give one"),
        ((*LOAD, "--layer", "l", "--keys", "keys.npy"), "--keys goes with a .npy file"),
        (("load", "--store", "s", "--table", "a b", "--from", "rows.npy"), "Received: name='a b'"),
        (("inspect", "--store", "none"), "none does not exist; `tf-hps load`"),
        (("inspect", "--store", "s", "--table", "x"), "has no table 'x'. It has: t ("),
        (("inspect", "--store", "s", "--first", "9" * 20), "A key is a signed 64-bit integer"),
        (("verify", "--store", "s", "--table", "t", "--from", "keys.npy"), "shape (4,)"),
        (("config", "s"), "s is no hps.json and has none; looked for s/assets/hps.json and"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(files, capsys, arguments, message):
    run(capsys, *LOAD)
    code, out, err = run(capsys, *arguments)
    assert code == 2 and out == ""
    assert err.startswith("tf-hps: ") and err.count("\n") == 1 and message in err


def test_a_store_in_use_names_the_cure(files, capsys):
    with StoreWriter("s"):
        code, _, err = run(capsys, *LOAD)
    assert code == 2 and "is open in another StoreWriter of this process" in err


def test_a_keras_model_and_a_checkpoint_are_sources(files, capsys):
    import keras
    import tensorflow as tf

    inner = keras.Sequential([keras.layers.Embedding(5, 2, name="movies")], name="inner")
    inputs = keras.Input((1,), dtype="int32")
    outputs = [inner(inputs), keras.layers.Embedding(6, 2, name="users")(inputs)]
    keras.Model(inputs, outputs).save("m.keras")
    model = ("load", "--store", "s", "--table", "t", "--from", "m.keras", "--layer")
    assert run(capsys, *model, "movies")[1].startswith("t: 5 rows, embedding_dim 2")
    assert run(capsys, *model, "users")[1].startswith("t: 6 rows, embedding_dim 2")
    code, _, err = run(capsys, *model, "none")
    assert code == 2 and "m.keras has no Embedding named 'none'. Its Embeddings: " in err

    rows = tf.Variable(np.ones((7, 2), np.float32))
    prefix = tf.train.Checkpoint(rows=rows).write("ckpt")
    checkpoint = ("--store", "s", "--table", "c", "--from", prefix, "--variable", "rows")
    assert run(capsys, "load", *checkpoint)[1].startswith("c: 7 rows, embedding_dim 2")
    assert run(capsys, "verify", *checkpoint)[0] == 0


def test_python_m_tf_hps_is_the_same_command_without_tensorflow(files):
    arguments = [sys.executable, "-X", "importtime", "-m", "tf_hps", *LOAD]
    done = subprocess.run(arguments, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("t: 4 rows, embedding_dim 3")
    assert "| tensorflow" not in done.stderr and "rocksdict" in done.stderr


@pytest.mark.parametrize(
    "command", [(), ("load",), ("rewrite",), ("inspect",), ("verify",), ("config",), ("bench",)]
)
def test_help_is_there_for_every_command(capsys, command):
    with pytest.raises(SystemExit) as exited:
        main([*command, "--help"])
    assert exited.value.code == 0
    assert "usage: tf-hps" in capsys.readouterr().out


def test_nobody_reading_on_is_no_error(files):
    subprocess.run([sys.executable, "-m", "tf_hps", *LOAD], check=True, capture_output=True)
    shown = subprocess.Popen(
        [sys.executable, "-m", "tf_hps", "inspect", "--store", "s"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    shown.stdout.close()
    assert shown.stderr.read() == b"" and shown.wait() == 0
    shown.stderr.close()

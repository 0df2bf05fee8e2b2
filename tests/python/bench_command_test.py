"""`tf-hps bench`, on SavedModels."""

import contextlib
import json
import math

import numpy as np
import pytest
import tensorflow as tf
from rewrite_models import IDS, Tied, rows
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tf_hps.cli import main
from tf_hps.replay import ChildProcess, figures
from tf_hps.replay.child_process import ChildError
from tf_hps.replay.report import Difference
from tf_hps.saved_model import rewrite, write_warmup_requests


class Doubled(tf.Module):
    """Answers of two outputs, of which one may be told apart from another model's."""

    def __init__(self, offset, width=4, shape=None):
        super().__init__()
        self.table = tf.Variable(rows(50, width) + offset)
        spec = IDS if shape is None else tf.TensorSpec(shape, tf.int64, name="ids")
        self.predict = tf.function(self.answer, [spec])

    def answer(self, ids):
        return {"row": tf.gather(self.table, ids), "twice": ids * 2}


def save(module, function, path):
    tf.saved_model.save(module, str(path), signatures=function)
    return str(path)


def save_doubled(path, *arguments, **options):
    module = Doubled(*arguments, **options)
    return save(module, module.predict, path)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The original with warm-up requests, and its rewritten twin."""
    folder = tmp_path_factory.mktemp("models")
    tied = Tied()
    original = save(tied, tied.__call__, folder / "original")
    write_warmup_requests(original, [{"ids": np.arange(n)} for n in (2, 30)])
    rewrite(original, str(folder / "rewritten"), check=False)
    return original, str(folder / "rewritten")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Models without requests that differ in their answers, outputs and signatures."""
    folder = tmp_path_factory.mktemp("small")
    return {
        "one": save_doubled(folder / "one", 0),
        "moved": save_doubled(folder / "moved", 0.5),
        "wide": save_doubled(folder / "wide", 0, width=5),
        "fixed": save_doubled(folder / "fixed", 0, shape=[3]),
    }


def write_records(path, *messages):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for message in messages:
            writer.write(message if isinstance(message, bytes) else message.SerializeToString())
    return str(path)


def request(ids, signature="", name="ids"):
    made = predict_pb2.PredictRequest()
    made.model_spec.signature_name = signature
    made.inputs[name].CopyFrom(tf.make_tensor_proto(np.asarray(ids, np.int64)))
    return made


def run(capsys, *arguments):
    code = main(["bench", "--seconds", "0.2", *arguments])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_the_original_and_the_rewritten_model_are_replayed_side_by_side(models, capsys):
    original, rewritten = models
    code, out, err = run(capsys, "--saved_model", rewritten, "--against", original, "--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["rounds"] == 15 and report["calls"] >= 15
    assert report["saved_model"]["path"] == rewritten
    for model in ("saved_model", "against"):
        assert 0 < report[model]["bytes"] <= report[model]["peak_bytes"]
        assert report[model]["load_seconds"] > 0
    assert [one["inputs"] for one in report["requests"]] == [{"ids": [2]}, {"ids": [30]}]
    for one in (*report["requests"], report["all"]):
        assert one["difference"]["values"] == 0 and one["difference"]["largest"] == 0
        assert 0 < one["times"]["median_ms"] <= one["times"]["p99_ms"]
        for ratio in (one["ratio"], one["a_a"]):
            assert 0 < ratio["lowest"] <= ratio["median"] <= ratio["highest"]
    # 3 best scores, and their rows of 4, for 2 ids and for 30.
    assert [one["difference"]["of"] for one in report["requests"]] == [2 * 15, 30 * 15]


def test_differences_are_told_and_requests_that_nobody_can_answer_are_counted(
    small, tmp_path, capsys
):
    other = prediction_log_pb2.PredictionLog()
    other.classify_log.request.model_spec.name = "m"
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(request([1, 2, 3]))
    path = write_records(tmp_path / "r", request([4, 5]), other, log, request([6], "train"))
    pair = ("--saved_model", small["moved"], "--against", small["one"], "--requests", path)
    code, out, err = run(capsys, *pair)
    assert code == 0, err
    assert "2 requests of" in out
    assert "left out (records that are no Predict): 1" in out
    assert f"left out (for the signature 'train', not in {small['moved']}): 1" in out
    lines = [line.split() for line in out.splitlines()]
    header = next(i for i, line in enumerate(lines) if line[:1] == ["request"])
    first, second, together = lines[header + 1 : header + 4]
    # Of [n, 4] rows and n doubled ids the rows are 0.5 off.
    assert first[-6:] == "8 of 10, up to 0.5".split()
    assert second[-6:] == "12 of 15, up to 0.5".split()
    assert together[-6:] == "20 of 25, up to 0.5".split()


def test_one_model_alone_has_times_and_memory(small, tmp_path, capsys):
    path = write_records(tmp_path / "r", request([4, 5]))
    code, out, err = run(capsys, "--saved_model", small["one"], "--requests", path)
    assert code == 0, err
    header = next(line.split() for line in out.splitlines() if line.startswith("request"))
    assert header == ["request", "signature", "inputs", "median", "ms", "p99", "ms", "A/A"]


def test_a_users_mistake_is_one_line_that_says_what_was_wanted(models, small, tmp_path, capsys):
    one, fixed = small["one"], small["fixed"]
    good = write_records(tmp_path / "good", request([1, 2, 3]))
    train = write_records(tmp_path / "train", request([1], "train"))
    short = write_records(tmp_path / "short", request([1, 2]))
    named = write_records(tmp_path / "named", request([1], name="item"))
    noise = write_records(tmp_path / "noise", b"\xff\xff\xff")
    text = tmp_path / "text"
    text.write_text("ids,1,2,3 and so on, which is no record")
    mistakes = [
        (("--saved_model", one), "assets.extra/tf_serving_warmup_requests. Name a file"),
        (("--saved_model", one, "--requests", "none"), "none is not there: a file of TFRecords"),
        (("--saved_model", "none", "--requests", good), "none is no SavedModel"),
        (
            ("--saved_model", one, "--requests", train),
            "train has no request for a signature of the models (for the signature 'train', not in "
            f"{one}: 1). {one} has serving_default",
        ),
        (
            ("--saved_model", one, "--against", fixed, "--requests", short),
            f'short: request 1 does not fit {fixed}: Input "ids" has shape (3,). Received: (2,)',
        ),
        (
            ("--saved_model", one, "--requests", named),
            "inputs are ids; missing: ids; unknown: item",
        ),
        (("--saved_model", one, "--requests", noise), "record 1 is neither a PredictionLog nor"),
        (("--saved_model", one, "--requests", str(text)), "text is no file of TFRecords"),
        (("--saved_model", one, "--requests", good, "--seconds", "0"), "Received: seconds=0.0"),
        (
            ("--saved_model", one, "--requests", good, "--max_requests", "0"),
            "Received: max_requests=0",
        ),
        (
            ("--saved_model", one, "--against", small["wide"], "--requests", good),
            "good: request 1: the output 'row' is float32 (3, 4) in one model and float32 (3, 5) in the",
        ),
    ]
    for arguments, message in mistakes:
        code, out, err = run(capsys, *arguments)
        assert code == 2 and out == "", (arguments, out)
        assert err.startswith("tf-hps: ") and err.count("\n") == 1 and message in err, err


def test_differences_count_nan_as_itself_and_words_as_words():
    nan, inf = math.nan, math.inf
    one = {"x": np.array([1.0, nan, nan, inf]), "word": np.array([b"a", b"b"], object)}
    other = {"x": np.array([1.25, nan, 2.0, inf]), "word": np.array([b"a", b"c"], object)}
    assert figures.difference(one, one, "") == Difference(0, 6, 0.0)
    assert figures.difference(one, other, "") == Difference(3, 6, inf)
    numbers = [{"x": np.array([5, 5], np.int32)}, {"x": np.array([5, 2], np.int32)}]
    assert figures.difference(*numbers, "") == Difference(1, 2, 3.0)
    with pytest.raises(ValueError, match="request 3 has the outputs x in one model and word, x in"):
        figures.difference(numbers[0], one, "request 3")


def test_ratios_are_taken_round_by_round_and_say_how_far_they_scatter():
    # Two rounds of one request, three calls each.
    ours = [[[1.0, 2.0, 9.0]], [[4.0, 4.0, 4.0]]]
    peer = [[[4.0, 4.0, 4.0]], [[4.0, 12.0, 12.0]]]
    rounds = figures.Rounds(ours, peer, again=peer)
    (one,), together = figures.summarize([request([1, 2])], rounds, [Difference()])
    assert one.signature == "serving_default" and one.inputs == {"ids": [2]}
    assert (one.ratio.median, one.ratio.lowest, one.ratio.highest) == (2.5, 2.0, 3.0)
    assert (one.a_a.lowest, one.a_a.highest) == (1.0, 1.0)
    assert one.times.median_ms == 4000 and one.against.median_ms == 4000
    assert together.ratio == one.ratio


def test_a_child_that_dies_says_how():
    program = "import os, sys\nprint('the last words', file=sys.stderr, flush=True)\nos.abort()"
    with (
        contextlib.closing(ChildProcess(["-c", program], "m")) as child,
        pytest.raises(ChildError) as raised,
    ):
        child.ask("load")
    assert str(raised.value).startswith("m: its process ended with SIGABRT")
    assert "the last words" in str(raised.value)

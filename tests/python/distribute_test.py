"""predict under MirroredStrategy; its devices are chosen before TensorFlow starts, so in a process."""

import os
import subprocess
import sys

_PROGRAM = """
import sys
import keras
import numpy as np
import tensorflow as tf

[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import tf_hps
from keras_models import two_table_batch, two_table_model

devices = sys.argv[2].split(",")
strategy = tf.distribute.MirroredStrategy(devices)
assert strategy.num_replicas_in_sync == len(devices)
with strategy.scope():
    model = two_table_model()
    served = tf_hps.swap_embeddings(model, sys.argv[1])
batch = two_table_batch(64)
expected = model.predict(batch, batch_size=16, verbose=0)
np.testing.assert_array_equal(served.predict(batch, batch_size=16, verbose=0), expected)
with strategy.scope():
    served.compile("sgd", "mse")
served.fit(batch, np.zeros((64, 1), np.float32), batch_size=16, verbose=0)
"""


def run_under_strategy(store, devices):
    here = os.path.dirname(__file__)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(store), devices],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([here, *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def test_predict_with_one_replica(tmp_path):
    run_under_strategy(tmp_path / "store", "CPU:0")


def test_predict_with_two_replicas(tmp_path):
    run_under_strategy(tmp_path / "store", "CPU:0,CPU:1")

"""Runs the examples in the docstrings of what users import."""

import inspect
import os
import re
import tempfile
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_hps

DOCUMENTED = [
    tf_hps.layers.HpsEmbedding,
    tf_hps.layers.HpsEmbeddingGroup,
    tf_hps.swap_embeddings,
    tf_hps.swap_report,
    tf_hps.restore_embeddings,
    tf_hps.export,
    tf_hps.load,
    tf_hps.saved_model.rewrite,
]


@pytest.mark.parametrize("documented", DOCUMENTED, ids=lambda each: each.__name__)
def test_the_example_runs(documented):
    examples = re.findall(r"```python\n(.*?)```", inspect.getdoc(documented), re.DOTALL)
    assert examples
    for example in examples:
        names = {
            "keras": keras,
            "np": np,
            "os": os,
            "tempfile": tempfile,
            "tf": tf,
            "tf_hps": tf_hps,
        }
        exec(textwrap.dedent(example), names)

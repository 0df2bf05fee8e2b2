"""Answers requests as a server would, in a process of its own.

    python run_signatures.py SAVED_MODEL REQUESTS ANSWERS [tables]

Run as a file, not as a module: the package around it imports Keras, which takes longer than the answers. Both
files are pickles: of a list of (signature, inputs by tensor name), and of a list of answers by output. An
error is an answer too: the name of its class. `tables`: the model looks rows up in tables.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any

import numpy as np

Request = tuple[str, dict[str, Any]]
Answer = dict[str, Any] | str


def main(saved_model: str, requests: str, answers: str, tables: str = "") -> None:
    import tensorflow as tf

    if tables:
        from tf_hps import _library

        _library.load_ops()
    with open(requests, "rb") as file:
        asked: list[Request] = pickle.load(file)
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        model = v1.saved_model.load(session, ["serve"], saved_model)
        answered = [_answer(session, model.signature_def[name], inputs) for name, inputs in asked]
    with open(answers, "wb") as file:
        pickle.dump(answered, file)
    # The functions that objects offer load too.
    if tables:
        tf.saved_model.load(saved_model)


def _answer(session: Any, signature: Any, inputs: dict[str, Any]) -> Answer:
    import tensorflow as tf

    outputs = {key: tensors(info) for key, info in signature.outputs.items()}
    try:
        found = session.run(outputs, inputs)
    except tf.errors.OpError as error:
        return type(error).__name__
    return {key: [np.asarray(value) for value in values] for key, values in found.items()}


def tensors(info: Any) -> list[str]:
    """The names of the tensors of a TensorInfo: a sparse or composite one has several."""
    kind = info.WhichOneof("encoding")
    if kind == "coo_sparse":
        sparse = info.coo_sparse
        return [
            sparse.values_tensor_name,
            sparse.indices_tensor_name,
            sparse.dense_shape_tensor_name,
        ]
    if kind == "composite_tensor":
        return [component.name for component in info.composite_tensor.components]
    return [info.name]


if __name__ == "__main__":
    main(*sys.argv[1:])

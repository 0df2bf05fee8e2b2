"""Asks a PredictionService for predictions, whoever serves: ModelServer or `tf-hps serve`.

Needs `tensorflow-serving-api` and nothing of tf_hps. What a model takes is asked of the server.

    python examples/predict_client.py --server localhost:8500 --model ratings \\
        --input user_id=1,2,3 --input movie_id=10,20,30 [--shape user_id=3,1]
"""

import argparse
import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

_SECONDS = 30


def signature_of(stub: Any, model: str, name: str) -> Any:
    """The SignatureDef that the server has under this name."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = model
    answer = stub.GetModelMetadata(request, timeout=_SECONDS)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    answer.metadata["signature_def"].Unpack(signatures)
    return signatures.signature_def[name]


def to_tensor(values: str, shape: str | None, info: Any) -> Any:
    """ "1,2,3" as a TensorProto of the input's dtype; one dimension unless a shape is given."""
    dtype = tf.as_dtype(info.dtype)
    texts = values.split(",")
    array = np.array(texts if dtype == tf.string else [dtype.as_numpy_dtype(t) for t in texts])
    if shape is not None:
        array = array.reshape([int(size) for size in shape.split(",")])
    return tf.make_tensor_proto(array, dtype=dtype)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default="localhost:8500")
    parser.add_argument("--model", required=True)
    parser.add_argument("--signature", default="serving_default")
    parser.add_argument("--input", action="append", default=[], metavar="NAME=V,V,...")
    parser.add_argument("--shape", action="append", default=[], metavar="NAME=N,N,...")
    options = parser.parse_args()
    values = dict(text.split("=", 1) for text in options.input)
    shapes = dict(text.split("=", 1) for text in options.shape)

    with grpc.insecure_channel(options.server) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        signature = signature_of(stub, options.model, options.signature)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = options.model
        request.model_spec.signature_name = options.signature
        for name, text in values.items():
            if name not in signature.inputs:
                parser.error(f"the inputs are {', '.join(signature.inputs)}. Received: {name}")
            request.inputs[name].CopyFrom(to_tensor(text, shapes.get(name), signature.inputs[name]))
        try:
            response = stub.Predict(request, timeout=_SECONDS)
        except grpc.RpcError as error:
            raise SystemExit(f"{error.code().name}: {error.details()}") from None
    print(f"version {response.model_spec.version.value}")
    for name in sorted(response.outputs):
        print(f"{name} = {tf.make_ndarray(response.outputs[name]).tolist()}")


if __name__ == "__main__":
    main()

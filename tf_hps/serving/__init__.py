"""A small PredictionService server, for development and tests; TensorFlow Serving is for production."""

from tf_hps.serving.server import Server as Server

"""A process that has one version of a SavedModel loaded, and then the next."""

import numpy as np
from _c_session import CSession, Request, Signature

from tf_hps import _library
from tf_hps.replay.child_process import answer_parent
from tf_hps.replay.model_process import wait_for_preloads


class Versions:
    """Loads, switches and unloads as TensorFlow Serving does it: both are there while the next one is loaded."""

    def __init__(self):
        _library.load_core()
        self._session = None

    def load(self, path: str, signature: Signature, words: list[bytes], has_tables: bool) -> None:
        session = CSession(path, signature)
        session.run(Request(signature, words=np.array(words)))
        if has_tables:
            wait_for_preloads(path)
        if self._session is not None:
            self._session.close()
        self._session = session


if __name__ == "__main__":
    answer_parent({"load": Versions().load})

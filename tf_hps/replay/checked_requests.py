"""The requests that every model of a replay can answer."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from tf_hps._serving_api import require_serving_api, signature_of
from tf_hps.replay.request_file import read_requests
from tf_hps.saved_model.saved_model_proto import read_saved_model
from tf_hps.saved_model.warmup_requests import WARMUP_FILE


@dataclasses.dataclass(frozen=True)
class CheckedRequests:
    """Requests whose signature and inputs all models have, and why others were left out."""

    path: str
    requests: list[Any]
    left_out: dict[str, int]


def check_requests(saved_models: Sequence[str], path: str | None, most: int) -> CheckedRequests:
    """Reads the requests of a file, or of the first model that brings warm-up requests.

    A request whose inputs do not fit its signature is an error: it says what came and what was wanted.
    """
    require_serving_api("replaying requests")
    path = path or _warmup_file(saved_models)
    found, others = read_requests(path, most)
    signatures = {saved_model: _signatures(saved_model) for saved_model in saved_models}
    left_out: collections.Counter[str] = collections.Counter()
    if others:
        left_out["records that are no Predict"] = others
    kept = []
    for number, request in enumerate(found, start=1):
        lacking = [s for s in saved_models if signature_of(request) not in signatures[s]]
        if lacking:
            left_out[f"for the signature {signature_of(request)!r}, not in {lacking[0]}"] += 1
            continue
        for saved_model in saved_models:
            _check_inputs(
                request, signatures[saved_model], f"{path}: request {number}", saved_model
            )
        kept.append(request)
    if not kept:
        why = "; ".join(f"{reason}: {count:,}" for reason, count in left_out.items())
        has = "; ".join(f"{s} has {', '.join(sorted(signatures[s]))}" for s in saved_models)
        raise ValueError(
            f"{path} has no request for a signature of the models ({why or 'it is empty'}). {has}"
        )
    return CheckedRequests(path, kept, dict(left_out))


def _warmup_file(saved_models: Sequence[str]) -> str:
    paths = [os.path.join(folder, "assets.extra", WARMUP_FILE) for folder in saved_models]
    for path in paths:
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(
        f"no request to replay: there is no {' and no '.join(paths)}. Name a file: `requests` (--requests)"
    )


def _signatures(saved_model: str) -> dict[str, Any]:
    for meta_graph in read_saved_model(saved_model).meta_graphs:
        if "serve" in meta_graph.meta_info_def.tags:
            signatures = dict(meta_graph.signature_def)
            return {n: s for n, s in signatures.items() if not n.startswith("__saved_model")}
    raise ValueError(f"{saved_model} has no graph of the tag `serve`")


def _check_inputs(request: Any, signatures: dict[str, Any], place: str, saved_model: str) -> None:
    from tf_hps.serving.errors import RequestError
    from tf_hps.serving.request_tensors import read_inputs

    try:
        read_inputs(request.inputs, signatures[signature_of(request)])
    except RequestError as error:
        raise ValueError(f"{place} does not fit {saved_model}: {error}") from error

"""Compares a rewritten SavedModel with the one that it was made from."""

from __future__ import annotations

import dataclasses
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_hps.errors import HpsError
from tf_hps.saved_model.rewriting.report import CheckReport, RewriteReport
from tf_hps.saved_model.rewriting.requests import MadeRequest, RequestMaker
from tf_hps.saved_model.rewriting.run_signatures import Answer
from tf_hps.saved_model.rewriting.warmup import warmup_requests
from tf_hps.saved_model.saved_model_proto import read_saved_model
from tf_hps.store import RowSource, StoreReader
from tf_hps.store.compare import compare_table

_RUN = os.path.join(os.path.dirname(__file__), "run_signatures.py")


class RewriteCheckError(HpsError):
    """A rewritten model answers otherwise than the original: nothing was written."""


def check_rewrite(
    report: RewriteReport,
    sources: Mapping[str, Sequence[RowSource]],
    original: str,
    rewritten: str,
    store: str,
    same_outside: bool,
) -> RewriteReport:
    """The report with what was checked; a RewriteCheckError where something differs.

    All rows are compared, and the answers to generated requests and to those for the warm-up, bit for bit,
    each model in a process of its own.

    Args:
        report: Of the rewrite.
        sources: What the rows of each table come from.
        original: The SavedModel that was read.
        rewritten: The new one.
        store: Where its rows are.
        same_outside: Whether ids outside of the vocabulary have kept their meaning.
    """
    checks = [_check_rows(report, sources, store)]
    requests, without = _requests(report, original, same_outside)
    checks += [CheckReport(name, None, f"not asked: {why}") for name, why in without.items()]
    checks += check_answers(requests, original, rewritten)
    return dataclasses.replace(report, checks=tuple(checks))


def _check_rows(
    report: RewriteReport, sources: Mapping[str, Sequence[RowSource]], store: str
) -> CheckReport:
    rows = 0
    with StoreReader(store) as reader, tempfile.TemporaryDirectory(prefix="tf_hps-") as scratch:
        for table in report.tables:
            record = reader.record(table.table, table.generation)
            for source in sources[table.table]:
                result = compare_table(reader, record, source, os.path.join(scratch, "sort"))
                if not result.same:
                    raise RewriteCheckError(
                        f"table {table.table!r} differs from {source.description} from row "
                        f"{result.first_difference} on"
                    )
                rows += result.equal
    return CheckReport("rows", True, f"{rows:,} rows are equal")


def _requests(
    report: RewriteReport, original: str, same_outside: bool
) -> tuple[list[MadeRequest], dict[str, str]]:
    sizes = [table.rows for table in report.tables]
    sizes += [kept.shape[0] for kept in report.left if kept.shape]
    for meta_graph in read_saved_model(original).meta_graphs:
        if "serve" in meta_graph.meta_info_def.tags:
            made, without = RequestMaker(meta_graph, sizes, original).requests()
            made += warmup_requests(meta_graph, original)
            kept = [request for request in made if same_outside or not request.is_outside]
            return kept, without
    return [], {}


def check_answers(requests: list[MadeRequest], original: str, rewritten: str) -> list[CheckReport]:
    if not requests:
        return [CheckReport("answers", None, "there is no signature of the tag `serve` to ask")]
    # Asked twice: what differs from itself cannot be compared.
    asked = [request.request for request in requests] * 2
    before = _answers(original, asked)
    after = _answers(rewritten, asked, "tables")
    reports = []
    for i, made in enumerate(requests):
        first, second = before[i], before[i + len(requests)]
        if not _same(first, second):
            reports.append(
                CheckReport(
                    made.what, None, "not compared: the original answers differently each time"
                )
            )
            continue
        if not _same(first, after[i]):
            raise RewriteCheckError(
                f"{made.what}: the rewritten model answers {_short(after[i])}, the original "
                f"{_short(first)}"
            )
        if isinstance(first, str):
            detail = f"both fail with {first}"
            if not made.is_outside:
                reports.append(CheckReport(made.what, None, f"not compared: {detail}"))
                continue
        else:
            count = sum(value.size for values in first.values() for value in values)
            detail = f"{count:,} values are equal"
        reports.append(CheckReport(made.what, True, detail))
    return reports


def _answers(saved_model: str, requests: list[Any], *tables: str) -> list[Answer]:
    with tempfile.TemporaryDirectory(prefix="tf_hps-") as folder:
        files = [os.path.join(folder, name) for name in ("requests", "answers")]
        with open(files[0], "wb") as file:
            pickle.dump(requests, file)
        with open(_RUN, encoding="utf-8") as file:
            program = file.read()
        done = subprocess.run(
            [sys.executable, "-c", program, saved_model, *files, *tables],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise RewriteCheckError(
                f"{saved_model} could not be run to be compared; check=False (--no_check) goes "
                f"without: {lines[-1]}"
            )
        with open(files[1], "rb") as file:
            answers: list[Answer] = pickle.load(file)
    return answers


def _same(one: Answer, other: Answer) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other if isinstance(one, str) and isinstance(other, str) else False
    return one.keys() == other.keys() and all(
        _same_bits(a, b) for key in one for a, b in zip(one[key], other[key], strict=True)
    )


def _same_bits(a: Any, b: Any) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype == object:
        return bool((a == b).all())
    # Bits: NaN is equal to itself, and -0 is not 0.
    return bool(np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes())


def _short(answer: Answer) -> str:
    if isinstance(answer, str):
        return f"with {answer}"
    return ", ".join(f"{key}: {np.array2string(v[0], threshold=6)}" for key, v in answer.items())

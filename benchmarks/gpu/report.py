"""One JSON file and a short table of what benchmarks/gpu/run.sh measured.

    report.py OBJECTS RESULT.json SIZE

OBJECTS has results.jsonl of the benchmark, variant_NAME.jsonl of variants of the lookup kernel, and tests.json of
the tests, where they came that far.
"""

import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
from typing import Any


def output_of(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def read_tests(path: pathlib.Path) -> dict[str, Any]:
    try:
        tests = json.loads(path.read_text())
    except (OSError, ValueError):
        return {"finished": False}
    failed = [
        f"{suite['name']}.{test['name']}"
        for suite in tests["testsuites"]
        for test in suite["testsuite"]
        if test.get("failures")
    ]
    return {"finished": True, "run": tests["tests"], "failed": failed}


def read_results(path: pathlib.Path) -> list[dict[str, Any]]:
    results = []
    for line in path.read_text().splitlines():
        try:
            results.append(json.loads(line))
        except ValueError:  # the program ended in the middle of it
            print(f"not a result: {line}")
    return results


def line_of(result: dict[str, Any]) -> str:
    """One row of the table: medians only; the JSON file has the lowest and highest as well."""
    cells = [
        f"{name}={value[0] if isinstance(value, list) else value:.4g}"
        if not isinstance(value, str)
        else value
        for name, value in result.items()
    ]
    return "  ".join(cells)


def print_hits(hits: list[dict[str, Any]]) -> None:
    print("\nall hits: dim, row -> out, keys, batch | Mkeys/s, of copy, of gather | missed")
    for hit in hits:
        of_gather = f"{hit['of_gather'][0]:.2f}" if "of_gather" in hit else "-"
        print(
            f"{hit['embedding_dim']:4} {hit['row_format']} -> {hit['out']} "
            f"{hit['distribution']:9} {hit['batch']:8} | "
            f"{hit['keys_per_second'][0] / 1e6:8.1f} {hit['of_copy'][0]:5.2f} {of_gather:>5} | "
            f"{hit['missed']:.2%}"
        )


def variants(objects: pathlib.Path) -> list[dict[str, Any]]:
    """Keys/s of each variant over the unchanged kernel's; what its own two runs differ by is the band."""

    def rates(name: str) -> dict[tuple[Any, ...], list[float]]:
        runs: dict[tuple[Any, ...], list[float]] = {}
        for hit in read_results(objects / f"variant_{name}.jsonl"):
            if hit["what"] == "hits":
                case = tuple(
                    hit[n] for n in ("embedding_dim", "row_format", "out", "distribution", "batch")
                )
                runs.setdefault(case, []).append(hit["keys_per_second"][0])
        return runs

    names = sorted(path.stem.removeprefix("variant_") for path in objects.glob("variant_*.jsonl"))
    if "same" not in names:
        return []
    same = rates("same")
    return [
        {
            "what": "variant",
            "variant": name,
            "embedding_dim": case[0],
            "rows": f"{case[1]} -> {case[2]}",
            "distribution": case[3],
            "batch": case[4],
            "ratio": statistics.median(found) / statistics.median(same[case]),
            "band": max(same[case]) / min(same[case]) - 1,
        }
        for name in names
        if name != "same"
        for case, found in rates(name).items()
        if case in same
    ]


def float16_over_float32(hits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    keys_per_second = {
        (hit["row_format"], hit["out"], hit["distribution"], hit["batch"]): hit["keys_per_second"][
            0
        ]
        for hit in hits
        if hit["embedding_dim"] == 128
    }
    return [
        {
            "what": "float16 over float32",
            "out": out,
            "distribution": distribution,
            "batch": batch,
            "ratio": rate / keys_per_second["float32", "float32", distribution, batch],
        }
        for (row_format, out, distribution, batch), rate in keys_per_second.items()
        if row_format == "float16"
    ]


def targets(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The worst figure of each kind beside what is asked for."""

    def of(what: str, figure: str, **wanted: Any) -> list[float]:
        found = [
            result[figure]
            for result in results
            if result["what"] == what
            and figure in result
            and all(result[name] == value for name, value in wanted.items())
        ]
        return [value[0] if isinstance(value, list) else value for value in found]

    small = [r for dim in (16, 32, 64) for r in of("hits", "of_gather", embedding_dim=dim)]
    wide = {"embedding_dim": 128, "row_format": "float32"}
    rows: list[tuple[str, list[float], str, float]] = [
        ("dim 128, of copy bandwidth", of("hits", "of_copy", **wide), ">=", 0.8),
        ("dim 16 to 64, of a plain gather", small, ">=", 0.8),
        ("float16 over float32", of("float16 over float32", "ratio", out="float16"), ">=", 1.7),
        ("84 % hits, microseconds", of("misses", "microseconds"), "<=", 60),
        ("84 % hits, through the tiers", of("tiers", "microseconds", misses=320), "<=", 60),
        ("host waits, all hits", of("replay", "host_waits"), "<=", 1),
        ("host waits, with misses", of("misses", "host_waits"), "<=", 2),
        ("host waits, through the tiers", of("tiers", "host_waits"), "<=", 2),
        ("host waits, threshold 0", of("replay", "host_waits_threshold_0"), "<=", 0),
        ("hit rate, of exact LRU", of("policy", "of_exact_lru"), ">=", 0.98),
    ]
    return [
        {
            "target": name,
            "worst": (min if sign == ">=" else max)(figures, default=None),
            "asked": f"{sign} {bound}",
            "met": bool(figures)
            and (min(figures) >= bound if sign == ">=" else max(figures) <= bound),
        }
        for name, figures, sign, bound in rows
    ]


def main(objects: pathlib.Path, result_path: pathlib.Path, size: str) -> int:
    results = read_results(objects / "results.jsonl")
    hits = [result for result in results if result["what"] == "hits"]
    results += float16_over_float32(hits)
    results += variants(objects)
    report: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "size": size,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "gpu": output_of("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"),
        "nvcc": output_of("nvcc", "--version").splitlines()[-1:],
        "tests": read_tests(objects / "tests.json"),
        "targets": targets(results),
        "results": results,
    }
    result_path.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\n{report['gpu']}\ntests: {report['tests']}")
    for result in results:
        if result["what"] not in ("hits", "filled"):
            print(line_of(result))
    print_hits(hits)
    print()
    for target in report["targets"]:
        print(
            "met   " if target["met"] else "MISSED",
            target["target"],
            target["worst"],
            target["asked"],
        )
    print(f"\n{result_path}")
    return 0 if hits else 1


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]))

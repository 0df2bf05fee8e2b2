"""How the hit rate of a GPU's cache goes from batch to batch, by `hit_rate_threshold`.

The paper's experiment: zipf popularities, a cache for a tenth of the rows, batches of 256 ids. Halfway all popular
ids become unpopular. The cache runs on emulated CUDA: hit rates do not depend on the device.
"""

import csv
import json
import subprocess

import _axes
import _measure
import _programs

ARGUMENTS = {"full": [20_000, 240], "medium": [20_000, 120], "small": [20_000, 4]}
SMOOTHED = 10  # batches


def main() -> None:
    size = _axes.size(__doc__)
    command = [str(_programs.FOLDER / "gpu_hit_rate"), *map(str, ARGUMENTS[size])]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    series: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in csv.DictReader(output.splitlines(), delimiter="\t"):
        lines = series.setdefault((row["zipf"], row["threshold"]), {"hits": [], "own": []})
        lines["hits"].append(float(row["hit_rate"]))
        lines["own"].append(1 - float(row["default_rows"]))
    print(
        f"{'zipf':>6} {'threshold':>10} {'first 10':>9} {'before':>7} {'after':>7} {'end':>7} {'own':>7}"
    )
    for (zipf, threshold), lines in series.items():
        hits, half = lines["hits"], len(lines["hits"]) // 2
        parts = [
            hits[:10],
            hits[max(0, half - 20) : half],
            hits[half : half + 10],
            hits[-20:],
            lines["own"],
        ]
        print(f"{zipf:>6} {threshold:>10} " + " ".join(f"{_mean(part):7.3f}" for part in parts))
    _measure.FOLDER.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": _measure.machine(),
        "ratio": "ids found in the cache, of those asked for",
        "results": [
            {
                "zipf": float(zipf),
                "threshold": float(threshold),
                "ratio": _mean(lines["hits"]),
                **lines,
            }
            for (zipf, threshold), lines in series.items()
        ],
    }
    (_measure.FOLDER / "gpu_hit_rate.json").write_text(json.dumps(document) + "\n")
    plot(series)
    print(f"written: {_measure.FOLDER / 'gpu_hit_rate'}.json and .png")


def plot(series: dict[tuple[str, str], dict[str, list[float]]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    zipfs = sorted({zipf for zipf, _ in series})
    figure, panels = pyplot.subplots(
        2, len(zipfs), figsize=(11, 5.4), sharex=True, sharey=True, layout="constrained"
    )
    for column, zipf in enumerate(zipfs):
        for row, (figure_of, what) in enumerate(
            (("hits", "found in the cache"), ("own", "answered with their own row"))
        ):
            axes = panels[row][column]
            for (of, threshold), lines in series.items():
                if of == zipf:
                    axes.plot(_smooth(lines[figure_of]), label=threshold, linewidth=1.2)
            axes.axvline(len(lines[figure_of]) / 2, color="#888888", linewidth=0.8, linestyle=":")
            axes.set_ylim(0, 1.02)
            axes.grid(alpha=0.3)
            if row == 0:
                axes.set_title(f"zipf {zipf}", fontsize=10)
            else:
                axes.set_xlabel("batch", fontsize=9)
            if column == 0:
                axes.set_ylabel(f"ids {what}", fontsize=9)
    panels[0][0].legend(title="hit_rate_threshold", fontsize=8, title_fontsize=8, loc="lower right")
    figure.savefig(_measure.FOLDER / "gpu_hit_rate.png", dpi=110)
    pyplot.close(figure)


def _smooth(values: list[float]) -> list[float]:
    return [_mean(values[max(0, i - SMOOTHED + 1) : i + 1]) for i in range(len(values))]


def _mean(values: list[float]) -> float:
    return sum(values) / max(1, len(values))


if __name__ == "__main__":
    main()

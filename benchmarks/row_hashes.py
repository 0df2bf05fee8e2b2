"""Publisher's hashes, by which it finds changed rows, against CRC-32 over the same bytes."""

import zlib

import _axes
import _measure
import numpy as np

from tf_hps.publish.row_hashes import hash_rows


def main() -> None:
    axes = _axes.arguments(__doc__)
    report = _measure.Report("row_hashes", "8 bytes a row, megabytes a second")
    for embedding_dim in (16, 64, 128):
        rows = np.random.default_rng(0).random((axes.rows // 4, embedding_dim), np.float32)
        report.compare(
            {"rows": f"{len(rows) // 1000}k x {embedding_dim}"},
            lambda rows=rows: hash_rows(rows),
            {"crc32": lambda rows=rows: zlib.crc32(rows)},
            axes.rounds,
            1,
            rows.nbytes,
        )
    report.finish()


if __name__ == "__main__":
    main()

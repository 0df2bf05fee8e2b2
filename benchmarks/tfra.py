"""HpsLookup against the dynamic_embedding of TensorFlow Recommenders Addons (TFRA), and its TensorFlow.

TFRA needs a TensorFlow of its own: the first run installs both into build/environments/tfra (2 GB).
`--size small` has tf.nn of this TensorFlow in the other process, and installs nothing.
"""

import json
import pathlib
import subprocess
import sys
import venv

import _axes
import _chains
import _measure
import _peer
import _tables

import tf_hps

PACKAGES = ("tensorflow-recommenders-addons==0.8.1", "tensorflow==2.16.2", "tf-keras~=2.16.0")
FOLDER = pathlib.Path("build/environments/tfra")


def python_with_tfra() -> str:
    python = FOLDER / "bin/python"
    installed = FOLDER / "installed"
    if not installed.exists():
        print(f"installing {', '.join(PACKAGES)} into {FOLDER}", flush=True)
        venv.create(FOLDER, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        installed.write_text("\n".join(PACKAGES))
    return str(python)


class PeerProcess:
    """A peer in another process, which waits for its turn."""

    def __init__(self, python: str, kind: str, rows: int, embedding_dim: int):
        self._process = subprocess.Popen(
            [python, _peer.__file__, kind, str(rows), str(embedding_dim)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.tensorflow = self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(_peer.ANSWER):
                return line.removeprefix(_peer.ANSWER).strip()
        raise SystemExit(f"the peer's process ended with {self._process.wait()}")

    def ask(self, line: str = "") -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        self._answer()

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    size = _axes.size(__doc__)
    axes = _axes.SIZES[size]
    _chains.use_two_threads()
    rows, embedding_dim = axes.rows, axes.embedding_dim
    if size == "small":
        peers = {"tf.nn": PeerProcess(sys.executable, "tf.nn", rows, embedding_dim)}
    else:
        python = python_with_tfra()
        peers = {kind: PeerProcess(python, kind, rows, embedding_dim) for kind in ("tfra", "tf.nn")}
    table = _tables.in_memory(_tables.dense(rows, embedding_dim))
    run = _chains.chain(lambda ids: tf_hps.embedding_lookup(table, ids))
    report = _measure.Report("tfra", "HpsLookup, float32 rows in memory")
    for distribution in _axes.DISTRIBUTIONS:
        for batch in axes.batches:
            ids = {
                "distribution": distribution,
                "batch": batch,
                "lookups": 64 if batch <= 1024 else 8,
            }
            # Long enough that the word to the other process, some 50 us, is nothing.
            repeats = max(1, 500_000 // (ids["lookups"] * batch))
            call = _chains.in_turn(run, _axes.fresh_ids(rows, **ids))
            for peer in peers.values():
                peer.ask(json.dumps({"ids": ids, "repeats": repeats}))

            def ours(call=call, repeats=repeats) -> None:
                for _ in range(repeats):
                    call()

            report.compare(
                {"rows": f"{rows // 1000}k x {embedding_dim}", "ids": distribution, "batch": batch},
                ours,
                {f"{kind} {peer.tensorflow}": peer.ask for kind, peer in peers.items()},
                axes.rounds,
                1,
                repeats * ids["lookups"] * batch,
            )
    for peer in peers.values():
        peer.end()
    report.finish()


if __name__ == "__main__":
    main()

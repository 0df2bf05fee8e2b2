"""Which rows of a table changed, by 8 bytes a row instead of a copy of it."""

from typing import Any

import numpy as np
import numpy.typing as npt

# Rows hashed at once: what is in work stays in a core's cache then (benchmarks/README.md, "row_hashes").
_BLOCK_BYTES = 128 << 10
# Words of a row up to which they are added column by column: numpy's sum of a row costs more then.
_SHORT = 8


def hash_rows(rows: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """64 bits for the bytes of each row of a 2-D array.

    Each 8-byte word is multiplied by an odd number of its own and folded, both of which lose nothing,
    so that a row with one changed word never keeps its hash; the words are summed. (Multilinear
    hashing, Lemire and Kaser: "Strongly universal string hashing is fast", with a fold: alone it is
    weak where words differ in their upper bits only, as floats do.)
    """
    raw = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
    rest = raw.shape[1] % 8
    if rest:
        raw = np.pad(raw, ((0, 0), (0, 8 - rest)))
    words = raw.view(np.uint64)
    factors = _factors(words.shape[1])
    hashes = np.empty(len(words), np.uint64)
    step = max(1, _BLOCK_BYTES // (8 * words.shape[1]))
    for begin in range(0, len(words), step):
        part = words[begin : begin + step] * factors
        part ^= part >> np.uint64(32)
        part *= _LAST_FACTOR
        out = hashes[begin : begin + step]
        if part.shape[1] > _SHORT:
            part.sum(axis=1, out=out)
            continue
        np.copyto(out, part[:, 0])
        for column in range(1, part.shape[1]):
            out += part[:, column]
    return hashes


_LAST_FACTOR = np.uint64(0x9FB21C651E98DF25)


def _factors(n: int) -> npt.NDArray[np.uint64]:
    random = np.random.default_rng(0x687073)
    factors: npt.NDArray[np.uint64] = random.integers(0, 1 << 64, n, np.uint64) | np.uint64(1)
    return factors


class RowHashes:
    """The hashes of rows by key, and what a new batch of them changes. Keys are dense or few."""

    def __init__(self) -> None:
        self._keys: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._hashes: npt.NDArray[np.uint64] = np.empty(0, np.uint64)

    def __len__(self) -> int:
        return len(self._keys)

    def changed(self, keys: npt.NDArray[np.int64], rows: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which of the rows differ from the last ones under their keys, or are new; remembers all.

        Keys ascend, and no key comes twice.
        """
        hashes = hash_rows(rows)
        at = np.searchsorted(self._keys, keys)
        known = at < len(self._keys)
        known[known] = self._keys[at[known]] == keys[known]
        changed = ~known
        changed[known] = self._hashes[at[known]] != hashes[known]
        self._hashes[at[known]] = hashes[known]
        if not known.all():
            new = ~known
            self._keys = np.insert(self._keys, at[new], keys[new])
            self._hashes = np.insert(self._hashes, at[new], hashes[new])
        return changed

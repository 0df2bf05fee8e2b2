"""Stores of embedding tables on disk, without the op library and without TensorFlow."""

from tf_hps.store.errors import StoreError as StoreError
from tf_hps.store.errors import StoreInUseError as StoreInUseError
from tf_hps.store.formats import TableRecord as TableRecord
from tf_hps.store.reader import StoreReader as StoreReader
from tf_hps.store.sources import ArraySource as ArraySource
from tf_hps.store.sources import RowSource as RowSource
from tf_hps.store.sources import from_arrays as from_arrays
from tf_hps.store.sources import from_npy as from_npy
from tf_hps.store.writer import LoadReport as LoadReport
from tf_hps.store.writer import StoreWriter as StoreWriter

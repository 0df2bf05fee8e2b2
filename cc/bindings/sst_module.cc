// tf_hps._sst: writes RocksDB's table files, without TensorFlow and the op library. See
// tf_hps/_sst.pyi.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "cc/storage/rocksdb_sst_writer.h"

namespace {

namespace py = pybind11;

// What tf_hps/store/database.py makes a StoreError of.
void Check(const std::string& error) {
  if (error.empty()) return;
  PyErr_SetString(PyExc_OSError, error.c_str());
  throw py::error_already_set();
}

template <typename Work>
void Run(Work&& work) {
  std::string error;
  {
    py::gil_scoped_release release;
    error = work();
  }
  Check(error);
}

int Compression(const std::string& name) {
  if (name == "none") return rocksdb_no_compression;
  if (name == "lz4") return rocksdb_lz4_compression;
  throw py::value_error("`compression` is one of ('none', 'lz4'). Received: '" + name + "'");
}

// Nothing is converted here: a copy of 16 MB that nobody asked for is a mistake.
template <typename T>
void CheckArray(const py::array& array, const std::string& wanted, bool is_shaped) {
  if (is_shaped && py::isinstance<py::array_t<T, py::array::c_style>>(array)) return;
  throw py::value_error(
      wanted + ", contiguous. Received: " + py::str(array.dtype()).cast<std::string>() +
      " of shape " + py::str(py::tuple(array.attr("shape"))).cast<std::string>() + " and strides " +
      py::str(py::tuple(array.attr("strides"))).cast<std::string>());
}

class SstFile {
 public:
  SstFile(const std::string& path, py::ssize_t row_bytes, const std::string& compression)
      : row_bytes_(row_bytes), writer_(Compression(compression)) {
    if (row_bytes < 1) {
      throw py::value_error("`row_bytes` is at least 1. Received: " + std::to_string(row_bytes));
    }
    Run([&] { return writer_.Open(path); });
  }

  void Add(const py::array& keys, const py::array& rows, const std::optional<py::array>& erased) {
    CheckArray<int64_t>(keys, "`keys` is int64 [n]", keys.ndim() == 1);
    const py::ssize_t n = keys.shape(0);
    CheckArray<uint8_t>(
        rows, "`rows` is uint8 [" + std::to_string(n) + ", " + std::to_string(row_bytes_) + "]",
        rows.ndim() == 2 && rows.shape(0) == n && rows.shape(1) == row_bytes_);
    if (erased.has_value()) {
      CheckArray<bool>(*erased, "`erased` is bool [" + std::to_string(n) + "]",
                       erased->ndim() == 1 && erased->shape(0) == n);
    }
    const auto* const k = static_cast<const int64_t*>(keys.data());
    CheckOrder(k, n);
    const bool* const e = erased.has_value() ? static_cast<const bool*>(erased->data()) : nullptr;
    Run([&, r = static_cast<const uint8_t*>(rows.data())] {
      return writer_.Add({k, static_cast<size_t>(n)}, r, row_bytes_, e);
    });
    if (n > 0) last_ = k[n - 1];
  }

  void Finish() {
    Run([&] { return writer_.Finish(); });
  }

 private:
  void CheckOrder(const int64_t* keys, py::ssize_t n) const {
    std::optional<int64_t> last = last_;
    for (py::ssize_t i = 0; i < n; ++i) {
      if (last && keys[i] <= *last) {
        throw py::value_error("`keys` ascend. Received: " + std::to_string(keys[i]) + " after " +
                              std::to_string(*last));
      }
      last = keys[i];
    }
  }

  const py::ssize_t row_bytes_;
  tf_hps::RocksdbSstWriter writer_;
  std::optional<int64_t> last_;
};

}  // namespace

PYBIND11_MODULE(_sst, m) {
  using py::literals::operator""_a;

  py::class_<SstFile>(m, "SstFile")
      .def(py::init<const std::string&, py::ssize_t, const std::string&>(), "path"_a, "row_bytes"_a,
           "compression"_a)
      .def("add", &SstFile::Add, "keys"_a, "rows"_a, "erased"_a = py::none())
      .def("finish", &SstFile::Finish);
}

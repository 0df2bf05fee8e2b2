// tf_hps._rocksdb: writes RocksDB's table files and reads its databases, without TensorFlow and the
// op library. See tf_hps/_rocksdb.pyi.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cc/storage/rocksdb_reader.h"
#include "cc/storage/rocksdb_sst_writer.h"

namespace {

namespace py = pybind11;

using tf_hps::RocksdbReader;

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

void CheckRowBytes(py::ssize_t row_bytes) {
  if (row_bytes >= 1) return;
  throw py::value_error("`row_bytes` is at least 1. Received: " + std::to_string(row_bytes));
}

class SstFile {
 public:
  SstFile(const std::string& path, py::ssize_t row_bytes, const std::string& compression)
      : row_bytes_(row_bytes), writer_(Compression(compression)) {
    CheckRowBytes(row_bytes);
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

using Columns = std::tuple<py::array_t<int64_t>, py::array_t<uint8_t>, py::array_t<bool>>;

class RowCursor {
 public:
  RowCursor(std::shared_ptr<const RocksdbReader> reader, const std::string& family,
            py::ssize_t row_bytes, int64_t first, int64_t last)
      : row_bytes_(row_bytes), cursor_(std::move(reader), family, row_bytes, first, last) {}

  // None at the end.
  std::optional<Columns> Next(py::ssize_t most) {
    if (most < 1) {
      throw py::value_error("`most` is at least 1. Received: " + std::to_string(most));
    }
    Columns batch{py::array_t<int64_t>(most), py::array_t<uint8_t>({most, row_bytes_}),
                  py::array_t<bool>(most)};
    size_t count = 0;
    int64_t* const keys = std::get<0>(batch).mutable_data();
    uint8_t* const rows = std::get<1>(batch).mutable_data();
    bool* const erased = std::get<2>(batch).mutable_data();
    Run([&] { return cursor_.Next(most, keys, rows, erased, &count); });
    if (count == 0) return std::nullopt;
    const py::slice part(0, static_cast<py::ssize_t>(count), 1);
    if (static_cast<py::ssize_t>(count) == most) return batch;
    return Columns{std::get<0>(batch)[part], std::get<1>(batch)[part], std::get<2>(batch)[part]};
  }

 private:
  const py::ssize_t row_bytes_;
  tf_hps::RocksdbRowCursor cursor_;
};

RocksdbReader::Files ParseFiles(const std::string& files) {
  if (files == "none") return RocksdbReader::Files::kNone;
  if (files == "when_read") return RocksdbReader::Files::kWhenRead;
  if (files == "all") return RocksdbReader::Files::kAll;
  throw py::value_error("`files` is \"all\", \"when_read\" or \"none\". Received: \"" + files +
                        "\"");
}

class Database {
 public:
  Database(const std::string& path, const std::string& files) {
    std::unique_ptr<RocksdbReader> reader;
    Run([&] { return RocksdbReader::Open(path, ParseFiles(files), &reader); });
    reader_ = std::move(reader);
  }

  std::vector<std::string> Families() const { return Reader()->families(); }

  std::optional<py::bytes> Get(const std::string& key) const {
    std::optional<std::string> value;
    Run([&, reader = Reader()] { return reader->Get(key, &value); });
    if (!value.has_value()) return std::nullopt;
    return py::bytes(*value);
  }

  std::vector<std::pair<py::bytes, py::bytes>> Items(const std::string& prefix, size_t most) const {
    RocksdbReader::Items items;
    Run([&, reader = Reader()] { return reader->GetItems(prefix, most, &items); });
    return {items.begin(), items.end()};
  }

  uint64_t DiskBytes(const std::string& family) const {
    return Reader()->DiskBytes(CheckFamily(family));
  }

  std::unique_ptr<RowCursor> Rows(const std::string& family, py::ssize_t row_bytes, int64_t first,
                                  int64_t last) const {
    CheckRowBytes(row_bytes);
    CheckFamily(family);
    return std::make_unique<RowCursor>(Reader(), family, row_bytes, first, last);
  }

  std::tuple<py::array_t<uint8_t>, py::array_t<bool>, py::array_t<bool>> GetRows(
      const std::string& family, py::ssize_t row_bytes, const py::array& keys) const {
    CheckRowBytes(row_bytes);
    CheckArray<int64_t>(keys, "`keys` is int64 [n]", keys.ndim() == 1);
    const py::ssize_t n = keys.shape(0);
    py::array_t<uint8_t> rows({n, row_bytes});
    py::array_t<bool> found(n);
    py::array_t<bool> erased(n);
    Run([&, reader = Reader(), k = static_cast<const int64_t*>(keys.data()),
         r = rows.mutable_data(), f = found.mutable_data(), e = erased.mutable_data()] {
      std::memset(r, 0, n * row_bytes);
      std::vector<RocksdbReader::Presence> presence(n);
      std::string error =
          reader->GetRows(family, {k, static_cast<size_t>(n)}, row_bytes, r, presence.data());
      for (py::ssize_t i = 0; i < n; ++i) {
        f[i] = presence[i] == RocksdbReader::Presence::kStored;
        e[i] = presence[i] == RocksdbReader::Presence::kErased;
      }
      return error;
    });
    return {std::move(rows), std::move(found), std::move(erased)};
  }

  // Cursors read on; files stay open until the last one goes.
  void Close() { reader_ = nullptr; }

 private:
  std::shared_ptr<const RocksdbReader> Reader() const {
    if (reader_ == nullptr) throw py::value_error("the database was closed");
    return reader_;
  }
  rocksdb_column_family_handle_t* CheckFamily(const std::string& name) const {
    rocksdb_column_family_handle_t* const family = Reader()->family(name);
    if (family == nullptr) Check("Column family not found: " + name);
    return family;
  }

  std::shared_ptr<const RocksdbReader> reader_;
};

}  // namespace

PYBIND11_MODULE(_rocksdb, m) {
  using py::literals::operator""_a;

  py::class_<SstFile>(m, "SstFile")
      .def(py::init<const std::string&, py::ssize_t, const std::string&>(), "path"_a, "row_bytes"_a,
           "compression"_a)
      .def("add", &SstFile::Add, "keys"_a, "rows"_a, "erased"_a = py::none())
      .def("finish", &SstFile::Finish);

  py::class_<RowCursor>(m, "RowCursor").def("next", &RowCursor::Next, "most"_a);

  py::class_<Database>(m, "Database")
      .def(py::init<const std::string&, const std::string&>(), "path"_a, "files"_a = "all")
      .def("families", &Database::Families)
      .def("get", &Database::Get, "key"_a)
      .def("items", &Database::Items, "prefix"_a, "most"_a)
      .def("disk_bytes", &Database::DiskBytes, "family"_a)
      .def("rows", &Database::Rows, "family"_a, "row_bytes"_a, "first"_a, "last"_a)
      .def("get_rows", &Database::GetRows, "family"_a, "row_bytes"_a, "keys"_a)
      .def("close", &Database::Close);
}

// tf_hps._core: the C door for Python, numpy arrays in and out. See tf_hps/_core.pyi.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cc/bindings/tf_hps.h"

namespace {

namespace py = pybind11;

using Keys = py::array_t<int64_t, py::array::c_style | py::array::forcecast>;
using Bytes = py::array_t<uint8_t, py::array::c_style>;
using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;

// Raises what tf_hps/errors.py has for a message "CODE: text", and frees it.
void Check(char* message) {
  if (message == nullptr) return;
  const std::string text = message;
  tf_hps_free(message);
  const size_t colon = text.find(": ");
  const std::string code = text.substr(0, colon);
  const std::string rest = colon == std::string::npos ? text : text.substr(colon + 2);
  const py::object type = py::module_::import("tf_hps.errors").attr("exception_type")(code);
  PyErr_SetObject(type.ptr(), py::str(rest).ptr());
  throw py::error_already_set();
}

// Runs a function of the C door without the GIL.
template <typename Work>
void Run(Work&& work) {
  char* message;
  {
    py::gil_scoped_release release;
    message = work();
  }
  Check(message);
}

py::object TakeJson(char* json) {
  const std::string text = json;
  tf_hps_free(json);
  return py::module_::import("json").attr("loads")(text);
}

// Keys from narrower integers, in lists too: a float is a mistake, not a number to cut.
Keys ToKeys(const py::object& object) {
  const py::array keys = py::module_::import("numpy").attr("asarray")(object);
  if (keys.ndim() != 1) {
    throw py::value_error("`keys` has shape [n]. Received: " + std::to_string(keys.ndim()) +
                          " dimensions");
  }
  const char kind = keys.dtype().kind();
  if (keys.size() != 0 && kind != 'i' && (kind != 'u' || keys.itemsize() == 8)) {
    throw py::type_error("`keys` are integers of at most 64 bits. Received: " +
                         py::str(keys.dtype()).cast<std::string>());
  }
  return keys;
}

void CheckRank(const py::array& array, int rank, const char* wanted) {
  if (array.ndim() == rank) return;
  throw py::value_error(std::string(wanted) + ". Received: " + std::to_string(array.ndim()) +
                        " dimensions");
}

// Rows of n keys: [n, width].
template <typename Array>
void CheckRows(const Array& rows, ssize_t n, ssize_t width, const char* name) {
  if (rows.ndim() == 2 && rows.shape(0) == n && rows.shape(1) == width) return;
  throw py::value_error(
      std::string("`") + name + "` has shape [" + std::to_string(n) + ", " + std::to_string(width) +
      "]. Received: " + py::str(py::tuple(rows.attr("shape"))).template cast<std::string>());
}

class Scanner {
 public:
  Scanner(tf_hps_table* table, int64_t first, int64_t last, size_t batch_size, size_t row_bytes)
      : batch_size_(batch_size), row_bytes_(row_bytes) {
    if (batch_size == 0) throw py::value_error("`batch_size` is at least 1. Received: 0");
    tf_hps_scanner* scanner = nullptr;
    Run([&] { return tf_hps_scanner_open(table, first, last, &scanner); });
    scanner_.reset(scanner);
  }

  py::tuple Next() {
    Keys keys(batch_size_);
    Bytes rows({batch_size_, row_bytes_});
    size_t n = 0;
    Run([&, k = keys.mutable_data(), r = rows.mutable_data()] {
      return tf_hps_scanner_next(scanner_.get(), batch_size_, k, r, &n);
    });
    if (n == 0) throw py::stop_iteration();
    const py::slice taken(0, static_cast<ssize_t>(n), 1);
    return py::make_tuple(keys[taken], rows[taken]);
  }

 private:
  struct Close {
    void operator()(tf_hps_scanner* scanner) const { tf_hps_scanner_close(scanner); }
  };

  const size_t batch_size_;
  const size_t row_bytes_;
  std::unique_ptr<tf_hps_scanner, Close> scanner_;
};

class Table {
 public:
  Table(const std::string& config_path, const std::string& name) {
    tf_hps_table* table = nullptr;
    Run([&] { return tf_hps_table_open(config_path.c_str(), name.c_str(), &table); });
    table_.reset(table);
    char* json = nullptr;
    Run([&] { return tf_hps_table_spec(table, &json); });
    spec_ = TakeJson(json);
    embedding_dim_ = spec_["embedding_dim"].cast<ssize_t>();
    row_bytes_ = spec_["row_bytes"].cast<ssize_t>();
  }

  const py::dict& spec() const { return spec_; }

  Floats Lookup(const py::object& given) const {
    const Keys keys = ToKeys(given);
    Floats rows({keys.shape(0), embedding_dim_});
    Run([&, k = keys.data(), n = keys.size(), r = rows.mutable_data()] {
      return tf_hps_table_lookup(table_.get(), k, n, r);
    });
    return rows;
  }

  py::tuple Find(const py::object& given) const {
    const Keys keys = ToKeys(given);
    Bytes rows({keys.shape(0), row_bytes_});
    py::array_t<bool> found(keys.shape(0));
    Run([&, k = keys.data(), n = keys.size(), r = rows.mutable_data(),
         f = reinterpret_cast<uint8_t*>(found.mutable_data())] {
      return tf_hps_table_find(table_.get(), k, n, r, f);
    });
    return py::make_tuple(rows, found);
  }

  void Insert(const py::object& given, const Bytes& rows) {
    const Keys keys = ToKeys(given);
    CheckRows(rows, keys.shape(0), row_bytes_, "rows");
    Run([&, k = keys.data(), n = keys.size(), r = rows.data()] {
      return tf_hps_table_insert(table_.get(), k, n, r);
    });
  }

  void Erase(const py::object& given) {
    const Keys keys = ToKeys(given);
    Run([&, k = keys.data(), n = keys.size()] { return tf_hps_table_erase(table_.get(), k, n); });
  }

  Scanner Scan(int64_t first, int64_t last, size_t batch_size) {
    return Scanner(table_.get(), first, last, batch_size, row_bytes_);
  }

  py::object Stats() const {
    char* json = nullptr;
    Run([&] { return tf_hps_table_stats(table_.get(), &json); });
    return TakeJson(json);
  }

  Keys HotKeys(size_t n) const {
    std::vector<int64_t> keys(n);
    size_t found = 0;
    Run([&] { return tf_hps_table_hot_keys(table_.get(), n, keys.data(), &found); });
    return Keys(static_cast<ssize_t>(found), keys.data());
  }

  void Refresh() const {
    Run([&] { return tf_hps_table_refresh(table_.get()); });
  }

  py::object Inspect(int64_t key) const {
    char* json = nullptr;
    Run([&] { return tf_hps_table_inspect(table_.get(), key, &json); });
    return TakeJson(json);
  }

  void WaitForPreload() const {
    Run([&] { return tf_hps_table_wait_for_preload(table_.get()); });
  }

  void WaitUntil(const std::string& position, double timeout) const {
    const double most = 1e9;  // seconds; a NaN is none
    const auto ms =
        static_cast<int64_t>(1000 * (timeout > 0 ? (timeout < most ? timeout : most) : 0));
    Run([&] { return tf_hps_table_wait_until(table_.get(), position.c_str(), ms); });
  }

  void WaitForPromotions() const {
    Run([&] { return tf_hps_table_wait_for_promotions(table_.get()); });
  }

 private:
  // Closing may be the end of the table: it joins threads and closes stores.
  struct Close {
    void operator()(tf_hps_table* table) const {
      py::gil_scoped_release release;
      tf_hps_table_close(table);
    }
  };

  std::unique_ptr<tf_hps_table, Close> table_;
  py::dict spec_;
  ssize_t embedding_dim_ = 0;
  ssize_t row_bytes_ = 0;
};

py::object ExplainConfig(const std::string& path) {
  char* json = nullptr;
  Run([&] { return tf_hps_explain_config(path.c_str(), &json); });
  return TakeJson(json);
}

std::optional<std::string> NewestPosition(const std::string& path) {
  char* position = nullptr;
  Run([&] { return tf_hps_newest_position(path.c_str(), &position); });
  if (position == nullptr) return std::nullopt;
  const std::string text = position;
  tf_hps_free(position);
  return text;
}

void CheckConfig(const std::string& text, const std::string& folder) {
  Run([&] { return tf_hps_check_config(text.c_str(), folder.c_str()); });
}

py::object ConfigSchema() {
  char* json = nullptr;
  Run([&] { return tf_hps_config_schema(&json); });
  return TakeJson(json);
}

py::object OpenStores() {
  char* json = nullptr;
  Run([&] { return tf_hps_open_stores(&json); });
  return TakeJson(json);
}

void StoreCheckpoint(const std::string& path, const std::string& target) {
  Run([&] { return tf_hps_store_checkpoint(path.c_str(), target.c_str()); });
}

std::string Metrics() {
  char* text = nullptr;
  Run([&] { return tf_hps_metrics(&text); });
  const std::unique_ptr<char, decltype(&tf_hps_free)> owned(text, &tf_hps_free);
  return text;
}

py::object BuildInfo() {
  char* json = nullptr;
  Run([&] { return tf_hps_build_info(&json); });
  return TakeJson(json);
}

// One row of zeros tells how wide a row of this format is, and that the arguments make sense.
ssize_t RowBytes(const std::string& row_format, int64_t embedding_dim) {
  Run([&] { return tf_hps_encode_rows(row_format.c_str(), embedding_dim, nullptr, 0, nullptr); });
  if (row_format == "int8") return 4 + embedding_dim;
  return (row_format == "float32" ? 4 : 2) * embedding_dim;
}

Floats DecodeRows(const std::string& row_format, int64_t embedding_dim, const Bytes& rows) {
  CheckRows(rows, rows.ndim() > 0 ? rows.shape(0) : 0, RowBytes(row_format, embedding_dim), "rows");
  Floats elements({rows.shape(0), static_cast<ssize_t>(embedding_dim)});
  Run([&, r = rows.data(), n = rows.shape(0), e = elements.mutable_data()] {
    return tf_hps_decode_rows(row_format.c_str(), embedding_dim, r, n, e);
  });
  return elements;
}

Bytes EncodeRows(const std::string& row_format, const Floats& elements) {
  CheckRank(elements, 2, "`elements` has shape [n, embedding_dim]");
  const ssize_t dim = elements.shape(1);
  Bytes rows({elements.shape(0), RowBytes(row_format, dim)});
  Run([&, e = elements.data(), n = elements.shape(0), r = rows.mutable_data()] {
    return tf_hps_encode_rows(row_format.c_str(), dim, e, n, r);
  });
  return rows;
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  using py::literals::operator""_a;

  py::class_<Scanner>(m, "Scanner")
      .def("__iter__", [](py::object self) { return self; })
      .def("__next__", &Scanner::Next);

  py::class_<Table>(m, "Table")
      .def(py::init<const std::string&, const std::string&>(), "config_path"_a, "name"_a)
      .def_property_readonly("spec", &Table::spec)
      .def("lookup", &Table::Lookup, "keys"_a)
      .def("find", &Table::Find, "keys"_a)
      .def("insert", &Table::Insert, "keys"_a, "rows"_a)
      .def("erase", &Table::Erase, "keys"_a)
      .def("scan", &Table::Scan, "first"_a = INT64_MIN, "last"_a = INT64_MAX,
           "batch_size"_a = 65536)
      .def("stats", &Table::Stats)
      .def("hot_keys", &Table::HotKeys, "n"_a)
      .def("refresh", &Table::Refresh)
      .def("inspect", &Table::Inspect, "key"_a)
      .def("wait_for_preload", &Table::WaitForPreload)
      .def("wait_until", &Table::WaitUntil, "position"_a, "timeout"_a)
      .def("wait_for_promotions", &Table::WaitForPromotions);

  m.def("explain_config", &ExplainConfig, "config_path"_a);
  m.def("newest_position", &NewestPosition, "config_path"_a);
  m.def("check_config", &CheckConfig, "text"_a, "folder"_a);
  m.def("config_schema", &ConfigSchema);
  m.def("decode_rows", &DecodeRows, "row_format"_a, "embedding_dim"_a, "rows"_a);
  m.def("encode_rows", &EncodeRows, "row_format"_a, "elements"_a);
  m.def("open_stores", &OpenStores);
  m.def("store_checkpoint", &StoreCheckpoint, "path"_a, "target"_a);
  m.def("metrics", &Metrics);
  m.def("build_info", &BuildInfo);
}

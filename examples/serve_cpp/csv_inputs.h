#ifndef TF_HPS_EXAMPLES_SERVE_CPP_CSV_INPUTS_H_
#define TF_HPS_EXAMPLES_SERVE_CPP_CSV_INPUTS_H_

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"

namespace serve_example {

[[noreturn]] inline void Fail(const std::string& what) {
  std::cerr << "serve: " << what << "\n";
  std::exit(1);
}

// A column of the CSV as a tensor of the dtype and rank that the signature asks for.
inline tensorflow::Tensor ColumnTensor(const std::vector<std::string>& column,
                                       const tensorflow::TensorInfo& info) {
  const auto n = static_cast<int64_t>(column.size());
  tensorflow::TensorShape shape({n});
  for (int axis = 1; axis < info.tensor_shape().dim_size(); ++axis) shape.AddDim(1);
  tensorflow::Tensor tensor(info.dtype(), shape);
  for (int64_t i = 0; i < n; ++i) {
    switch (info.dtype()) {
      case tensorflow::DT_INT32:
        tensor.flat<int32_t>()(i) = std::stoi(column[i]);
        break;
      case tensorflow::DT_INT64:
        tensor.flat<int64_t>()(i) = std::stoll(column[i]);
        break;
      case tensorflow::DT_FLOAT:
        tensor.flat<float>()(i) = std::stof(column[i]);
        break;
      default:
        Fail("input " + info.name() + " has a dtype that a CSV does not hold");
    }
  }
  return tensor;
}

inline std::map<std::string, std::vector<std::string>> ReadCsv(const std::string& path) {
  std::ifstream file(path);
  if (!file) Fail("cannot read " + path);
  std::string line, cell;
  std::vector<std::string> names;
  std::map<std::string, std::vector<std::string>> columns;
  // As Python's csv module and Excel end lines, with \r\n, too.
  const auto next_line = [&] {
    if (!std::getline(file, line)) return false;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return true;
  };
  next_line();
  for (std::istringstream cells(line); std::getline(cells, cell, ',');) names.push_back(cell);
  while (next_line()) {
    std::istringstream cells(line);
    for (const std::string& name : names) {
      if (!std::getline(cells, cell, ',')) Fail(path + ": a line is short of a cell: " + line);
      columns[name].push_back(cell);
    }
  }
  return columns;
}

// The inputs of a signature from a CSV whose columns have their names, ready for Session::Run.
inline std::vector<std::pair<std::string, tensorflow::Tensor>> InputsFromCsv(
    const std::string& path, const tensorflow::SignatureDef& signature) {
  const auto columns = ReadCsv(path);
  std::vector<std::pair<std::string, tensorflow::Tensor>> inputs;
  for (const auto& [name, info] : signature.inputs()) {
    const auto column = columns.find(name);
    if (column == columns.end()) Fail(path + " has no column " + name);
    inputs.emplace_back(info.name(), ColumnTensor(column->second, info));
  }
  return inputs;
}

}  // namespace serve_example

#endif  // TF_HPS_EXAMPLES_SERVE_CPP_CSV_INPUTS_H_

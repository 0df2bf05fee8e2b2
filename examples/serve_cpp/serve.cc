// Serves an exported model without Python: TensorFlow's own SavedModel loader, the op library, and
// a CSV whose columns are the signature's inputs.
//
//   serve MODEL_DIR PAIRS.csv [--library _tf_hps_ops.so] [--seconds 2]
//
// One prediction a line goes to standard output, what was measured to standard error as JSON.
// Without
// --library it serves a model that has no tf_hps ops.

#include <dlfcn.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cc/bindings/tf_hps.h"
#include "examples/serve_cpp/csv_inputs.h"
#include "nlohmann/json.hpp"
#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/public/session_options.h"

using serve_example::Fail;

namespace {

// The op library, and the part of its C door that this program uses.
struct OpLibrary {
  explicit OpLibrary(const std::string& path) : handle(dlopen(path.c_str(), RTLD_NOW)) {
    if (handle == nullptr) Fail(dlerror());
  }
  template <typename Function>
  Function* Find(const char* name) const {
    if (void* found = dlsym(handle, name)) return reinterpret_cast<Function*>(found);
    Fail(dlerror());
  }
  void* const handle;
};

// Counters of every table of the model, by table name. Attaches to the tables that the model
// opened.
nlohmann::json TableStats(const OpLibrary& library, const std::string& config_path) {
  auto* open = library.Find<decltype(tf_hps_table_open)>("tf_hps_table_open");
  auto* stats = library.Find<decltype(tf_hps_table_stats)>("tf_hps_table_stats");
  auto* close = library.Find<decltype(tf_hps_table_close)>("tf_hps_table_close");
  auto* release = library.Find<decltype(tf_hps_free)>("tf_hps_free");
  nlohmann::json all;
  const auto config = nlohmann::json::parse(std::ifstream(config_path));
  for (const auto& [name, unused] : config.at("tables").items()) {
    tf_hps_table* table = nullptr;
    char* text = nullptr;
    char* error = open(config_path.c_str(), name.c_str(), &table);
    if (error == nullptr) error = stats(table, &text);
    if (error != nullptr) Fail(error);
    all[name] = nlohmann::json::parse(text);
    release(text);
    close(table);
  }
  return all;
}

double Seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) Fail("usage: serve MODEL_DIR PAIRS.csv [--library FILE] [--seconds N]");
  const std::string model_dir = argv[1];
  std::map<std::string, std::string> options = {{"--library", ""}, {"--seconds", "2"}};
  for (int i = 3; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];

  // Before the model is loaded: the loader looks its ops up.
  std::unique_ptr<OpLibrary> library;
  if (!options["--library"].empty()) library = std::make_unique<OpLibrary>(options["--library"]);

  tensorflow::SavedModelBundle model;
  const double load_began = Seconds();
  absl::Status status =
      tensorflow::LoadSavedModel(tensorflow::SessionOptions(), {}, model_dir, {"serve"}, &model);
  if (!status.ok()) Fail(std::string(status.message()));
  const double load_seconds = Seconds() - load_began;

  const auto& signature = model.GetSignatures().at("serving_default");
  const auto inputs = serve_example::InputsFromCsv(argv[2], signature);
  int64_t keys = 0;
  for (const auto& [name, tensor] : inputs) keys += tensor.NumElements();
  const std::string output = signature.outputs().begin()->second.name();

  std::vector<tensorflow::Tensor> predictions;
  const auto run = [&] {
    status = model.session->Run(inputs, {output}, {}, &predictions);
    if (!status.ok()) Fail(std::string(status.message()));
  };
  run();
  const auto values = predictions[0].flat<float>();
  const int64_t count = values.size();
  for (int64_t i = 0; i < count; ++i) std::printf("%.9g\n", values(i));

  int64_t runs = 0;
  const double began = Seconds();
  const double end = began + std::stod(options["--seconds"]);
  for (; Seconds() < end; ++runs) run();
  const double seconds = Seconds() - began;

  nlohmann::json said = {{"load_seconds", load_seconds},
                         {"predictions", count},
                         {"batches_per_second", runs / seconds},
                         {"lookups_per_second", runs * keys / seconds}};
  if (library != nullptr) said["tables"] = TableStats(*library, model_dir + "/assets/hps.json");
  std::cerr << said.dump() << "\n";
}

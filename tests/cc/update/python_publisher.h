#ifndef TF_HPS_TESTS_CC_UPDATE_PYTHON_PUBLISHER_H_
#define TF_HPS_TESTS_CC_UPDATE_PYTHON_PUBLISHER_H_

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// A tf_hps.Publisher: what writes in a test is what users run. All of a program are in one process
// of Python, since that takes a while to start. TF_HPS_TEST_PYTHON names the interpreter;
// tests/cc_test.py sets it, and PYTHONPATH.
class PythonPublisher {
 public:
  explicit PythonPublisher(const std::string& url,
                           const nlohmann::json& options = nlohmann::json::object())
      : id_(++last_id()) {
    Ask({{"id", id_}, {"url", url}, {"options", options}});
  }
  PythonPublisher(const PythonPublisher&) = delete;
  PythonPublisher& operator=(const PythonPublisher&) = delete;

  // Commits `rows` rows of `dim` floats for the keys from `first` on, each float the key. The
  // position, or the error.
  std::string Commit(int first, int rows = 1, int dim = 2) {
    const nlohmann::json answer =
        Ask({{"id", id_}, {"first", first}, {"rows", rows}, {"dim", dim}});
    if (answer.contains("error")) return answer["error"];
    dropped_ = answer["dropped"];
    return answer["position"];
  }
  // Commits that a server had not read, so far.
  int dropped() const { return dropped_; }

 private:
  struct Process {
    FILE* to = nullptr;
    FILE* from = nullptr;
  };

  static int& last_id() {
    static int id = 0;
    return id;
  }

  static Process Start() {
    const char* const program = R"(
import json, sys
import numpy as np
from tf_hps.publish import Publisher
publishers = {}
for line in sys.stdin:
    asked = json.loads(line)
    try:
        if "url" in asked:
            publishers[asked["id"]] = Publisher(asked["url"], "d", "g", asked["options"])
            answer = {}
        else:
            publisher = publishers[asked["id"]]
            keys = np.arange(asked["first"], asked["first"] + asked["rows"])
            publisher.publish("t", keys, np.repeat(keys[:, None], asked["dim"], 1))
            answer = {"position": publisher.commit(), "dropped": publisher.dropped}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
)";
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) return {};
    const char* const named = getenv("TF_HPS_TEST_PYTHON");
    const std::string python = named == nullptr ? "python3" : named;
    if (fork() == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      dup2(to[0], 0);
      dup2(from[1], 1);
      execlp(python.c_str(), python.c_str(), "-c", program, nullptr);
      _exit(127);
    }
    close(to[0]);
    close(from[1]);
    return {fdopen(to[1], "w"), fdopen(from[0], "r")};
  }

  static nlohmann::json Ask(const nlohmann::json& question) {
    static const Process process = Start();
    fprintf(process.to, "%s\n", question.dump().c_str());
    fflush(process.to);
    std::string line;
    for (int c; (c = fgetc(process.from)) != EOF && c != '\n';) line += static_cast<char>(c);
    const auto answer = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (answer.is_object()) return answer;
    ADD_FAILURE() << "Python wrote: \"" << line << '"';
    return {{"error", "no answer"}};
  }

  const int id_;
  int dropped_ = 0;
};

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_UPDATE_PYTHON_PUBLISHER_H_

// A plan that can be followed, to be changed by a test and written to a file.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace tensorwire {

/// Two ranks, of which 1 calls 0.
inline nlohmann::json any_plan() {
  return nlohmann::json::parse(R"({
    "rendezvous": "127.0.0.1:1", "options": {}, "serialized": false,
    "ranks": [{"serves": true, "host": "127.0.0.1", "port": 50001, "calls": [], "script": 0, "cores": []},
              {"serves": false, "host": "127.0.0.1", "port": 0, "calls": [0], "script": 0, "cores": []}],
    "points": [{"index": 0, "payloads": [[10, 20], [5]], "answers": [], "messages": [], "scripts": [],
                "collective": null}],
    "fill": "random", "seed": 1, "reply": "echo", "outstanding": 1, "threads": 1, "arrivals": null,
    "warmup_ns": 0, "check": true, "duration_ns": 1000000, "max_calls": 0, "timeout_ns": 1000000000, "spin": false,
    "tuned_malloc": false, "congestion": null})");
}

/// A file of this text for as long as it lives.
class PlanFile {
 public:
  explicit PlanFile(const std::string& text)
      : path_(std::filesystem::temp_directory_path() / ("tensorwire-plan-" + std::to_string(getpid()) + ".json")) {
    std::ofstream(path_) << text;
  }
  PlanFile(const PlanFile&) = delete;
  PlanFile& operator=(const PlanFile&) = delete;
  ~PlanFile() { std::filesystem::remove(path_); }

  std::string path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace tensorwire

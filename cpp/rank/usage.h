// What a stretch of work cost: CPU time, memory, context switches, and the bytes the interface moved meanwhile.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/clock.h"

namespace tensorwire {

/// Counters of a network interface; on loopback every packet is counted once as sent and once as received.
struct Wire {
  std::uint64_t tx_bytes = 0;
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_packets = 0;
  std::uint64_t rx_packets = 0;
};

/// Meters one stretch of this process's life.
class Meter {
 public:
  explicit Meter(std::optional<std::string> interface) : interface_(std::move(interface)) {}

  void start();

  /// What was used since `start`: {usage: {...}, wire: {...}, or null where no counters can be read}.
  nlohmann::json stop() const;

 private:
  struct Reading {
    Nanoseconds at = 0;
    Nanoseconds user = 0;
    Nanoseconds system = 0;
    std::int64_t voluntary = 0;
    std::int64_t involuntary = 0;
    std::optional<Wire> wire;
  };
  Reading read() const;

  std::optional<std::string> interface_;
  Reading begin_;
};

}  // namespace tensorwire

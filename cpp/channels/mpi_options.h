// The options of the `mpi` channel, and how its waits go on between two looks.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "channels/coalescing.h"
#include "core/channel.h"
#include "core/clock.h"

namespace tensorwire::mpi {

/// The same on all ranks.
struct Options {
  /// Throws ChannelError naming the option and what is allowed.
  explicit Options(const nlohmann::json& given);

  Settings settings() const;

  std::string transport;
  Strategy strategy;
  std::uint64_t coalesce_below;  // bytes of a buffer that is sent on its own
  bool one_sided;
  bool persistent;
};

/// MPI has nothing to block on: it must be looked at. Whoever is not to poll all the time looks, lets others run, and
/// after a while sleeps between two looks, ever longer.
class Backoff {
 public:
  /// Something came.
  void reset() { since_ = 0; }

  /// How long to sleep now, after nothing came; 0: only let others run.
  Nanoseconds next() {
    const Nanoseconds now = clock_.now();
    if (since_ == 0) since_ = now;
    const Nanoseconds idle = now - since_;
    if (idle < kYielding) return 0;
    return idle / 4 < kLongest ? idle / 4 : kLongest;
  }

  static constexpr Nanoseconds kYielding = 50'000;
  static constexpr Nanoseconds kLongest = 1_ms;

 private:
  SteadyClock clock_;
  Nanoseconds since_ = 0;
};

}  // namespace tensorwire::mpi

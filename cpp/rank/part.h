// One rank's part in a collective operation, and how many calls of it all ranks make.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "core/collective.h"
#include "core/loop.h"
#include "rank/plan.h"

namespace tensorwire {

/// The calls that so much time has room for, where `calls` took `took` on the slowest rank: at least one, at most
/// `most` (0: no limit). Ranks that agree on `took` agree on this, so that none of them waits for a call that another
/// does not make.
constexpr std::uint64_t calls_within(Nanoseconds duration, std::uint64_t calls, Nanoseconds took, std::uint64_t most) {
  const double fits = static_cast<double>(duration) / static_cast<double>(took) * static_cast<double>(calls);
  const auto count = static_cast<std::uint64_t>(std::clamp(fits, 1.0, 1e15));
  return most == 0 ? count : std::min(count, most);
}

/// How long a pass must be at least for the calls of `duration` to be counted from it.
constexpr Nanoseconds telling(Nanoseconds duration) { return std::min<Nanoseconds>(duration / 20, 500'000'000); }

/// The buffers and the caller of one point.
class Part {
 public:
  /// Throws std::bad_alloc, and what the channel throws.
  Part(const Plan& plan, std::uint32_t rank, const Point& point, Channel& channel);

  /// One call, right after the part was made. Throws WrongBytes when any element is not as it must be.
  void check();

  /// So many calls, about as long as `expected`. Throws what the loop throws.
  Recording run(std::uint64_t calls, Nanoseconds expected);

  std::uint64_t checked() const { return checked_; }  // elements that were compared

 private:
  Elements brought_;
  Elements wanted_;
  Payload payload_;
  Payload answer_;
  Load load_;
  std::unique_ptr<Caller> caller_;
  std::uint64_t checked_ = 0;
};

}  // namespace tensorwire

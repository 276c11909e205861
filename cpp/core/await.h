// How the loops wait, and what they make of what comes.
#pragma once

#include <limits>
#include <span>
#include <string>

#include "core/errors.h"
#include "core/traffic.h"

namespace tensorwire {

/// `at + by`, or the end of time: a duration without limit is a fair request.
constexpr Nanoseconds later(Nanoseconds at, Nanoseconds by) {
  constexpr Nanoseconds never = std::numeric_limits<Nanoseconds>::max();
  return by > never - at ? never : at + by;
}

/// Channels may round a timeout up to their timer's tick, so the last stretch is polled.
constexpr Nanoseconds kCoarse = 2'000'000;

/// How long a wait for replies may be.
struct Patience {
  Nanoseconds timeout;  // the longest for any reply
  bool spin;            // poll in place of blocking
};

/// Completions of `caller`, or 0 once `within` passed; TransferTimeout where that is all the patience there is.
template <class Clock>
std::size_t await(Caller& caller, std::span<Completion> done, Nanoseconds within, const Patience& patience,
                  Clock& clock) {
  if (!patience.spin) {
    if (const std::size_t finished = caller.wait(done, within); finished > 0) return finished;
  } else {
    const Nanoseconds deadline = later(clock.now(), within);
    do {
      for (int spins = 0; spins < 64; ++spins) {
        if (const std::size_t finished = caller.wait(done, 0); finished > 0) return finished;
      }
    } while (clock.now() < deadline);
  }
  if (within < patience.timeout) return 0;
  throw TransferTimeout("no reply within " + std::to_string(static_cast<double>(patience.timeout) / 1e9) + " s");
}

/// Throws WrongBytes when a reply is not as long as it must be.
inline void check_length(const Traffic& traffic, const Message& message, std::uint64_t received) {
  const std::uint64_t expected = traffic.expected(message);
  if (received == expected) return;
  const bool recorded = message.answer != Message::kNone;
  throw WrongBytes((recorded ? "a call asked for an answer of " : "a call carried ") + std::to_string(expected) +
                   " B and " + std::to_string(received) + (recorded ? " B came back" : " B arrived"));
}

}  // namespace tensorwire

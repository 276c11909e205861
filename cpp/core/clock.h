// The clocks: a steady one that ticks, and a manual one that tests turn by hand.
#pragma once

#include <time.h>

#include <cstdint>

namespace tensorwire {

using Nanoseconds = std::int64_t;

constexpr Nanoseconds operator""_s(unsigned long long seconds) {
  return static_cast<Nanoseconds>(seconds) * 1'000'000'000;
}
constexpr Nanoseconds operator""_ms(unsigned long long milliseconds) {
  return static_cast<Nanoseconds>(milliseconds) * 1'000'000;
}

/// CLOCK_MONOTONIC: one origin for all processes of a host, never set back.
class SteadyClock {
 public:
  Nanoseconds now() const {
    timespec read{};
    clock_gettime(CLOCK_MONOTONIC, &read);
    return read.tv_sec * 1_s + read.tv_nsec;
  }

  /// Returns at `due`: sleeps while it is far, spins when it is near, because a timer
  /// may wake tens of microseconds late.
  void idle_until(Nanoseconds due) const {
    constexpr Nanoseconds near = 200'000;
    const auto far = [&] { return due - now() - near; };
    for (Nanoseconds sleep = far(); sleep > 0; sleep = far()) {  // again where a signal woke it
      timespec pause{.tv_sec = sleep / 1_s, .tv_nsec = sleep % 1_s};
      nanosleep(&pause, nullptr);
    }
    while (now() < due) {
    }
  }
};

/// Stands still until it is told to move.
class ManualClock {
 public:
  Nanoseconds now() const { return now_; }
  void advance(Nanoseconds by) { now_ += by; }
  void idle_until(Nanoseconds due) {
    if (due > now_) now_ = due;
  }

 private:
  Nanoseconds now_ = 0;
};

}  // namespace tensorwire

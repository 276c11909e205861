// What a loop saw: facts, written without allocating between two reads of the clock.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/histogram.h"

namespace tensorwire {

/// One slice of the run, so that a stall is seen.
struct Interval {
  std::uint64_t calls = 0;
  std::uint64_t bytes = 0;
  Nanoseconds max_ns = 0;
};

/// The calls of one slot.
struct SlotCount {
  std::uint64_t calls = 0;
  Nanoseconds latency_ns = 0;  // summed
};

/// The payload bytes of a call, or of several.
struct Moved {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;  // what came back; an acknowledgement brings none

  Moved& operator+=(const Moved& more) {
    sent += more.sent;
    received += more.received;
    return *this;
  }
};

/// All memory is taken when it is made; `complete` only counts.
class Recording {
 public:
  static constexpr std::int64_t kIntervals = 100;  // the last one runs to the last reply

  Recording(std::size_t slots, Nanoseconds duration)
      : slots_(slots),
        series_(kIntervals),
        interval_(std::max<Nanoseconds>(1, duration / kIntervals + (duration % kIntervals != 0))) {}

  void begin(Nanoseconds at) { begin_ = end_ = at; }

  /// A call that was started (or due) at `from` came back at `at`.
  void complete(std::uint32_t slot, const Moved& moved, Nanoseconds from, Nanoseconds at) {
    count(slot, at - from);
    finish(moved, at - from, at);
  }

  /// One call of a slot, where what is measured is more than a call.
  void count(std::uint32_t slot, Nanoseconds latency) {
    slots_[slot].calls += 1;
    slots_[slot].latency_ns += latency;
  }

  /// What is measured took `latency`, and was over at `at`.
  void finish(const Moved& moved, Nanoseconds latency, Nanoseconds at) {
    latency_.record(latency);
    Interval& interval = series_[static_cast<std::size_t>(std::min((at - begin_) / interval_, kIntervals - 1))];
    interval.calls += 1;
    interval.bytes += moved.sent;
    interval.max_ns = std::max(interval.max_ns, latency);
    moved_ += moved;
    end_ = at;
  }

  void miss(std::uint64_t calls) { missed_ += calls; }

  const Histogram& latency() const { return latency_; }
  const std::vector<SlotCount>& slots() const { return slots_; }
  const std::vector<Interval>& series() const { return series_; }
  Nanoseconds interval() const { return interval_; }
  Nanoseconds begin() const { return begin_; }
  Nanoseconds elapsed() const { return end_ - begin_; }
  std::uint64_t calls() const { return latency_.count(); }  // or steps, where these are measured
  const Moved& moved() const { return moved_; }             // in the completed calls
  std::uint64_t missed() const { return missed_; }          // calls that were due and never started (open loop)

 private:
  Histogram latency_;
  std::vector<SlotCount> slots_;
  std::vector<Interval> series_;
  Nanoseconds interval_;
  Nanoseconds begin_ = 0;
  Nanoseconds end_ = 0;
  Moved moved_;
  std::uint64_t missed_ = 0;
};

}  // namespace tensorwire

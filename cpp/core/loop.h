// The timing loops: one for each way of offering load, shared by all channels. Nothing here
// allocates, locks or logs between two reads of the clock.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "core/channel.h"
#include "core/errors.h"
#include "core/recording.h"

namespace tensorwire {

/// When the next call of an open loop is due.
struct Arrivals {
  double rate;           // calls per second of this loop, over all its slots
  bool poisson = false;  // exponential gaps in place of constant ones
  std::uint64_t seed = 0;
};

/// What a loop is asked to offer. Closed (a slot calls again when its reply is in) unless `arrivals` is set.
struct Load {
  std::uint32_t slots = 1;  // calls in flight at most; one or more
  Reply reply = Reply::echo;
  Nanoseconds duration = 1_s;   // no call starts later than this after the first
  std::uint64_t max_calls = 0;  // stop after so many calls; 0: no limit
  Nanoseconds timeout = 30_s;   // the longest wait for any reply
  bool spin = false;            // poll in place of blocking
  std::optional<Arrivals> arrivals = std::nullopt;
};

/// Runs one caller under one load. Every call that starts is waited for and counted, so that a call
/// which straddles the end is not forgotten; the time runs to the last reply.
template <class Clock>
class Loop {
 public:
  Loop(Caller& caller, std::span<const Payload> payloads, const Load& load, Clock& clock)
      : caller_(caller),
        payloads_(payloads),
        load_(load),
        clock_(clock),
        started_(load.slots),
        carried_(load.slots),
        free_(load.slots),
        done_(load.slots),
        random_(load.arrivals ? load.arrivals->seed : 0),
        recording_(load.slots, load.duration) {
    std::iota(free_.begin(), free_.end(), 0u);
    const auto count = static_cast<std::uint32_t>(payloads.size());
    for (std::uint32_t slot = 0; slot < load.slots; ++slot) carried_[slot] = (slot + count - 1) % count;
  }

  /// Throws TransferTimeout when no reply comes for `load.timeout`, WrongBytes when one is short,
  /// and what the caller throws.
  Recording run() {
    begin_ = clock_.now();
    end_ = later(begin_, load_.duration);
    recording_.begin(begin_);
    load_.arrivals ? open() : closed();
    return std::move(recording_);
  }

 private:
  /// The clock is read for every start: a call that takes long to start must not put the next one past the end.
  void closed() {
    start(0, begin_);
    for (std::uint32_t slot = 1; slot < load_.slots; ++slot) call_again(slot);
    while (in_flight() > 0) {
      const std::size_t finished = wait(load_.timeout);
      const Nanoseconds now = clock_.now();
      for (std::size_t i = 0; i < finished; ++i) complete(done_[i], now);
      for (std::size_t i = 0; i < finished; ++i) call_again(done_[i].slot);
    }
  }

  void call_again(std::uint32_t slot) {
    if (const Nanoseconds now = clock_.now(); now < end_ && !enough()) start(slot, now);
  }

  /// Latency counts from when a call was due, not from when a slot was free to start it: the wait in
  /// front of a slow server is part of what a user sees (coordinated omission).
  void open() {
    Nanoseconds due = begin_;
    while (due < end_ && clock_.now() < end_ && !enough()) {
      if (in_flight() == load_.slots) {
        collect(load_.timeout);
      } else if (const Nanoseconds early = due - clock_.now(); early <= 0) {
        start(free_[calls_ % load_.slots], due);
        due = later(due, gap());
        collect(0);
      } else if (in_flight() == 0) {
        clock_.idle_until(due);
      } else {
        collect(early > kCoarse ? std::min(early - kCoarse, load_.timeout) : 0);
      }
    }
    while (in_flight() > 0) collect(load_.timeout);
    // Only now: counting takes time, and replies must not wait for it.
    for (; due < end_ && !enough(); due = later(due, gap())) recording_.miss(1);
  }

  /// Channels may round a timeout up to their timer's tick, so the last stretch is polled.
  static constexpr Nanoseconds kCoarse = 2'000'000;

  Nanoseconds gap() {
    double ns = 1e9 / load_.arrivals->rate;
    if (load_.arrivals->poisson) {
      const double uniform = (static_cast<double>(random_() >> 11) + 0.5) / 9007199254740992.0;  // (0, 1)
      ns *= -std::log(uniform);
    }
    return std::llround(std::clamp(ns, 1.0, 1e18));
  }

  /// `at + by`, or the end of time: a duration without limit is a fair request.
  static constexpr Nanoseconds later(Nanoseconds at, Nanoseconds by) {
    constexpr Nanoseconds never = std::numeric_limits<Nanoseconds>::max();
    return by > never - at ? never : at + by;
  }

  bool enough() const { return load_.max_calls != 0 && calls_ + recording_.missed() >= load_.max_calls; }
  std::uint64_t in_flight() const { return calls_ - recording_.calls(); }

  /// Every slot, and so every peer, goes through all the payloads; slot s begins with the s-th.
  void start(std::uint32_t slot, Nanoseconds from) {
    std::uint32_t& payload = carried_[slot];
    payload = payload + 1 < payloads_.size() ? payload + 1 : 0;
    ++calls_;
    started_[slot] = from;
    caller_.call({slot, payload, load_.reply});
  }

  void complete(const Completion& completion, Nanoseconds now) {
    const std::uint64_t sent = payloads_[carried_[completion.slot]].size;
    if (completion.received != sent) {
      throw WrongBytes("a call carried " + std::to_string(sent) + " B and " + std::to_string(completion.received) +
                       " B arrived");
    }
    recording_.complete(completion.slot, sent, started_[completion.slot], now);
  }

  void collect(Nanoseconds timeout) {
    const std::size_t finished = timeout == 0 ? caller_.wait(done_, 0) : wait(timeout);
    const Nanoseconds now = clock_.now();
    for (std::size_t i = 0; i < finished; ++i) {
      complete(done_[i], now);
      free_[(recording_.calls() - 1) % load_.slots] = done_[i].slot;
    }
  }

  /// At least one completion, or TransferTimeout once `load.timeout` passed without any.
  std::size_t wait(Nanoseconds timeout) {
    if (!load_.spin) {
      if (const std::size_t finished = caller_.wait(done_, timeout); finished > 0) return finished;
    } else {
      const Nanoseconds deadline = later(clock_.now(), timeout);
      do {
        for (int spins = 0; spins < 64; ++spins) {
          if (const std::size_t finished = caller_.wait(done_, 0); finished > 0) return finished;
        }
      } while (clock_.now() < deadline);
    }
    if (timeout < load_.timeout) return 0;
    throw TransferTimeout("no reply within " + std::to_string(static_cast<double>(load_.timeout) / 1e9) + " s");
  }

  Caller& caller_;
  std::span<const Payload> payloads_;
  const Load load_;
  Clock& clock_;
  std::vector<Nanoseconds> started_;
  std::vector<std::uint32_t> carried_;
  // A ring: call n takes the place that the (n - slots)th reply left at n % slots. The slot that is free for longest
  // calls next, so that every peer gets its share of a light load.
  std::vector<std::uint32_t> free_;
  std::vector<Completion> done_;
  std::mt19937_64 random_;
  Recording recording_;
  Nanoseconds begin_ = 0;
  Nanoseconds end_ = 0;
  std::uint64_t calls_ = 0;
};

}  // namespace tensorwire

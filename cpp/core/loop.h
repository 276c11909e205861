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
#include <vector>

#include "core/await.h"
#include "core/recording.h"
#include "core/traffic.h"

namespace tensorwire {

/// When the next call of an open loop is due.
struct Arrivals {
  double rate = 0;       // calls per second of this loop, over all its slots
  bool poisson = false;  // exponential gaps in place of constant ones
  std::uint64_t seed = 0;
  std::vector<Nanoseconds> gaps = {};  // in place of all that: the recorded gap after each call, in turn
};

/// What a loop is asked to offer. Closed (a slot calls again when its reply is in) unless `arrivals` is set.
struct Load {
  std::uint32_t slots = 1;  // calls in flight at most; one or more
  Reply reply = Reply::echo;
  Nanoseconds duration = 1_s;   // no call starts later than this after the first
  std::uint64_t max_calls = 0;  // stop after so many calls; 0: no limit
  bool counted = false;         // make all of `max_calls`, however long they take: others count on them
  Nanoseconds timeout = 30_s;   // the longest wait for any reply
  bool spin = false;            // poll in place of blocking
  std::optional<Arrivals> arrivals = std::nullopt;
};

/// Runs one caller under one load. Every call that starts is waited for and counted, so that a call
/// which straddles the end is not forgotten; the time runs to the last reply.
template <class Clock>
class Loop {
 public:
  Loop(Caller& caller, const Traffic& traffic, const Load& load, Clock& clock)
      : caller_(caller),
        traffic_(traffic),
        load_(load),
        clock_(clock),
        started_(load.slots),
        carried_(load.slots),
        free_(load.slots),
        done_(load.slots),
        random_(load.arrivals ? load.arrivals->seed : 0),
        recording_(load.slots, load.duration) {
    std::iota(free_.begin(), free_.end(), 0u);
    const auto count = static_cast<std::uint32_t>(traffic.payloads().size());
    for (std::uint32_t slot = 0; slot < load.slots; ++slot) carried_[slot].payload = (slot + count - 1) % count;
  }

  /// Throws TransferTimeout when no reply comes for `load.timeout`, WrongBytes when one is short,
  /// and what the caller throws.
  Recording run() {
    begin_ = clock_.now();
    end_ = load_.counted ? kEver : later(begin_, load_.duration);
    recording_.begin(begin_);
    load_.arrivals ? open() : closed();
    return std::move(recording_);
  }

 private:
  static constexpr Nanoseconds kEver = std::numeric_limits<Nanoseconds>::max();

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

  Nanoseconds gap() {
    if (const auto& gaps = load_.arrivals->gaps; !gaps.empty()) {
      const Nanoseconds recorded = gaps[next_gap_];
      next_gap_ = next_gap_ + 1 < gaps.size() ? next_gap_ + 1 : 0;
      return recorded;
    }
    double ns = 1e9 / load_.arrivals->rate;
    if (load_.arrivals->poisson) {
      const double uniform = (static_cast<double>(random_() >> 11) + 0.5) / 9007199254740992.0;  // (0, 1)
      ns *= -std::log(uniform);
    }
    return std::llround(std::clamp(ns, 1.0, 1e18));
  }

  bool enough() const { return load_.max_calls != 0 && calls_ + recording_.missed() >= load_.max_calls; }
  std::uint64_t in_flight() const { return calls_ - recording_.calls(); }

  void start(std::uint32_t slot, Nanoseconds from) {
    choose(slot);
    ++calls_;
    started_[slot] = from;
    caller_.call(Traffic::call(slot, carried_[slot], load_.reply));
  }

  /// Messages have an order, which is that of the calls. Of payloads every slot, and so every peer, goes through all;
  /// slot s begins with the s-th.
  void choose(std::uint32_t slot) {
    if (const std::span<const Message> messages = traffic_.messages(); !messages.empty()) {
      carried_[slot] = messages[next_message_];
      next_message_ = next_message_ + 1 < messages.size() ? next_message_ + 1 : 0;
    } else {
      std::uint32_t& payload = carried_[slot].payload;
      payload = payload + 1 < traffic_.payloads().size() ? payload + 1 : 0;
    }
  }

  void complete(const Completion& completion, Nanoseconds now) {
    const Message& message = carried_[completion.slot];
    check_length(traffic_, message, completion.received);
    const Moved moved{traffic_.sent(message), traffic_.brought(message, load_.reply)};
    recording_.complete(completion.slot, moved, started_[completion.slot], now);
  }

  void collect(Nanoseconds timeout) {
    const std::size_t finished = timeout == 0 ? caller_.wait(done_, 0) : wait(timeout);
    const Nanoseconds now = clock_.now();
    for (std::size_t i = 0; i < finished; ++i) {
      complete(done_[i], now);
      free_[(recording_.calls() - 1) % load_.slots] = done_[i].slot;
    }
  }

  std::size_t wait(Nanoseconds within) { return await(caller_, done_, within, {load_.timeout, load_.spin}, clock_); }

  Caller& caller_;
  const Traffic traffic_;
  const Load load_;
  Clock& clock_;
  std::vector<Nanoseconds> started_;
  std::vector<Message> carried_;
  // A ring: call n takes the place that the (n - slots)th reply left at n % slots. The slot that is free for longest
  // calls next, so that every peer gets its share of a light load.
  std::vector<std::uint32_t> free_;
  std::vector<Completion> done_;
  std::mt19937_64 random_;
  Recording recording_;
  Nanoseconds begin_ = 0;
  Nanoseconds end_ = 0;
  std::uint64_t calls_ = 0;
  std::size_t next_message_ = 0;
  std::size_t next_gap_ = 0;
};

}  // namespace tensorwire

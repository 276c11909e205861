// The loop over training steps: what is measured is not a call but a step, all calls that one worker makes in it.
// Nothing here allocates, locks or logs between two reads of the clock.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>
#include <vector>

#include "core/await.h"
#include "core/loop.h"
#include "core/recording.h"
#include "core/traffic.h"

namespace tensorwire {

/// One call of a step: to which of the peers, what it carries and asks for, and when it is due after the step began.
struct StepCall {
  std::uint32_t peer = 0;
  Message message;
  Nanoseconds due = 0;
};

/// What a worker does in one step: phases, each of which begins when all calls of the one before are back.
struct Step {
  Nanoseconds begin = 0;  // after the first one of the round, at the earliest
  std::vector<std::vector<StepCall>> phases;
};

/// The steps of a worker, in turn, again and again; a round begins no sooner than `period` after the last one did.
struct Script {
  std::vector<Step> steps;
  Nanoseconds period = 0;
};

/// Runs one caller through a script. Slot s talks to peer s % `peers`; the calls to each peer begin in their order. The
/// latency of a step runs from its begin to its last reply, without the time in which nothing was in flight because
/// nothing was due yet. Every step that begins is finished and counted.
template <class Clock>
class StepLoop {
 public:
  /// `load` has a slot or more for each peer.
  StepLoop(Caller& caller, const Traffic& traffic, const Script& script, std::uint32_t peers, const Load& load,
           Clock& clock)
      : caller_(caller),
        traffic_(traffic),
        script_(script),
        load_(load),
        clock_(clock),
        next_(peers),
        free_(peers),
        flying_(load.slots),
        done_(load.slots),
        recording_(load.slots, load.duration) {
    for (std::uint32_t slot = load.slots; slot-- > 0;) free_[slot % peers].push_back(slot);
    for (const Step& step : script.steps) {
      std::vector<Phase>& phases = steps_.emplace_back();
      for (const auto& calls : step.phases) phases.push_back(by_peer(calls, peers));
    }
  }

  /// Throws TransferTimeout when no reply comes for `load.timeout`, WrongBytes when one has another length than its
  /// answer, and what the caller throws.
  Recording run() {
    const Nanoseconds begin = clock_.now();
    const Nanoseconds end = later(begin, load_.duration);
    recording_.begin(begin);
    Nanoseconds round = begin;
    for (std::size_t step = 0;; step = step + 1 < steps_.size() ? step + 1 : 0) {
      if (step == 0 && recording_.calls() > 0) round = later(round, script_.period);
      const Nanoseconds due = later(round, script_.steps[step].begin);
      const bool first = recording_.calls() == 0;
      if (!first && (enough() || std::max(due, clock_.now()) >= end)) break;
      if (due > clock_.now()) clock_.idle_until(due);
      take(steps_[step]);
    }
    return std::move(recording_);
  }

 private:
  /// The calls of a phase, those to one peer together: those to peer p are from `first[p]` up to `first[p + 1]`.
  struct Phase {
    std::vector<StepCall> calls;
    std::vector<std::size_t> first;
  };

  struct Flight {
    Message message;
    Nanoseconds from = 0;
  };

  static Phase by_peer(std::span<const StepCall> calls, std::uint32_t peers) {
    Phase phase;
    for (std::uint32_t peer = 0; peer < peers; ++peer) {
      phase.first.push_back(phase.calls.size());
      std::copy_if(calls.begin(), calls.end(), std::back_inserter(phase.calls),
                   [&](const StepCall& call) { return call.peer == peer; });
    }
    phase.first.push_back(phase.calls.size());
    return phase;
  }

  bool enough() const { return load_.max_calls != 0 && recording_.calls() >= load_.max_calls; }

  void take(const std::vector<Phase>& phases) {
    begin_ = last_ = clock_.now();
    idle_ = 0;
    moved_ = {};
    for (const Phase& phase : phases) run(phase);
    recording_.finish(moved_, last_ - begin_ - idle_, last_);
  }

  void run(const Phase& phase) {
    std::copy_n(phase.first.begin(), next_.size(), next_.begin());
    for (std::size_t left = phase.calls.size(); left > 0;) {
      const Nanoseconds due = start_ready(phase);
      if (in_flight_ > 0) {
        left -= collect(due);
      } else if (const Nanoseconds now = clock_.now(); due > now) {
        clock_.idle_until(due);
        idle_ += due - now;
      }
    }
  }

  /// Starts all calls that are due and have a slot. Returns when the next one that has a slot is due, or kNothing.
  Nanoseconds start_ready(const Phase& phase) {
    Nanoseconds soonest = kNothing;
    for (std::size_t peer = 0; peer < next_.size(); ++peer) {
      for (; next_[peer] < phase.first[peer + 1] && !free_[peer].empty(); ++next_[peer]) {
        const StepCall& call = phase.calls[next_[peer]];
        const Nanoseconds now = clock_.now();
        if (const Nanoseconds due = later(begin_, call.due); due > now) {
          soonest = std::min(soonest, due);
          break;
        }
        start(free_[peer].back(), call.message, now);
        free_[peer].pop_back();
      }
    }
    return soonest;
  }

  void start(std::uint32_t slot, const Message& message, Nanoseconds now) {
    flying_[slot] = {message, now};
    ++in_flight_;
    caller_.call(Traffic::call(slot, message, load_.reply));
  }

  /// Takes replies in, and waits for some no longer than until `due`. Returns how many came.
  std::size_t collect(Nanoseconds due) {
    const std::size_t finished = wait(due);
    if (finished == 0) return 0;
    last_ = clock_.now();
    for (const Completion& completion : std::span(done_).first(finished)) {
      const Flight& flight = flying_[completion.slot];
      check_length(traffic_, flight.message, completion.received);
      moved_ += {traffic_.sent(flight.message), traffic_.brought(flight.message, load_.reply)};
      recording_.count(completion.slot, last_ - flight.from);
      free_[completion.slot % free_.size()].push_back(completion.slot);
    }
    in_flight_ -= finished;
    return finished;
  }

  std::size_t wait(Nanoseconds due) {
    Nanoseconds within = load_.timeout;
    if (due != kNothing) {
      const Nanoseconds early = due - clock_.now();
      within = early > kCoarse ? std::min(early - kCoarse, load_.timeout) : 0;
    }
    if (within == 0) return caller_.wait(done_, 0);
    return await(caller_, done_, within, {load_.timeout, load_.spin}, clock_);
  }

  static constexpr Nanoseconds kNothing = std::numeric_limits<Nanoseconds>::max();

  Caller& caller_;
  const Traffic traffic_;
  const Script& script_;
  const Load load_;
  Clock& clock_;
  std::vector<std::vector<Phase>> steps_;
  std::vector<std::size_t> next_;                 // by peer: the next call of the phase
  std::vector<std::vector<std::uint32_t>> free_;  // by peer
  std::vector<Flight> flying_;                    // by slot
  std::vector<Completion> done_;
  Recording recording_;
  Nanoseconds begin_ = 0;  // of the step
  Nanoseconds last_ = 0;   // its last reply so far
  Nanoseconds idle_ = 0;   // so long nothing was in flight
  Moved moved_;
  std::size_t in_flight_ = 0;
};

}  // namespace tensorwire

// A server that does as it is told on a clock that only it moves.
#pragma once

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include "core/steps.h"

namespace tensorwire {

constexpr Nanoseconds operator""_us(unsigned long long microseconds) {
  return static_cast<Nanoseconds>(microseconds) * 1'000;
}
constexpr Nanoseconds kNever = std::numeric_limits<Nanoseconds>::max();

/// A server whose calls take as long as the script says, on a clock that only it moves: to the next reply
/// where the loop waits, by 1 us where it looks.
class Scripted final : public Caller {
 public:
  struct Started {
    Call call;
    Nanoseconds at;
  };
  using Script = std::function<Nanoseconds(const Started&, std::size_t n)>;

  Scripted(ManualClock& clock, Script takes) : clock_(clock), takes_(std::move(takes)) {}

  Nanoseconds starting = 0;      // what it takes to start a call
  std::int64_t lost = 0;         // bytes that every reply lacks
  std::vector<Started> started;  // every call so far
  std::size_t most = 0;          // calls in flight at the same time
  std::size_t looks = 0;         // waits without a timeout

  void prepare(std::span<const Payload> payloads, std::span<const Payload> answers) override {
    payloads_ = payloads;
    answers_ = answers;
  }

  void call(Call call) override {
    const Started now{call, clock_.now()};
    const Nanoseconds takes = takes_(now, started.size());
    clock_.advance(starting);
    const Payload& brought = call.reply == Reply::recorded ? answers_[call.answer] : payloads_[call.payload];
    const auto size = static_cast<std::int64_t>(brought.size);
    const Completion completion{call.slot, static_cast<std::uint64_t>(size - lost)};
    pending_.push_back({takes == kNever ? kNever : now.at + takes, completion});
    started.push_back(now);
    most = std::max(most, pending_.size());
  }

  std::size_t wait(std::span<Completion> done, Nanoseconds timeout) override {
    if (timeout == 0) ++looks;
    Nanoseconds first = kNever;
    for (const auto& [ready, _] : pending_) first = std::min(first, ready);
    if (first > clock_.now() + timeout) {
      clock_.advance(timeout == 0 ? 1_us : timeout);
      return 0;
    }
    clock_.idle_until(first);
    std::size_t n = 0;
    std::erase_if(pending_, [&](const Pending& one) {
      if (one.ready > clock_.now() || n == done.size()) return false;
      done[n++] = one.completion;
      return true;
    });
    return n;
  }

  void reply(std::uint32_t, const Sink&) override {}

 private:
  struct Pending {
    Nanoseconds ready;
    Completion completion;
  };
  ManualClock& clock_;
  Script takes_;
  std::span<const Payload> payloads_;
  std::span<const Payload> answers_;
  std::vector<Pending> pending_;
};

inline Scripted::Script always(Nanoseconds takes) {
  return [takes](const Scripted::Started&, std::size_t) { return takes; };
}

/// One server, a scripted loop, and what came out.
struct Bench {
  using Sizes = std::vector<std::vector<std::uint64_t>>;

  ManualClock clock;
  Scripted server;
  PayloadSet payloads;
  PayloadSet answers;
  std::vector<Message> messages;

  explicit Bench(Scripted::Script takes, const Sizes& sizes = {{100}}, const Sizes& of_answers = {})
      : server(clock, std::move(takes)), payloads(sizes, Fill::zeros, 1), answers(of_answers, Fill::zeros, 1) {
    clock.advance(5_s);  // no loop may count on a clock that begins at zero
    server.prepare(payloads.payloads(), answers.payloads());
  }

  Traffic traffic() const { return {payloads.payloads(), answers.payloads(), messages}; }

  Recording run(const Load& load) { return Loop<ManualClock>(server, traffic(), load, clock).run(); }

  Recording run(const Script& script, std::uint32_t peers, const Load& load) {
    return StepLoop<ManualClock>(server, traffic(), script, peers, load, clock).run();
  }
};

}  // namespace tensorwire

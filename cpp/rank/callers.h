// The calling side of a rank: its threads, each with a caller of its own, run as one.
#pragma once

#include <memory>
#include <vector>

#include "core/recording.h"
#include "rank/plan.h"

namespace tensorwire {

/// The calls in flight of one rank: `outstanding` to each peer, dealt out to the threads.
class Callers {
 public:
  Callers(const Plan& plan, std::uint32_t rank, Channel& channel);

  bool empty() const { return threads_.empty(); }
  void prepare(std::span<const Payload> payloads);
  void check(std::span<const Payload> payloads);

  /// Runs all threads for `duration` and waits for them; the first error of any is thrown.
  std::vector<Recording> run(std::span<const Payload> payloads, Nanoseconds duration, std::uint64_t max_calls);

  Serialization spent() const;

  /// The peers that the slots of thread `thread` talk to.
  const std::vector<std::uint32_t>& peers(std::size_t thread) const { return threads_[thread].peers; }

 private:
  struct Thread {
    std::vector<std::uint32_t> peers;  // by slot
    std::unique_ptr<Caller> caller;
    Load load;
  };
  std::vector<Thread> threads_;
  Nanoseconds timeout_;
};

}  // namespace tensorwire

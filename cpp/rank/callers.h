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
  void prepare(const Traffic& traffic);
  void check(const Traffic& traffic);

  /// Runs all threads for `duration` and waits for them; the first error of any is thrown.
  std::vector<Recording> run(const Traffic& traffic, Nanoseconds duration, std::uint64_t max_calls);

  /// The same of the steps of a script, which the one thread there is goes through.
  std::vector<Recording> run(const Traffic& traffic, const Script& script, Nanoseconds duration, std::uint64_t most);

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
  std::uint32_t peers_;
  Nanoseconds timeout_;
};

}  // namespace tensorwire

#include "rank/callers.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <thread>

#include "core/check.h"

namespace tensorwire {

Callers::Callers(const Plan& plan, std::uint32_t rank, Channel& channel)
    : peers_(static_cast<std::uint32_t>(plan.ranks[rank].calls.size())), timeout_(plan.load.timeout) {
  const std::vector<std::uint32_t>& called = plan.ranks[rank].calls;
  const std::size_t slots = called.size() * plan.outstanding;
  threads_.resize(std::min<std::size_t>(plan.threads, slots));
  for (std::size_t slot = 0; slot < slots; ++slot) {
    threads_[slot % threads_.size()].peers.push_back(called[slot % called.size()]);
  }
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    Thread& thread = threads_[i];
    thread.caller = channel.caller(thread.peers);
    thread.load = plan.load;
    thread.load.slots = static_cast<std::uint32_t>(thread.peers.size());
    if (auto& arrivals = thread.load.arrivals) {
      arrivals->rate *= static_cast<double>(thread.peers.size()) / static_cast<double>(slots);
      arrivals->seed += std::uint64_t{rank} * 1'000'003 + i;  // every thread has a schedule of its own
    }
  }
}

void Callers::prepare(const Traffic& traffic) {
  for (Thread& thread : threads_) thread.caller->prepare(traffic.payloads(), traffic.answers());
}

void Callers::check(const Traffic& traffic) {
  for (Thread& thread : threads_) {
    tensorwire::check(*thread.caller, traffic.payloads(), traffic.answers(), thread.load.slots, timeout_);
  }
}

std::vector<Recording> Callers::run(const Traffic& traffic, const Script& script, Nanoseconds duration,
                                    std::uint64_t most) {
  Thread& thread = threads_.front();
  thread.load.duration = duration;
  thread.load.max_calls = most;
  SteadyClock clock;
  std::vector<Recording> recordings;
  recordings.push_back(StepLoop(*thread.caller, traffic, script, peers_, thread.load, clock).run());
  return recordings;
}

std::vector<Recording> Callers::run(const Traffic& traffic, Nanoseconds duration, std::uint64_t max_calls) {
  std::vector<std::optional<Recording>> recordings(threads_.size());
  std::vector<std::exception_ptr> errors(threads_.size());
  const auto run_one = [&](std::size_t i) {
    Thread& thread = threads_[i];
    thread.load.duration = duration;
    thread.load.max_calls = max_calls;
    SteadyClock clock;
    try {
      recordings[i] = Loop(*thread.caller, traffic, thread.load, clock).run();
    } catch (...) {
      errors[i] = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < threads_.size(); ++i) others.emplace_back(run_one, i);
    if (!threads_.empty()) run_one(0);
  }
  std::vector<Recording> finished;
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    if (errors[i]) std::rethrow_exception(errors[i]);
    finished.push_back(std::move(*recordings[i]));
  }
  return finished;
}

Serialization Callers::spent() const {
  Serialization total;
  for (const Thread& thread : threads_) {
    total.serialize += thread.caller->spent().serialize;
    total.deserialize += thread.caller->spent().deserialize;
  }
  return total;
}

}  // namespace tensorwire

// Ranks that live in one process, and every way of opening a stack: what the contract of channels is held against.
#pragma once

#include <doctest/doctest.h>

#include <barrier>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "channels/open.h"
#include "core/check.h"
#include "core/clock.h"
#include "core/errors.h"
#include "core/loop.h"

namespace tensorwire::contract {

using Sizes = std::vector<std::vector<std::uint64_t>>;

/// Ranks that are threads meet here.
class Meeting {
 public:
  explicit Meeting(std::size_t ranks) : blobs_(ranks), barrier_(static_cast<std::ptrdiff_t>(ranks)) {}

  std::vector<std::string> all_gather(std::size_t rank, std::string_view blob) {
    blobs_[rank] = blob;
    barrier_.arrive_and_wait();
    std::vector<std::string> all = blobs_;
    barrier_.arrive_and_wait();  // whoever meets again overwrites them
    return all;
  }

 private:
  std::vector<std::string> blobs_;
  std::barrier<> barrier_;
};

class Seat final : public Rendezvous {
 public:
  Seat(Meeting& meeting, std::size_t rank) : meeting_(meeting), rank_(rank) {}
  std::vector<std::string> all_gather(std::string_view blob) override { return meeting_.all_gather(rank_, blob); }

 private:
  Meeting& meeting_;
  std::size_t rank_;
};

/// Channels of one process, of which the first `serving` serve.
inline std::vector<std::unique_ptr<Channel>> open_all(std::uint32_t ranks, std::uint32_t serving, const Opening& like) {
  Meeting meeting(ranks);
  std::vector<std::future<std::unique_ptr<Channel>>> opening;
  for (std::uint32_t rank = 0; rank < ranks; ++rank) {
    opening.push_back(std::async(std::launch::async, [&meeting, rank, ranks, serving, own = like]() mutable {
      own.rank = rank;
      own.size = ranks;
      own.serves = rank < serving;
      Seat seat(meeting, rank);
      return open(own, seat);
    }));
  }
  std::vector<std::unique_ptr<Channel>> channels;
  for (auto& one : opening) channels.push_back(one.get());
  return channels;
}

inline bool moves_nothing(const Channel& channel) { return channel.settings().at("transport") == "none"; }

inline std::vector<std::uint64_t> many(std::size_t count, std::uint64_t size) { return std::vector(count, size); }

/// One byte, more buffers than one writev takes, large ones, and mixes as they occur in training.
inline const Sizes kShapes = {
    {1},
    {32},
    {65536},
    {4 << 20},
    many(2000, 7),
    many(2000, 1),
    {10, 10 << 10, 1 << 20, 10, 10 << 10, 1 << 20, 10, 10 << 10, 1 << 20, 1 << 20},
    {3, 1, 16384, 5, 65537},
};

inline PayloadSet payloads(const Sizes& sizes) { return PayloadSet(sizes, Fill::random, 1); }

constexpr Nanoseconds kLong = 60_s;

inline Recording run(Caller& caller, const PayloadSet& set, std::uint32_t slots, std::uint64_t calls, Reply reply) {
  const Load load{.slots = slots, .reply = reply, .duration = kLong, .max_calls = calls, .timeout = kLong};
  SteadyClock clock;
  return Loop(caller, set.payloads(), load, clock).run();
}

/// Every way of opening the stack that the contract holds for: the default ones, and its own alternatives, which it
/// has when its settings name them.
inline std::vector<Opening> openings() {
  std::vector<Opening> all(3);
  all[1].serialized = true;
  all[2].spin = true;
  const Settings settings = open_all(1, 0, {})[0]->settings();
  if (settings.contains("call")) {
    all.emplace_back().options = {{"call", "stream"}};
    all.emplace_back(all.back()).serialized = true;
  }
  if (settings.contains("one_sided")) {
    for (const char* strategy : {"iov", "per-buffer"}) all.emplace_back().options = {{"strategy", strategy}};
    all.emplace_back().options = {{"persistent", false}, {"coalesce_below", 20'000}};
    Opening one_sided;
    one_sided.options = {{"one_sided", true}, {"coalesce_below", 20'000}};
    try {
      open_all(1, 0, one_sided);
      all.push_back(one_sided);
    } catch (const ChannelUnavailable&) {  // Open MPI's are not for several threads
    }
  }
  if (settings.contains("api")) {
    for (const char* api : {"am", "tag"}) {
      for (const char* strategy : {"iov", "per-buffer", "coalesce"}) {
        all.emplace_back().options = {{"api", api}, {"strategy", strategy}, {"coalesce_below", 20'000}};
      }
      all.emplace_back().options = {{"api", api}, {"transport", "tcp"}};
      all.emplace_back(all.back()).spin = true;
    }
  }
  if (settings.contains("connections")) {
    all.emplace_back().options = {{"connections", 2}, {"server_queues", 2}, {"server_threads", 3}};
  }
  return all;
}

inline void over_all(const std::function<void(const Opening&)>& promise) {
  for (const Opening& opening : openings()) {
    CAPTURE(opening.serialized);
    CAPTURE(opening.spin);
    CAPTURE(opening.options.dump());
    promise(opening);
  }
}

}  // namespace tensorwire::contract

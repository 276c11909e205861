// What a rank is told to do: one plan for all ranks of a run, written by the driver as JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "channels/open.h"
#include "core/steps.h"

namespace tensorwire {

/// One row of a sweep: the payloads, and what is sent of them.
struct Point {
  std::uint32_t index = 0;
  std::vector<std::vector<std::uint64_t>> payloads;
  std::vector<std::vector<std::uint64_t>> answers;  // what replies may bring, where they were recorded
  std::vector<Message> messages;                    // in their order; none: all payloads in turn
  std::vector<Script> scripts;                      // in place of messages: what workers do, step by step
  std::optional<Collective> collective;             // in place of all that: what all ranks do together
};

/// What distinguishes one rank from another.
struct RankPlan {
  bool serves = false;
  std::string host;  // the address that is its own
  std::uint16_t port = 0;
  std::vector<std::uint32_t> calls;  // the ranks it calls
  std::uint32_t script = 0;          // which of the scripts it follows
  std::vector<int> cores;            // where it may run; empty: anywhere
};

struct Plan {
  std::string rendezvous;  // HOST:PORT of the driver
  std::vector<RankPlan> ranks;
  Opening opening;  // but for what differs by rank
  std::vector<Point> points;
  Fill fill = Fill::random;
  std::uint64_t seed = 0;
  Load load;                      // for each thread of each rank; `slots` is filled in there
  std::uint32_t outstanding = 1;  // calls in flight to each peer
  std::uint32_t threads = 1;      // calling threads of a rank
  Nanoseconds warmup = 0;
  bool check = true;  // compare the bytes before they are counted
  bool tuned_malloc = true;
  std::optional<std::string> congestion;  // TCP congestion control of every socket

  Opening opening_of(std::uint32_t rank) const;

  /// The longest that a rank waits for the others to end a stage. The driver is sooner; this ends a rank that lost it.
  Nanoseconds patience() const;
};

/// Reads a plan file. Throws std::runtime_error naming the file and what is wrong with it.
Plan read_plan(const std::string& path);

}  // namespace tensorwire

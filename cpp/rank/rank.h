// One rank's part of a run: opens the channel, then for each point prepares, checks the bytes, warms up and measures,
// in step with the others. The same for every stack, native or written in Python.
#pragma once

#include <functional>
#include <memory>

#include "rank/meeting.h"
#include "rank/plan.h"

namespace tensorwire {

/// The stack under test, and a caller that moves nothing, made of the same stuff: what a loop costs over it is the
/// loop's own cost.
struct Stack {
  std::function<std::unique_ptr<Channel>(const Opening&, Rendezvous&)> open;
  std::function<std::unique_ptr<Caller>(std::uint32_t slots)> null_caller;
};

/// Hands the driver facts, measurements and failures as JSON objects with one key. A failure of the channel ends
/// the point on every rank, not the run. Throws ChannelError when the channel cannot be opened, PeerLost when the
/// driver is gone.
void run_rank(const Plan& plan, std::uint32_t rank, Meeting& meeting, const Stack& stack);

}  // namespace tensorwire

// One rank's part of a run: opens the channel, then for each point prepares, checks the bytes, warms up and measures,
// in step with the others. The same for every stack, native or written in Python.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "channels/open.h"

namespace tensorwire {

/// The stack under test, and a caller that moves nothing, made of the same stuff: what a loop costs over it is the
/// loop's own cost.
struct Stack {
  std::function<std::unique_ptr<Channel>(const Opening&, Rendezvous&)> open;
  std::function<std::unique_ptr<Caller>(std::uint32_t slots)> null_caller;
};

/// Does what the plan file tells rank `rank`. Hands the driver facts, measurements and failures as JSON objects with
/// one key. A failure of the channel ends the point on every rank, not the run. Throws ChannelError when the channel
/// cannot be opened, PeerLost when the driver is gone, std::exception for a plan that cannot be followed here.
void run_rank(const std::string& plan_path, std::uint32_t rank, const std::string& token, const Stack& stack);

}  // namespace tensorwire

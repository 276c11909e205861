// The untimed pass: every slot echoes a payload and every payload is echoed, and the bytes are compared, before a timed
// pass counts them.
#pragma once

#include <span>

#include "core/channel.h"

namespace tensorwire {

/// Throws WrongBytes naming the first byte that differs, TransferTimeout, or what the caller throws.
void check(Caller& caller, std::span<const Payload> payloads, std::uint32_t slots, Nanoseconds timeout);

}  // namespace tensorwire

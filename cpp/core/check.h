// The untimed pass: every slot echoes a payload, every payload is echoed, and so it is with answers, and the bytes
// are compared, before a timed pass counts them.
#pragma once

#include <span>

#include "core/channel.h"

namespace tensorwire {

/// Throws WrongBytes naming the first byte that differs, TransferTimeout, or what the caller throws.
void check(Caller& caller, std::span<const Payload> payloads, std::span<const Payload> answers, std::uint32_t slots,
           Nanoseconds timeout);

/// The same of a collective operation: one call, right after the caller was prepared, and every element of what it
/// left.
void check_collective(Caller& caller, std::span<const float> wanted, Nanoseconds timeout);

}  // namespace tensorwire

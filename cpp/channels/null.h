// Moves nothing: a call is complete when it is started. What a loop costs over it is the loop's own cost.
#pragma once

#include <memory>
#include <span>

#include "core/channel.h"

namespace tensorwire {

std::unique_ptr<Caller> null_caller(std::uint32_t slots);

}  // namespace tensorwire

// How measurements are written down: JSON of whole nanoseconds and whole bytes, never rates.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "core/channel.h"
#include "rank/callers.h"

namespace tensorwire {

/// Merges what the threads of one rank saw. `callers` tells which slot talked to which peer.
nlohmann::json describe(const std::vector<Recording>& recordings, const Callers& callers);

/// The same without peers, where all ranks act together.
nlohmann::json describe(const std::vector<Recording>& recordings);

nlohmann::json describe(const Serialization& spent);

/// What was served between two readings.
nlohmann::json describe(const Served& before, const Served& after);

Serialization operator-(const Serialization& after, const Serialization& before);

}  // namespace tensorwire

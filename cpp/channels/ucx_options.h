// How UCX is set up: the channel's own options, and what UCX is told because of them.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "channels/coalescing.h"
#include "core/channel.h"

namespace tensorwire::ucx {

/// Which of UCX's interfaces moves the messages.
enum class Api { active_messages, tags };

/// The options of the `ucx` channel; the same on all ranks.
struct Options {
  /// Throws ChannelError naming the option and what is allowed.
  explicit Options(const nlohmann::json& given);

  /// Names and values of UCX's own configuration, for ranks that serve at this address. What it is not told, it takes
  /// from its UCX_ environment.
  std::vector<std::pair<std::string, std::string>> configuration(const std::string& host) const;

  /// What was asked for.
  Settings settings() const;

  std::string library;    // a path, or auto
  std::string transport;  // as UCX_TLS has it, or auto
  std::string devices;    // as UCX_NET_DEVICES has it, or auto
  Api api;
  Strategy strategy;
  std::uint64_t coalesce_below;                 // bytes of a buffer that is sent on its own
  std::optional<std::uint64_t> rndv_threshold;  // bytes; none: UCX's choice
  std::uint64_t seg_size;                       // bytes of one piece over TCP

 private:
  bool may_use_tcp() const;
};

}  // namespace tensorwire::ucx

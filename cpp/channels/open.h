// How a rank opens the one stack that was linked into it.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "core/channel.h"
#include "core/rendezvous.h"

namespace tensorwire {

/// What a channel is told when it is opened; the same on all ranks but for the first group.
struct Opening {
  std::uint32_t rank = 0;
  bool serves = false;
  std::string host = "127.0.0.1";  // its own address, or "unix:DIRECTORY" for sockets DIRECTORY/rank-N.sock
  std::uint16_t port = 0;          // where it serves; 0: any free one
  bool alone = false;              // one thread of this rank at a time will call or serve

  std::uint32_t size = 1;
  bool serialized = false;                            // the payload travels as one serialized message
  bool spin = false;                                  // poll in place of blocking
  Nanoseconds timeout = 20_s;                         // the longest wait for a connection
  nlohmann::json options = nlohmann::json::object();  // the channel's own, checked by its Python half
};

/// Opens this executable's stack: starts to serve, then meets the other ranks to exchange addresses.
/// Throws AddressInUse, PeerLost or ChannelError.
std::unique_ptr<Channel> open(const Opening& opening, Rendezvous& rendezvous);

}  // namespace tensorwire

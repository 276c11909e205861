// The calling side: a worker of its own for each caller, and a lane to each of its peers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "channels/ucx_context.h"
#include "core/channel.h"

namespace tensorwire::ucx {

/// Where a rank is reached; both are empty where it does not serve.
struct Address {
  std::string control;  // HOST:PORT
  std::string worker;   // UCX's

  std::string blob() const;
  static Address read(const std::string& blob);
};

/// What the channel's callers and its server found out about the ways between them.
class Routes {
 public:
  void add(const Route& route);
  Route all() const;

 private:
  mutable std::mutex mutex_;
  Route route_;
};

/// A caller whose slot `i` talks to rank `slots[i]`. Throws PeerLost when one cannot be reached within `timeout`.
std::unique_ptr<Caller> caller(std::shared_ptr<const Context> context, std::span<const std::uint32_t> slots,
                               std::span<const Address> addresses, Nanoseconds timeout, Routes& routes);

}  // namespace tensorwire::ucx

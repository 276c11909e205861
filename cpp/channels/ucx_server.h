// The serving side: one thread with a worker of its own, which all callers share.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <thread>

#include "channels/open.h"
#include "channels/ucx_caller.h"
#include "channels/ucx_context.h"

namespace tensorwire::ucx {

class Service;

/// Serves from when it is made until it is destroyed.
class Server {
 public:
  /// Throws AddressInUse, or ChannelError when it cannot serve.
  Server(std::shared_ptr<const Context> context, const Opening& opening, Routes& routes);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  Address address() const;
  Served served() const;

  /// For calls of those who prepare from now on.
  void answer_with(std::span<const Payload> answers);

 private:
  std::shared_ptr<Service> service_;
  std::thread thread_;
};

}  // namespace tensorwire::ucx

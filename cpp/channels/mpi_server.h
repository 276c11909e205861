// The serving side: one thread, which all callers share.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <thread>

#include "channels/mpi_caller.h"
#include "channels/socket.h"
#include "core/channel.h"

namespace tensorwire::mpi {

class Service;

/// Serves from when it is made until it is destroyed.
class Server {
 public:
  /// `listening` is where callers connect to agree on what comes.
  Server(const Setting& setting, Socket listening);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  Served served() const;

  /// For calls of those who prepare from now on.
  void answer_with(std::span<const Payload> answers);

 private:
  Setting setting_;
  std::shared_ptr<Service> service_;
  std::thread thread_;
};

}  // namespace tensorwire::mpi

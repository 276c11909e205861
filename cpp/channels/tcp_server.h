// The serving side of plain sockets: one thread a connection, blocking reads, no queue between them.
#pragma once

#include <atomic>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "channels/socket.h"
#include "core/channel.h"

namespace tensorwire::tcp {

class Server {
 public:
  /// Serves at once. Throws AddressInUse.
  Server(const std::string& address, bool spin);
  ~Server();

  const std::string& address() const { return address_; }
  Served served() const;

 private:
  struct Connection {
    Socket socket;
    std::atomic<bool> finished = false;
    std::thread thread;
  };

  void accept_all();
  void converse(Socket socket);
  void reap();
  void serve(const Socket& socket);

  Socket listening_;
  std::string address_;
  bool spin_;
  std::atomic<std::uint64_t> calls_ = 0;
  std::atomic<std::uint64_t> bytes_ = 0;
  std::mutex mutex_;  // guards the list and `stopping_`
  bool stopping_ = false;
  std::list<Connection> connections_;
  std::thread accepting_;
};

}  // namespace tensorwire::tcp

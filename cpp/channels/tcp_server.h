// The serving side of plain sockets: one thread a connection, blocking reads, no queue between them.
#pragma once

#include <atomic>
#include <list>
#include <mutex>
#include <span>
#include <string>
#include <thread>

#include "channels/socket.h"
#include "channels/tcp_wire.h"
#include "core/channel.h"

namespace tensorwire::tcp {

class Server {
 public:
  /// Serves at once who knows the ticket. Throws AddressInUse.
  Server(const std::string& address, bool spin, std::uint64_t ticket = 0);
  ~Server();

  const std::string& address() const { return address_; }
  Invitation invitation() const { return {address_, ticket_}; }
  Served served() const;

  /// For connections that are made from now on.
  void answer_with(std::span<const Payload> answers);

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
  std::span<const Payload> answers();

  Socket listening_;
  std::string address_;
  bool spin_;
  std::uint64_t ticket_;
  std::atomic<std::uint64_t> calls_ = 0;
  std::atomic<std::uint64_t> bytes_ = 0;
  std::mutex mutex_;  // guards the list, `answers_` and `stopping_`
  std::span<const Payload> answers_;
  bool stopping_ = false;
  std::list<Connection> connections_;
  std::thread accepting_;
};

}  // namespace tensorwire::tcp

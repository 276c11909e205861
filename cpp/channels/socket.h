// Sockets by address: "127.0.0.1:50001", "[::1]:50001" or "unix:/path/of.sock".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "core/clock.h"

namespace tensorwire {

/// Owns a file descriptor.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket();

  int fd() const { return fd_; }
  /// Wakes whoever waits on the socket; the descriptor stays until destruction.
  void shut_down() const;

 private:
  int fd_ = -1;
};

/// The address at which rank `rank` serves: `host` is a numeric address or "unix:DIRECTORY".
std::string address_of(const std::string& host, std::uint16_t port, std::uint32_t rank);

/// Listens; port 0 takes any free one. Throws AddressInUse, or ChannelError when the address cannot be had.
Socket listen_at(const std::string& address);

/// The address of a listening socket, with the port it really got.
std::string bound_address(const Socket& listening, const std::string& asked);

/// Connects within `timeout`. Throws PeerLost, or ChannelError when there is no socket to be had.
Socket connect_to(const std::string& address, Nanoseconds timeout);

/// The interface that owns a numeric address; nothing for a Unix-domain socket or an address of no interface here.
std::optional<std::string> interface_of(const std::string& host);

/// Reads the words of errno.
std::string error_text(int error);

}  // namespace tensorwire

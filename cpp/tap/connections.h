// The stream sockets of this process by file descriptor, and what is known of each connection.
#pragma once

#include <sys/uio.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "tap/lock.h"
#include "tap/log.h"
#include "tap/parser.h"

namespace tensorwire::tap {

class Connections {
 public:
  explicit constexpr Connections(Log& log) : log_(log) {}

  bool known(int fd) const { return at(fd) != nullptr; }

  /// A new life of the descriptor, when it is a stream socket of a family that is watched.
  void open(int fd, How how);

  /// A second descriptor of the same socket.
  void share(int from, int to);

  /// The descriptor is closed, or means something else from now on.
  void forget(int fd);

  /// All descriptors from `first` to `last`.
  void forget(int first, int last);

  /// The kernel took the first `taken` bytes of the buffers.
  void sent(int fd, std::span<const iovec> buffers, std::uint64_t taken);

  /// The kernel took as many bytes from a file or a pipe.
  void sent_unseen(int fd, std::uint64_t bytes);

  /// From now on what the connection sends is encrypted, and its plain text is told.
  void decrypt(int fd);

  /// What is to be encrypted was taken.
  void sent_plain(int fd, std::span<const std::byte> bytes);

  void received(int fd, std::uint64_t bytes);

  /// In the child of a fork: nobody holds a lock, and what began before cannot be followed.
  void begin_again();

 private:
  struct Connection {
    SpinLock lock;
    std::uint32_t number = 0;
    std::uint32_t descriptors = 0;  // under the table's lock
    bool announced = false;
    bool decrypted = false;
    bool lost = false;        // bytes were missed, and the parser has not found its way again
    std::uint32_t awake = 0;  // as the log was when it was last followed
    How how = How::other;
    Connection* next_free = nullptr;
    Connection* next_made = nullptr;
    Parser parser;
  };
  static constexpr std::size_t kDescriptors = 65536;

  Connection* at(int fd) const;
  Connection* take();
  void drop(int fd);
  void announce(int fd, Connection& connection);
  template <typename Note>
  void with(int fd, Note note);
  void note(Connection& connection, Type type, std::span<const iovec> buffers, std::uint64_t taken);
  bool follows(Connection& connection, std::span<const std::byte> begin);
  void note_raw(Connection& connection);

  Log& log_;
  SpinLock lock_;
  std::array<std::atomic<Connection*>, kDescriptors> table_{};
  Connection* free_ = nullptr;
  Connection* made_ = nullptr;
  std::uint32_t last_number_ = 0;
};

}  // namespace tensorwire::tap

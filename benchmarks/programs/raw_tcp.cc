// The least that can be written with blocking sockets: 8 bytes that say how long the payload is, and the payload.
#include <arpa/inet.h>
#include <netinet/tcp.h>

#include <array>
#include <cerrno>
#include <span>
#include <thread>

#include "both_ends.h"

namespace {

/// A size and the buffers that follow it; moved whole, however many system calls that takes.
class Message {
 public:
  explicit Message(const std::vector<iovec>& buffers) : size_(1) {
    if (buffers.size() >= parts_.size()) die("too many buffers");
    parts_[0] = {&header, sizeof header};
    for (const iovec& buffer : buffers) parts_[size_++] = buffer;
    for (const iovec& buffer : buffers) header += buffer.iov_len;
  }

  void send(int fd) const {
    move([fd](msghdr& rest) { return sendmsg(fd, &rest, MSG_NOSIGNAL); });
  }
  void receive(int fd) {
    move([fd](msghdr& rest) { return recvmsg(fd, &rest, MSG_WAITALL); });
  }

  std::uint64_t header = 0;

 private:
  template <class Move>
  void move(Move some) const {
    std::array<iovec, 64> rest = parts_;
    std::size_t at = 0;
    while (at < size_) {
      msghdr next{};
      next.msg_iov = &rest[at];
      next.msg_iovlen = size_ - at;
      const ssize_t moved = some(next);
      if (moved < 0 && errno == EINTR) continue;
      if (moved <= 0) throw 0;  // the other end is gone
      auto left = static_cast<std::size_t>(moved);
      while (at < size_ && left >= rest[at].iov_len) left -= rest[at++].iov_len;
      if (left > 0) {
        rest[at].iov_base = static_cast<char*>(rest[at].iov_base) + left;
        rest[at].iov_len -= left;
      }
    }
  }

  std::array<iovec, 64> parts_{};
  std::size_t size_;
};

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

void no_delay(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void converse(const Request& request, int listening) {
  const int fd = accept(listening, nullptr, nullptr);
  no_delay(fd);
  Memory memory(request.sizes);
  Message message(memory.buffers);
  for (;;) {
    message.receive(fd);
    if (request.echo) {
      message.send(fd);
    } else if (send(fd, &message.header, sizeof message.header, MSG_NOSIGNAL) != sizeof message.header) {
      return;
    }
  }
}

void serve(const Request& request, Control control) {
  const int listening = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof address;
  if (bind(listening, reinterpret_cast<sockaddr*>(&address), length) != 0 || listen(listening, 1) != 0)
    die("cannot listen");
  getsockname(listening, reinterpret_cast<sockaddr*>(&address), &length);
  control.tell(static_cast<int>(ntohs(address.sin_port)));
  std::thread([&] {
    try {
      converse(request, listening);
    } catch (int) {
    }
  }).detach();
  control.answer();
}

class Caller {
 public:
  Caller(const Request& request, int port)
      : echo_(request.echo),
        outstanding_(request.outstanding),
        sent_(request.sizes),
        landing_(request.sizes),
        message_(sent_.buffers),
        reply_(landing_.buffers),
        acknowledgements_(request.outstanding),
        fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    // Both ends would wait to send and neither would receive.
    if (echo_ && outstanding_ > 1) die("echo has one call in flight");
    const sockaddr_in address = loopback(port);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("cannot connect");
    no_delay(fd_);
  }

  void start(unsigned) {
    message_.send(fd_);
    ++in_flight_;
  }

  /// Replies come in the order of the calls, so slots finish in turn.
  unsigned finished() {
    if (echo_) {
      reply_.receive(fd_);
      check(reply_.header);
      return 0;
    }
    if (next_ == ready_) receive_acknowledgements();
    check(acknowledgements_[next_++]);
    --in_flight_;
    const unsigned slot = turn_;
    turn_ = (turn_ + 1) % outstanding_;
    return slot;
  }

 private:
  /// All that have come, in one read.
  void receive_acknowledgements() {
    auto* into = reinterpret_cast<char*>(acknowledgements_.data());
    std::size_t bytes = 0;
    do {
      const ssize_t moved = recv(fd_, into + bytes, in_flight_ * 8 - bytes, 0);
      if (moved <= 0) die("the server is gone");
      bytes += static_cast<std::size_t>(moved);
    } while (bytes % 8 != 0);
    next_ = 0;
    ready_ = bytes / 8;
  }

  void check(std::uint64_t arrived) const {
    if (arrived != sent_.total) die("bytes were lost");
  }

  const bool echo_;
  const unsigned outstanding_;
  const Memory sent_;
  const Memory landing_;
  const Message message_;
  Message reply_;
  std::vector<std::uint64_t> acknowledgements_;
  std::size_t next_ = 0;
  std::size_t ready_ = 0;
  std::size_t in_flight_ = 0;
  unsigned turn_ = 0;
  const int fd_;
};

}  // namespace

int main(int argc, char** argv) { return run<Caller>(argc, argv, serve); }

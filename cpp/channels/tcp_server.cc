#include "channels/tcp_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <memory>
#include <new>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "channels/iovecs.h"
#include "channels/tcp_wire.h"

namespace tensorwire::tcp {
namespace {

/// One connection's conversation, on the connection's own thread. Every step returns false when the peer left.
class Conversation {
 public:
  Conversation(int fd, bool spin, std::uint64_t ticket, std::span<const Payload> answers)
      : fd_(fd), flags_(spin ? MSG_DONTWAIT : MSG_WAITALL), ticket_(ticket), answers_(answers) {}

  /// Takes the shapes of the payloads to come and makes the memory they land in. False also for what is no layout:
  /// anybody may connect and say anything.
  bool agree() {
    try {
      const std::optional<Sizes> sizes = receive_layout();
      if (!sizes) return false;
      landing_ = std::make_unique<PayloadSet>(*sizes, Fill::zeros, 0);
      for (const Payload& payload : landing_->payloads()) messages_.push_back(as_message(header_bytes(), payload));
      for (const Payload& answer : answers_) answer_messages_.push_back(as_message(header_bytes(), answer));
    } catch (const std::bad_alloc&) {
      header_.kind = Kind::refused;
    }
    return send({&header_iovec_, 1}) && header_.kind == Kind::layout;
  }

  /// Answers one request; `count` learns what it carried before the reply is on its way.
  template <class Count>
  bool answer(Count count) {
    const std::size_t expected = messages_.size() == 1 ? 0 : read_index();
    if (expected >= messages_.size()) return false;
    const std::span<const iovec> message = messages_[expected];
    if (!receive(messages_.size() == 1 ? message : message.subspan(1))) return false;
    const std::uint64_t size = landing_->payloads()[expected].size;
    if (header_.payload != expected || header_.bytes != size) return false;
    switch (header_.kind) {
      case Kind::echo:
        count(size);
        return send(message);
      case Kind::acknowledge:
        count(size);
        return send(message.first(1));
      case Kind::recorded:
        if (header_.answer >= answers_.size()) return false;
        count(size);
        header_.bytes = answers_[header_.answer].size;
        return send(answer_messages_[header_.answer]);
      default:
        return false;
    }
  }

 private:
  Bytes header_bytes() const { return std::as_bytes(std::span(&header_, 1)); }

  std::optional<Sizes> receive_layout() {
    constexpr std::uint64_t longest = 64 << 20;  // the sizes of eight million buffers
    if (!receive({&header_iovec_, 1}) || header_.kind != Kind::layout || header_.bytes > longest) return std::nullopt;
    if (header_.answer != ticket_) return std::nullopt;
    std::vector<std::uint64_t> words(header_.bytes / sizeof(std::uint64_t));
    const iovec body = as_iovec(std::as_bytes(std::span(words)));
    if (!receive({&body, 1})) return std::nullopt;
    return read_layout(words, header_.payload);
  }

  /// Several shapes: the header says which one follows. With one shape, header and payload come in one read.
  std::size_t read_index() { return receive({&header_iovec_, 1}) ? header_.payload : messages_.size(); }

  bool receive(std::span<const iovec> parts) {
    cursor_.restart(parts);
    while (!cursor_.finished()) {
      msghdr next = cursor_.next();
      const ssize_t n = recvmsg(fd_, &next, flags_);
      if (n > 0) {
        cursor_.advance(static_cast<std::size_t>(n));
      } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        return false;
      }
    }
    return true;
  }

  bool send(std::span<const iovec> parts) {
    cursor_.restart(parts);
    while (!cursor_.finished()) {
      msghdr next = cursor_.next();
      const ssize_t n = sendmsg(fd_, &next, MSG_NOSIGNAL);
      if (n >= 0) {
        cursor_.advance(static_cast<std::size_t>(n));
      } else if (errno != EINTR) {
        return false;
      }
    }
    return true;
  }

  int fd_;
  int flags_;
  std::uint64_t ticket_;
  std::span<const Payload> answers_;
  Header header_{};
  iovec header_iovec_ = as_iovec(header_bytes());
  std::unique_ptr<PayloadSet> landing_;
  std::vector<std::vector<iovec>> messages_;
  std::vector<std::vector<iovec>> answer_messages_;
  Cursor cursor_;
};

}  // namespace

Server::Server(const std::string& address, bool spin, std::uint64_t ticket)
    : listening_(listen_at(address)), address_(bound_address(listening_, address)), spin_(spin), ticket_(ticket) {
  accepting_ = std::thread([this] { accept_all(); });
}

Server::~Server() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    listening_.shut_down();
    for (const Connection& connection : connections_) connection.socket.shut_down();
  }
  accepting_.join();
  for (Connection& connection : connections_) connection.thread.join();
}

Served Server::served() const {
  return {
      .calls = calls_.load(std::memory_order_relaxed), .bytes = bytes_.load(std::memory_order_relaxed), .spent = {}};
}

void Server::answer_with(std::span<const Payload> answers) {
  const std::lock_guard lock(mutex_);
  answers_ = answers;
}

void Server::accept_all() {
  for (;;) {
    Socket socket(accept4(listening_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (socket.fd() < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      listening_.shut_down();  // out of descriptors or memory: who comes next is turned away, not left waiting
      return;
    }
    const int on = 1;
    setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    reap();
    converse(std::move(socket));
  }
}

void Server::converse(Socket socket) {
  Connection& connection = connections_.emplace_back();
  connection.socket = std::move(socket);
  try {
    connection.thread = std::thread([this, &connection] {
      serve(connection.socket);
      connection.socket.shut_down();
      connection.finished = true;
    });
  } catch (const std::system_error&) {  // no thread to be had: the peer sees its connection closed
    connections_.pop_back();
  }
}

void Server::reap() {
  connections_.remove_if([](Connection& connection) {
    if (!connection.finished) return false;
    connection.thread.join();
    return true;
  });
}

std::span<const Payload> Server::answers() {
  const std::lock_guard lock(mutex_);
  return answers_;
}

void Server::serve(const Socket& socket) {
  Conversation conversation(socket.fd(), spin_, ticket_, answers());
  if (!conversation.agree()) return;
  const auto count = [this](std::uint64_t bytes) {
    calls_.fetch_add(1, std::memory_order_relaxed);
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
  };
  while (conversation.answer(count)) {
  }
}

}  // namespace tensorwire::tcp

#include "tap/connections.h"

#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>

namespace tensorwire::tap {
namespace {

template <typename T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

struct Sizes {
  std::span<const iovec> buffers;
  std::size_t size() const { return buffers.size(); }
  std::uint64_t operator[](std::size_t i) const { return buffers[i].iov_len; }
};

class Recorder final : public Sink {
 public:
  Recorder(Log& log, std::uint32_t connection) : log_(log), connection_(connection) {}

  void protocol(Protocol which) override {
    const Detected detected{.protocol = which, .pad = 0, .unread = 0};
    log_.append(Type::protocol, connection_, bytes_of(detected), {});
  }

  void headers(std::uint32_t stream, std::uint32_t flags, std::span<const std::byte> fragment) override {
    const auto size = static_cast<std::uint32_t>(fragment.size());
    const Headers fixed{.stream = stream, .flags = flags, .fragment_bytes = size, .pad = 0};
    log_.append(Type::headers, connection_, bytes_of(fixed), fragment);
  }

  void message(const Message& message, std::span<const std::uint64_t> slices) override {
    log_.append(Type::message, connection_, bytes_of(message), std::as_bytes(slices));
  }

 private:
  Log& log_;
  std::uint32_t connection_;
};

/// Addresses of IPv4 are written as those of IPv6 that stand for them: the ends of a connection may see it as either.
void note_address(const sockaddr_storage& from, std::uint8_t (&address)[16], std::uint16_t& port) {
  if (from.ss_family == AF_INET) {
    const auto& internet = reinterpret_cast<const sockaddr_in&>(from);
    port = ntohs(internet.sin_port);
    address[10] = address[11] = 0xff;
    std::memcpy(address + 12, &internet.sin_addr, 4);
  } else if (from.ss_family == AF_INET6) {
    const auto& internet = reinterpret_cast<const sockaddr_in6&>(from);
    port = ntohs(internet.sin6_port);
    std::memcpy(address, &internet.sin6_addr, 16);
  }
}

/// Unix-domain sockets have no address of their own: the process ids stand in.
void note_processes(int fd, Open& open) {
  const auto own = static_cast<std::uint32_t>(getpid());
  std::memcpy(open.local_address, &own, sizeof own);
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) std::memcpy(open.peer_address, &peer.pid, 4);
}

bool watched(int fd) {
  int type = 0;
  int family = 0;
  socklen_t size = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) return false;
  size = sizeof family;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) return false;
  return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

}  // namespace

Connections::Connection* Connections::at(int fd) const {
  if (fd < 0 || static_cast<std::size_t>(fd) >= kDescriptors) return nullptr;
  return table_[static_cast<std::size_t>(fd)].load(std::memory_order_acquire);
}

void Connections::open(int fd, How how) {
  if (fd < 0 || static_cast<std::size_t>(fd) >= kDescriptors || !watched(fd)) return;
  const std::scoped_lock locked(lock_);
  drop(fd);
  Connection* connection = take();
  if (connection == nullptr) return;
  const std::scoped_lock used(connection->lock);  // by a thread that is late, at the end of its former life
  connection->number = ++last_number_;
  connection->descriptors = 1;
  connection->announced = connection->decrypted = connection->lost = false;
  connection->awake = log_.awake();
  connection->how = how;
  connection->parser.reset();
  table_[static_cast<std::size_t>(fd)].store(connection, std::memory_order_release);
}

void Connections::share(int from, int to) {
  if (from == to || to < 0 || static_cast<std::size_t>(to) >= kDescriptors) return;
  const std::scoped_lock locked(lock_);
  drop(to);
  Connection* connection = at(from);
  if (connection == nullptr) return;
  ++connection->descriptors;
  table_[static_cast<std::size_t>(to)].store(connection, std::memory_order_release);
}

void Connections::forget(int fd) {
  if (!known(fd)) return;
  const std::scoped_lock locked(lock_);
  drop(fd);
}

void Connections::forget(int first, int last) {
  const std::scoped_lock locked(lock_);
  last = std::min(last, static_cast<int>(kDescriptors) - 1);
  for (int fd = std::max(first, 0); fd <= last; ++fd) drop(fd);
}

void Connections::drop(int fd) {
  Connection* connection = at(fd);
  if (connection == nullptr) return;
  table_[static_cast<std::size_t>(fd)].store(nullptr, std::memory_order_release);
  if (--connection->descriptors > 0) return;
  const std::scoped_lock locked(connection->lock);
  if (connection->announced) log_.append(Type::close, connection->number, {}, {});
  connection->next_free = free_;
  free_ = connection;
}

/// Never given back: another thread may still be at its last call on the socket.
Connections::Connection* Connections::take() {
  if (Connection* connection = free_) {
    free_ = connection->next_free;
    return connection;
  }
  void* memory =
      mmap(nullptr, sizeof(Connection), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* connection = new (memory) Connection;
  connection->next_made = made_;
  made_ = connection;
  return connection;
}

void Connections::announce(int fd, Connection& connection) {
  if (connection.announced) return;
  connection.announced = true;
  sockaddr_storage local{};
  sockaddr_storage peer{};
  socklen_t size = sizeof local;
  getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size);
  size = sizeof peer;
  getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size);
  Open open{};
  open.how = connection.how;
  open.family = local.ss_family;
  note_address(local, open.local_address, open.local_port);
  note_address(peer, open.peer_address, open.peer_port);
  if (local.ss_family == AF_UNIX) note_processes(fd, open);
  log_.append(Type::open, connection.number, bytes_of(open), {});
}

/// Calls with the connection of the descriptor, locked and known to the log.
template <typename Note>
void Connections::with(int fd, Note note) {
  Connection* connection = at(fd);
  if (connection == nullptr) return;
  const std::scoped_lock locked(connection->lock);
  if (at(fd) != connection) return;  // closed meanwhile
  announce(fd, *connection);
  note(*connection);
}

void Connections::sent(int fd, std::span<const iovec> buffers, std::uint64_t taken) {
  with(fd, [&](Connection& connection) {
    if (connection.decrypted) {
      log_.append_send(Type::send, connection.number, taken, Sizes{buffers});
    } else {
      note(connection, Type::send, buffers, taken);
    }
  });
}

void Connections::sent_plain(int fd, std::span<const std::byte> bytes) {
  const iovec buffer{const_cast<std::byte*>(bytes.data()), bytes.size()};
  with(fd, [&](Connection& connection) {
    if (connection.decrypted) note(connection, Type::plain, {&buffer, 1}, bytes.size());
  });
}

void Connections::note(Connection& connection, Type type, std::span<const iovec> buffers, std::uint64_t taken) {
  log_.append_send(type, connection.number, taken, Sizes{buffers});
  if (connection.parser.protocol() == Protocol::raw) return;
  const auto first = std::find_if(buffers.begin(), buffers.end(), [](const iovec& each) { return each.iov_len > 0; });
  const std::size_t begin = std::min<std::uint64_t>(first->iov_len, taken);
  if (!follows(connection, {static_cast<const std::byte*>(first->iov_base), begin})) return;
  Recorder recorder(log_, connection.number);
  for (const iovec& buffer : buffers) {
    const std::size_t size = std::min<std::uint64_t>(buffer.iov_len, taken);
    if (size > 0) connection.parser.feed({static_cast<const std::byte*>(buffer.iov_base), size}, recorder);
    taken -= size;
    if (taken == 0) break;
  }
  note_raw(connection);
}

void Connections::sent_unseen(int fd, std::uint64_t bytes) {
  with(fd, [&](Connection& connection) {
    const iovec buffer{nullptr, bytes};
    log_.append_send(Type::send, connection.number, bytes, Sizes{{&buffer, 1}});
    if (connection.decrypted || connection.parser.protocol() == Protocol::raw || !follows(connection, {})) return;
    Recorder recorder(log_, connection.number);
    connection.parser.skip(bytes, recorder);
    note_raw(connection);
  });
}

/// After a pause only from where a system call begins as a message does.
bool Connections::follows(Connection& connection, std::span<const std::byte> begin) {
  if (const std::uint32_t awake = log_.awake(); awake != connection.awake) {
    connection.awake = awake;
    connection.lost = true;
  }
  if (!connection.lost) return true;
  if (!connection.parser.resume(begin)) return false;
  connection.lost = false;
  log_.append(Type::gap, connection.number, {}, {});
  return true;
}

void Connections::note_raw(Connection& connection) {
  if (connection.parser.protocol() != Protocol::raw) return;
  const Detected detected{.protocol = Protocol::raw, .pad = 0, .unread = connection.parser.unread()};
  log_.append(Type::protocol, connection.number, bytes_of(detected), {});
}

void Connections::decrypt(int fd) {
  with(fd, [&](Connection& connection) {
    if (connection.decrypted) return;
    connection.decrypted = true;
    connection.parser.reset();
    const Detected detected{.protocol = Protocol::decrypted, .pad = 0, .unread = 0};
    log_.append(Type::protocol, connection.number, bytes_of(detected), {});
  });
}

void Connections::received(int fd, std::uint64_t bytes) {
  with(fd, [&](Connection& connection) { log_.append(Type::receive, connection.number, bytes_of(bytes), {}); });
}

void Connections::begin_again() {
  lock_.unlock();
  for (Connection* each = made_; each != nullptr; each = each->next_made) {
    each->lock.unlock();
    each->announced = false;
    if (each->parser.begun()) each->parser.give_up();
  }
}

}  // namespace tensorwire::tap

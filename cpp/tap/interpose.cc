// Stands before the C library's socket calls in a program that has this library in LD_PRELOAD, and notes what they
// did. It never changes what they do: every call goes through as it came, and errno comes back as it was.

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "tap/connections.h"
#include "tap/log.h"

namespace tensorwire::tap {
namespace {

constexpr std::uint64_t kCapacity = std::uint64_t{1} << 29;

constinit Log the_log;
constinit Connections connections(the_log);
constinit std::atomic<pid_t> owner{0};
constinit thread_local bool inside = false;

/// The next definition of a function: the C library's, or that of another library that stands before it.
template <typename Function>
class Next {
 public:
  explicit constexpr Next(const char* name) : name_(name) {}
  template <typename... Arguments>
  auto operator()(Arguments... arguments) {
    Function* function = found_.load(std::memory_order_relaxed);
    if (function == nullptr) {
      function = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name_));
      found_.store(function, std::memory_order_relaxed);
    }
    return function(arguments...);
  }

 private:
  const char* name_;
  std::atomic<Function*> found_{nullptr};
};

constinit Next<decltype(::socket)> next_socket("socket");
constinit Next<decltype(::connect)> next_connect("connect");
constinit Next<decltype(::accept)> next_accept("accept");
constinit Next<decltype(::accept4)> next_accept4("accept4");
constinit Next<decltype(::dup)> next_dup("dup");
constinit Next<decltype(::dup2)> next_dup2("dup2");
constinit Next<decltype(::dup3)> next_dup3("dup3");
constinit Next<decltype(::close)> next_close("close");
constinit Next<decltype(::send)> next_send("send");
constinit Next<decltype(::sendto)> next_sendto("sendto");
constinit Next<decltype(::sendmsg)> next_sendmsg("sendmsg");
constinit Next<decltype(::sendmmsg)> next_sendmmsg("sendmmsg");
constinit Next<ssize_t(int, const void*, size_t)> next_write("write");
constinit Next<ssize_t(int, const iovec*, int)> next_writev("writev");
constinit Next<decltype(::recv)> next_recv("recv");
constinit Next<decltype(::recvfrom)> next_recvfrom("recvfrom");
constinit Next<decltype(::recvmsg)> next_recvmsg("recvmsg");
constinit Next<ssize_t(int, void*, size_t)> next_read("read");
constinit Next<ssize_t(int, const iovec*, int)> next_readv("readv");
constinit Next<ssize_t(int, void*, size_t, size_t)> next_read_chk("__read_chk");
constinit Next<ssize_t(int, void*, size_t, size_t, int)> next_recv_chk("__recv_chk");
constinit Next<ssize_t(int, void*, size_t, size_t, int, sockaddr*, socklen_t*)> next_recvfrom_chk("__recvfrom_chk");

/// While it lives, this thread notes nothing more: not in a signal's handler that breaks in, which could wait for a
/// lock that it holds itself. Restores errno.
class Noting {
 public:
  Noting() : may_(!inside), errno_(errno) { inside = true; }
  ~Noting() {
    if (may_) inside = false;
    errno = errno_;
  }
  Noting(const Noting&) = delete;
  Noting& operator=(const Noting&) = delete;
  explicit operator bool() const { return may_; }

 private:
  bool may_;
  int errno_;
};

/// False between vfork and exec, where the memory is the parent's and the descriptors are not.
bool own_memory() { return getpid() == owner.load(std::memory_order_relaxed); }

void note_open(int fd, How how) {
  if (fd < 0 || !own_memory()) return;
  if (const Noting noting; noting) connections.open(fd, how);
}

void note_forget(int fd) {
  if (!connections.known(fd) || !own_memory()) return;
  if (const Noting noting; noting) connections.forget(fd);
}

void note_share(int from, int to) {
  if (to < 0 || (!connections.known(from) && !connections.known(to)) || !own_memory()) return;
  if (const Noting noting; noting) connections.share(from, to);
}

void note_sent(int fd, const iovec* buffers, std::size_t count, ssize_t taken) {
  if (taken <= 0 || !connections.known(fd)) return;
  if (const Noting noting; noting) connections.sent(fd, {buffers, count}, static_cast<std::uint64_t>(taken));
}

void note_sent(int fd, const void* bytes, std::size_t size, ssize_t taken) {
  const iovec buffer{const_cast<void*>(bytes), size};
  note_sent(fd, &buffer, 1, taken);
}

ssize_t note_received(int fd, ssize_t bytes, int flags) {
  if (bytes <= 0 || (flags & (MSG_PEEK | MSG_ERRQUEUE)) != 0 || !connections.known(fd)) return bytes;
  if (const Noting noting; noting) connections.received(fd, static_cast<std::uint64_t>(bytes));
  return bytes;
}

void after_fork() {
  owner.store(getpid(), std::memory_order_relaxed);
  inside = false;
  the_log.begin_again();
  connections.begin_again();
}

[[gnu::constructor]] void begin() {
  const char* capacity = std::getenv("TENSORWIRE_TAP_CAPACITY");
  owner.store(getpid(), std::memory_order_relaxed);
  the_log.set_directory(std::getenv("TENSORWIRE_TAP"),
                        capacity == nullptr ? kCapacity : std::strtoull(capacity, nullptr, 10));
  pthread_atfork(nullptr, nullptr, after_fork);
}

}  // namespace
}  // namespace tensorwire::tap

#pragma GCC visibility push(default)
extern "C" {

using namespace tensorwire::tap;

/// Marks the end of one step and the begin of the next in the log of this process.
void tensorwire_tap_mark(std::uint64_t value) {
  if (const Noting noting; noting) the_log.append(Type::mark, 0, std::as_bytes(std::span(&value, 1)), {});
}

int socket(int domain, int type, int protocol) noexcept {
  const int fd = next_socket(domain, type, protocol);
  note_forget(fd);  // a close inside the C library is not seen
  return fd;
}

int connect(int fd, const sockaddr* address, socklen_t size) {
  const int result = next_connect(fd, address, size);
  if (result == 0 || errno == EINPROGRESS || errno == EINTR) {
    if (!connections.known(fd)) note_open(fd, How::connect);
  }
  return result;
}

int accept(int fd, sockaddr* address, socklen_t* size) {
  const int accepted = next_accept(fd, address, size);
  note_open(accepted, How::accept);
  return accepted;
}

int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  const int accepted = next_accept4(fd, address, size, flags);
  note_open(accepted, How::accept);
  return accepted;
}

int dup(int fd) noexcept {
  const int other = next_dup(fd);
  note_share(fd, other);
  return other;
}

int dup2(int fd, int other) noexcept {
  const int result = next_dup2(fd, other);
  note_share(fd, result);
  return result;
}

int dup3(int fd, int other, int flags) noexcept {
  const int result = next_dup3(fd, other, flags);
  note_share(fd, result);
  return result;
}

int close(int fd) {
  note_forget(fd);  // before: afterwards the number may be another thread's
  return next_close(fd);
}

ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  const ssize_t taken = next_send(fd, bytes, size, flags);
  note_sent(fd, bytes, size, taken);
  return taken;
}

ssize_t sendto(int fd, const void* bytes, size_t size, int flags, const sockaddr* to, socklen_t to_size) {
  const ssize_t taken = next_sendto(fd, bytes, size, flags, to, to_size);
  note_sent(fd, bytes, size, taken);
  return taken;
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  const ssize_t taken = next_sendmsg(fd, message, flags);
  if (taken > 0) note_sent(fd, message->msg_iov, message->msg_iovlen, taken);
  return taken;
}

int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  const int sent = next_sendmmsg(fd, messages, count, flags);
  for (int i = 0; i < sent; ++i) {
    note_sent(fd, messages[i].msg_hdr.msg_iov, messages[i].msg_hdr.msg_iovlen, messages[i].msg_len);
  }
  return sent;
}

ssize_t write(int fd, const void* bytes, size_t size) {
  const ssize_t taken = next_write(fd, bytes, size);
  note_sent(fd, bytes, size, taken);
  return taken;
}

ssize_t writev(int fd, const iovec* buffers, int count) {
  const ssize_t taken = next_writev(fd, buffers, count);
  if (taken > 0) note_sent(fd, buffers, static_cast<std::size_t>(count), taken);
  return taken;
}

ssize_t recv(int fd, void* bytes, size_t size, int flags) {
  return note_received(fd, next_recv(fd, bytes, size, flags), flags);
}

ssize_t recvfrom(int fd, void* bytes, size_t size, int flags, sockaddr* from, socklen_t* from_size) {
  return note_received(fd, next_recvfrom(fd, bytes, size, flags, from, from_size), flags);
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  return note_received(fd, next_recvmsg(fd, message, flags), flags);
}

ssize_t read(int fd, void* bytes, size_t size) { return note_received(fd, next_read(fd, bytes, size), 0); }

ssize_t readv(int fd, const iovec* buffers, int count) { return note_received(fd, next_readv(fd, buffers, count), 0); }

// What programs call that were built with _FORTIFY_SOURCE.
ssize_t __read_chk(int fd, void* bytes, size_t size, size_t room) {
  return note_received(fd, next_read_chk(fd, bytes, size, room), 0);
}

ssize_t __recv_chk(int fd, void* bytes, size_t size, size_t room, int flags) {
  return note_received(fd, next_recv_chk(fd, bytes, size, room, flags), flags);
}

ssize_t __recvfrom_chk(int fd, void* bytes, size_t size, size_t room, int flags, sockaddr* from, socklen_t* from_size) {
  return note_received(fd, next_recvfrom_chk(fd, bytes, size, room, flags, from, from_size), flags);
}

}  // extern "C"
#pragma GCC visibility pop

// Stands before the C library's functions that make, share and close descriptors of sockets (interpose_send.cc says
// how), and tells programs of their steps.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <climits>
#include <cstdarg>

#include "tap/next.h"
#include "tap/noting.h"

namespace tensorwire::tap {
namespace {

constinit Next<decltype(::socket)> next_socket("socket");
constinit Next<decltype(::socketpair)> next_socketpair("socketpair");
constinit Next<decltype(::connect)> next_connect("connect");
constinit Next<decltype(::accept)> next_accept("accept");
constinit Next<decltype(::accept4)> next_accept4("accept4");
constinit Next<decltype(::dup)> next_dup("dup");
constinit Next<decltype(::dup2)> next_dup2("dup2");
constinit Next<decltype(::dup3)> next_dup3("dup3");
constinit Next<int(int, int, ...)> next_fcntl("fcntl");
constinit Next<int(int, int, ...)> next_fcntl64("fcntl64");
constinit Next<decltype(::close)> next_close("close");
constinit Next<int(unsigned, unsigned, int)> next_close_range("close_range");
constinit Next<void(int)> next_closefrom("closefrom");
constinit Next<int(FILE*)> next_fclose("fclose");

constexpr int kMarkOnly = 1 << 2;  // CLOSE_RANGE_CLOEXEC: nothing is closed yet

int noted_fcntl(int fd, int command, int result) {
  if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) note_share(fd, result);
  return result;
}

}  // namespace
}  // namespace tensorwire::tap

#pragma GCC visibility push(default)
extern "C" {

using namespace tensorwire::tap;

/// Marks the end of one step and the begin of the next in the log of this process.
void tensorwire_tap_mark(std::uint64_t value) { note_mark(value); }

int socket(int domain, int type, int protocol) noexcept {
  const int fd = next_socket(domain, type, protocol);
  note_forget(fd);  // a close inside the C library is not seen
  return fd;
}

int socketpair(int domain, int type, int protocol, int fds[2]) noexcept {
  const int result = next_socketpair(domain, type, protocol, fds);
  if (result == 0) {
    note_open(fds[0], How::other);
    note_open(fds[1], How::other);
  }
  return result;
}

int connect(int fd, const sockaddr* address, socklen_t size) {
  const int result = next_connect(fd, address, size);
  if (result == 0 || errno == EINPROGRESS || errno == EINTR) {
    if (!connections.known(fd)) note_open(fd, How::connect);
  }
  return result;
}

/// The C library's second name for the same.
int __connect(int fd, const sockaddr* address, socklen_t size) { return connect(fd, address, size); }

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

int __dup2(int fd, int other) noexcept { return dup2(fd, other); }

int dup3(int fd, int other, int flags) noexcept {
  const int result = next_dup3(fd, other, flags);
  note_share(fd, result);
  return result;
}

/// The third argument, if there is one, is an int or a pointer: both travel as a pointer does.
int fcntl(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  void* argument = va_arg(rest, void*);
  va_end(rest);
  return noted_fcntl(fd, command, next_fcntl(fd, command, argument));
}

int __fcntl(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  void* argument = va_arg(rest, void*);
  va_end(rest);
  return noted_fcntl(fd, command, next_fcntl(fd, command, argument));
}

int fcntl64(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  void* argument = va_arg(rest, void*);
  va_end(rest);
  return noted_fcntl(fd, command, next_fcntl64(fd, command, argument));
}

int close(int fd) {
  note_forget(fd);  // before: afterwards the number may be another thread's
  return next_close(fd);
}

int __close(int fd) { return close(fd); }

int fclose(FILE* file) {
  const int before = errno;
  note_forget(fileno(file));
  errno = before;
  return next_fclose(file);
}

int close_range(unsigned first, unsigned last, int flags) noexcept {
  if ((flags & kMarkOnly) == 0 && first <= last) {
    note_forget(static_cast<int>(first < INT_MAX ? first : INT_MAX), static_cast<int>(last < INT_MAX ? last : INT_MAX));
  }
  return next_close_range(first, last, flags);
}

void closefrom(int first) noexcept {
  note_forget(first, INT_MAX);
  next_closefrom(first);
}

}  // extern "C"
#pragma GCC visibility pop

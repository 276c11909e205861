// Stands before the C library's functions that receive from sockets (interpose_send.cc says how).

#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "tap/next.h"
#include "tap/noting.h"

namespace tensorwire::tap {
namespace {

constinit Next<decltype(::recv)> next_recv("recv");
constinit Next<decltype(::recvfrom)> next_recvfrom("recvfrom");
constinit Next<decltype(::recvmsg)> next_recvmsg("recvmsg");
constinit Next<decltype(::recvmmsg)> next_recvmmsg("recvmmsg");
constinit Next<ssize_t(int, void*, size_t)> next_read("read");
constinit Next<ssize_t(int, const iovec*, int)> next_readv("readv");
constinit Next<ssize_t(int, const iovec*, int, off_t, int)> next_preadv2("preadv2");
constinit Next<ssize_t(int, const iovec*, int, off64_t, int)> next_preadv64v2("preadv64v2");
constinit Next<ssize_t(int, void*, size_t, size_t)> next_read_chk("__read_chk");
constinit Next<ssize_t(int, void*, size_t, size_t, int)> next_recv_chk("__recv_chk");
constinit Next<ssize_t(int, void*, size_t, size_t, int, sockaddr*, socklen_t*)> next_recvfrom_chk("__recvfrom_chk");

}  // namespace
}  // namespace tensorwire::tap

#pragma GCC visibility push(default)
extern "C" {

using namespace tensorwire::tap;

ssize_t recv(int fd, void* bytes, size_t size, int flags) {
  return note_received(fd, next_recv(fd, bytes, size, flags), flags);
}

ssize_t recvfrom(int fd, void* bytes, size_t size, int flags, sockaddr* from, socklen_t* from_size) {
  return note_received(fd, next_recvfrom(fd, bytes, size, flags, from, from_size), flags);
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  const ssize_t bytes = next_recvmsg(fd, message, flags);
  if (bytes >= 0 && message->msg_controllen > 0) note_passed(*message);
  return note_received(fd, bytes, flags);
}

int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) {
  const int received = next_recvmmsg(fd, messages, count, flags, timeout);
  for (int i = 0; i < received; ++i) {
    if (messages[i].msg_hdr.msg_controllen > 0) note_passed(messages[i].msg_hdr);
    note_received(fd, messages[i].msg_len, flags);
  }
  return received;
}

ssize_t read(int fd, void* bytes, size_t size) { return note_received(fd, next_read(fd, bytes, size)); }

/// The C library's second name for the same.
ssize_t __read(int fd, void* bytes, size_t size) { return read(fd, bytes, size); }

ssize_t readv(int fd, const iovec* buffers, int count) { return note_received(fd, next_readv(fd, buffers, count)); }

ssize_t preadv2(int fd, const iovec* buffers, int count, off_t offset, int flags) {
  return note_received(fd, next_preadv2(fd, buffers, count, offset, flags));
}

ssize_t preadv64v2(int fd, const iovec* buffers, int count, off64_t offset, int flags) {
  return note_received(fd, next_preadv64v2(fd, buffers, count, offset, flags));
}

// What programs call that were built with _FORTIFY_SOURCE.
ssize_t __read_chk(int fd, void* bytes, size_t size, size_t room) {
  return note_received(fd, next_read_chk(fd, bytes, size, room));
}

ssize_t __recv_chk(int fd, void* bytes, size_t size, size_t room, int flags) {
  return note_received(fd, next_recv_chk(fd, bytes, size, room, flags), flags);
}

ssize_t __recvfrom_chk(int fd, void* bytes, size_t size, size_t room, int flags, sockaddr* from, socklen_t* from_size) {
  return note_received(fd, next_recvfrom_chk(fd, bytes, size, room, flags, from, from_size), flags);
}

}  // extern "C"
#pragma GCC visibility pop

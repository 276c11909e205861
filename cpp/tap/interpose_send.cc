// Stands before the C library's functions that send over sockets. Here as in all files that interpose: every call goes
// through as it came, what it did is noted, and errno comes back as it was.

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tap/log.h"
#include "tap/next.h"
#include "tap/noting.h"

namespace tensorwire::tap {
namespace {

constinit Next<decltype(::send)> next_send("send");
constinit Next<decltype(::sendto)> next_sendto("sendto");
constinit Next<decltype(::sendmsg)> next_sendmsg("sendmsg");
constinit Next<decltype(::sendmmsg)> next_sendmmsg("sendmmsg");
constinit Next<ssize_t(int, const void*, size_t)> next_write("write");
constinit Next<ssize_t(int, const iovec*, int)> next_writev("writev");
constinit Next<ssize_t(int, const iovec*, int, off_t, int)> next_pwritev2("pwritev2");
constinit Next<ssize_t(int, const iovec*, int, off64_t, int)> next_pwritev64v2("pwritev64v2");
constinit Next<ssize_t(int, int, off_t*, size_t)> next_sendfile("sendfile");
constinit Next<ssize_t(int, int, off64_t*, size_t)> next_sendfile64("sendfile64");
constinit Next<decltype(::splice)> next_splice("splice");

/// Sending may connect as well (TCP Fast Open).
void note_fast_open(int fd, int flags, ssize_t taken) {
  if ((flags & MSG_FASTOPEN) != 0 && (taken >= 0 || errno == EINPROGRESS) && !connections.known(fd)) {
    note_open(fd, How::connect);
  }
}

}  // namespace
}  // namespace tensorwire::tap

#pragma GCC visibility push(default)
extern "C" {

using namespace tensorwire::tap;

ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  const Began began(is_recorded(fd));
  const ssize_t taken = next_send(fd, bytes, size, flags);
  note_sent(fd, bytes, size, taken);
  return taken;
}

ssize_t sendto(int fd, const void* bytes, size_t size, int flags, const sockaddr* to, socklen_t to_size) {
  const Began began(is_recorded(fd));
  const ssize_t taken = next_sendto(fd, bytes, size, flags, to, to_size);
  note_fast_open(fd, flags, taken);
  note_sent(fd, bytes, size, taken);
  return taken;
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  const Began began(is_recorded(fd));
  const ssize_t taken = next_sendmsg(fd, message, flags);
  note_fast_open(fd, flags, taken);
  if (taken > 0) note_sent(fd, message->msg_iov, message->msg_iovlen, taken);
  return taken;
}

int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  const Began began(is_recorded(fd));
  const int sent = next_sendmmsg(fd, messages, count, flags);
  for (int i = 0; i < sent; ++i) {
    note_sent(fd, messages[i].msg_hdr.msg_iov, messages[i].msg_hdr.msg_iovlen, messages[i].msg_len);
  }
  return sent;
}

ssize_t write(int fd, const void* bytes, size_t size) {
  const Began began(is_recorded(fd));
  const ssize_t taken = next_write(fd, bytes, size);
  note_sent(fd, bytes, size, taken);
  return taken;
}

/// The C library's second name for the same.
ssize_t __write(int fd, const void* bytes, size_t size) { return write(fd, bytes, size); }

ssize_t __send(int fd, const void* bytes, size_t size, int flags) { return send(fd, bytes, size, flags); }

ssize_t writev(int fd, const iovec* buffers, int count) {
  const Began began(is_recorded(fd));
  const ssize_t taken = next_writev(fd, buffers, count);
  if (taken > 0) note_sent(fd, buffers, static_cast<std::size_t>(count), taken);
  return taken;
}

/// Reaches a socket where the offset is -1, as pwritev never does.
ssize_t pwritev2(int fd, const iovec* buffers, int count, off_t offset, int flags) {
  const Began began(is_recorded(fd));
  const ssize_t taken = next_pwritev2(fd, buffers, count, offset, flags);
  if (taken > 0) note_sent(fd, buffers, static_cast<std::size_t>(count), taken);
  return taken;
}

ssize_t pwritev64v2(int fd, const iovec* buffers, int count, off64_t offset, int flags) {
  const Began began(is_recorded(fd));
  const ssize_t taken = next_pwritev64v2(fd, buffers, count, offset, flags);
  if (taken > 0) note_sent(fd, buffers, static_cast<std::size_t>(count), taken);
  return taken;
}

ssize_t sendfile(int fd, int from, off_t* offset, size_t size) noexcept {
  const Began began(is_recorded(fd));
  const ssize_t taken = next_sendfile(fd, from, offset, size);
  note_sent_unseen(fd, taken);
  return taken;
}

ssize_t sendfile64(int fd, int from, off64_t* offset, size_t size) noexcept {
  const Began began(is_recorded(fd));
  const ssize_t taken = next_sendfile64(fd, from, offset, size);
  note_sent_unseen(fd, taken);
  return taken;
}

ssize_t splice(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t size, unsigned flags) {
  const Began began(is_recorded(to));
  const ssize_t moved = next_splice(from, from_offset, to, to_offset, size, flags);
  note_sent_unseen(to, moved);
  return note_received(from, moved);
}

}  // extern "C"
#pragma GCC visibility pop

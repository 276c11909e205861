// Messages as lists of iovecs, and how far into one a transfer has come.
#pragma once

#include <limits.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "core/payload.h"

namespace tensorwire {

/// The kernel writes through an iovec when it receives and reads when it sends; the type does not say which.
inline iovec as_iovec(Bytes bytes) { return {const_cast<std::byte*>(bytes.data()), bytes.size()}; }

/// A header and a payload's buffers, to go out or come in as one message.
inline std::vector<iovec> as_message(Bytes header, const Payload& payload) {
  std::vector<iovec> parts{as_iovec(header)};
  for (const Bytes buffer : payload.buffers) parts.push_back(as_iovec(buffer));
  return parts;
}

/// What of a message is still to be moved. Allocates nothing.
class Cursor {
 public:
  /// Begins with another message.
  void restart(std::span<const iovec> parts) {
    parts_ = parts;
    at_ = offset_ = 0;
    advance(0);
  }

  bool finished() const { return at_ == parts_.size(); }

  /// The next stretch for sendmsg or recvmsg: at most IOV_MAX parts, beginning where the last ended.
  msghdr next() {
    msghdr header{};
    const std::size_t n = std::min<std::size_t>(parts_.size() - at_, IOV_MAX);
    if (offset_ == 0) {
      header.msg_iov = const_cast<iovec*>(parts_.data() + at_);  // the system calls do not change it
    } else {
      std::copy_n(parts_.begin() + static_cast<std::ptrdiff_t>(at_), n, rest_.begin());
      rest_[0].iov_base = static_cast<std::byte*>(rest_[0].iov_base) + offset_;
      rest_[0].iov_len -= offset_;
      header.msg_iov = rest_.data();
    }
    header.msg_iovlen = n;
    return header;
  }

  void advance(std::size_t moved) {
    offset_ += moved;
    while (at_ < parts_.size() && offset_ >= parts_[at_].iov_len) {
      offset_ -= parts_[at_].iov_len;
      ++at_;
    }
  }

 private:
  std::span<const iovec> parts_;
  std::size_t at_ = 0;
  std::size_t offset_ = 0;
  std::array<iovec, IOV_MAX> rest_;
};

}  // namespace tensorwire

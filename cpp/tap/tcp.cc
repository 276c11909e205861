#include "tap/tcp.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace tensorwire::tap {
namespace {

using CallHeader = tcp::Header;
using tcp::Kind;

constexpr std::size_t kKind = sizeof(Kind);
// What the tap's log calls a call's kind: how far it is from a layout.
constexpr std::uint32_t kRefused = 3, kRecorded = 4, kKinds = 5;
constexpr std::uint64_t kLongest = std::uint64_t{1} << 48;

std::uint32_t kind_at(const std::byte* at) {
  return static_cast<std::uint32_t>(little_endian(at, kKind)) - static_cast<std::uint32_t>(Kind::layout);
}

CallHeader header_at(const std::byte* at) {
  std::array<std::byte, sizeof(CallHeader)> bytes{};
  std::memcpy(bytes.data(), at, bytes.size());
  return std::bit_cast<CallHeader>(bytes);
}

}  // namespace

static_assert(sizeof(CallHeader) + kKind <= Framing::kHead);

/// Both ends begin with the header of the layout; behind it the caller sends the layout, the server its first reply.
Protocol Tcp::guess(Bytes head) const {
  const auto layout = static_cast<std::uint32_t>(Kind::layout);
  const std::size_t size = std::min(head.size(), kKind);
  if (std::memcmp(head.data(), &layout, size) != 0) return Protocol::raw;
  if (head.size() < sizeof(CallHeader) + kKind) return Protocol::unknown;
  return kind_at(head.data() + sizeof(CallHeader)) < kKinds ? Protocol::tcp_server : Protocol::tcp_caller;
}

void Tcp::begin(Protocol which) {
  asks_ = which == Protocol::tcp_caller;
  counts_ = true;
  number_ = seen_ = 0;
  pieces_.begin(0);
}

bool Tcp::feed(Bytes& bytes, Sink& sink) {
  while (!bytes.empty()) {
    if (seen_ < head_.size()) {
      const std::size_t take = std::min(bytes.size(), head_.size() - seen_);
      std::memcpy(head_.data() + seen_, bytes.data(), take);
      seen_ += static_cast<std::uint32_t>(take);
      bytes = bytes.subspan(take);
      if (seen_ == head_.size() && !begin_message(sink)) return false;
    } else {
      const std::size_t take = std::min<std::uint64_t>(bytes.size(), pieces_.left);
      piece(bytes.data(), take, sink);
      bytes = bytes.subspan(take);
    }
  }
  return true;
}

bool Tcp::skip(std::uint64_t& bytes, Sink& sink) {
  if (seen_ < head_.size() || bytes > pieces_.left) return false;
  piece(nullptr, std::exchange(bytes, 0), sink);
  return true;
}

/// The numbers of calls are not known any more: those that follow have none.
bool Tcp::resume(Bytes bytes) {
  if (bytes.size() < sizeof(CallHeader) || kind_at(bytes.data()) >= kKinds ||
      header_at(bytes.data()).bytes > kLongest) {
    return false;
  }
  counts_ = false;
  number_ = seen_ = 0;
  pieces_.begin(0);
  return true;
}

std::uint64_t Tcp::held() const { return seen_ + (pieces_.message.bytes - pieces_.left); }

bool Tcp::begin_message(Sink& sink) {
  const CallHeader header = header_at(head_.data());
  const std::uint32_t kind = kind_at(head_.data());
  if (kind >= kKinds || header.bytes > kLongest) return false;
  const bool reply_is_header = !asks_ && header.kind != Kind::echo && kind != kRecorded;
  pieces_.begin(number_);
  pieces_.message.what = kind;
  pieces_.announce(reply_is_header ? 0 : header.bytes);
  if (pieces_.left == 0) piece(nullptr, 0, sink);
  return true;
}

/// Of the message's content, and the message itself with its last.
void Tcp::piece(const std::byte* at, std::uint64_t bytes, Sink& sink) {
  if (bytes > 0) pieces_.add(at, bytes, pieces_.touches(at));
  if (pieces_.left > 0) return;
  if (pieces_.message.what != 0 && pieces_.message.what != kRefused) sink.message(pieces_.message, pieces_.all());
  if (counts_) ++number_;
  seen_ = 0;
  pieces_.begin(number_);
}

}  // namespace tensorwire::tap

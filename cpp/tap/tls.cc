#include "tap/tls.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tensorwire::tap {
namespace {

constexpr unsigned kFirstType = 20, kHandshake = 22, kApplicationData = 23, kLastType = 24;
constexpr unsigned kVersion = 3, kLastMinor = 4;
constexpr unsigned kClientHello = 1, kServerHello = 2;
constexpr unsigned kLongest = 16384 + 2048;

unsigned at(std::span<const std::byte> bytes, std::size_t place) { return static_cast<unsigned>(bytes[place]); }

unsigned length_of(std::span<const std::byte> head) { return at(head, 3) << 8 | at(head, 4); }

/// As far as the bytes of a record's header are there, it is one.
bool possible(std::span<const std::byte> head) {
  if (!head.empty() && (at(head, 0) < kFirstType || at(head, 0) > kLastType)) return false;
  if (head.size() > 1 && at(head, 1) != kVersion) return false;
  if (head.size() > 2 && at(head, 2) > kLastMinor) return false;
  return head.size() < 5 || length_of(head) <= kLongest;
}

}  // namespace

/// Both ends begin with their hello.
Protocol Tls::guess(Bytes head) const {
  if (!possible(head) || at(head, 0) != kHandshake) return Protocol::raw;
  if (head.size() <= kHeader) return Protocol::unknown;
  const unsigned hello = at(head, kHeader);
  return hello == kClientHello || hello == kServerHello ? Protocol::tls : Protocol::raw;
}

void Tls::begin(Protocol) {
  seen_ = 0;
  pieces_.begin(0);
}

bool Tls::feed(Bytes& bytes, Sink& sink) {
  while (!bytes.empty()) {
    if (seen_ < head_.size()) {
      const std::size_t take = std::min(bytes.size(), head_.size() - seen_);
      std::memcpy(head_.data() + seen_, bytes.data(), take);
      seen_ += static_cast<std::uint32_t>(take);
      bytes = bytes.subspan(take);
      if (seen_ == head_.size() && !begin_record(sink)) return false;
    } else {
      const std::size_t take = std::min<std::uint64_t>(bytes.size(), pieces_.left);
      piece(take, sink);
      bytes = bytes.subspan(take);
    }
  }
  return true;
}

bool Tls::skip(std::uint64_t& bytes, Sink& sink) {
  if (seen_ < head_.size() || bytes > pieces_.left) return false;
  piece(std::exchange(bytes, 0), sink);
  return true;
}

bool Tls::resume(Bytes bytes) {
  if (bytes.size() < kHeader || !possible(bytes.first(kHeader))) return false;
  begin(Protocol::tls);
  return true;
}

bool Tls::begin_record(Sink& sink) {
  if (!possible(head_)) return false;
  pieces_.begin(0);
  pieces_.message.what = at(head_, 0);
  pieces_.announce(length_of(head_));
  if (pieces_.left == 0) piece(0, sink);
  return true;
}

void Tls::piece(std::uint64_t bytes, Sink& sink) {
  if (bytes > 0) pieces_.add(nullptr, bytes, true);
  if (pieces_.left > 0) return;
  if (pieces_.message.what == kApplicationData) sink.message(pieces_.message, pieces_.all());
  seen_ = 0;
  pieces_.begin(0);
}

}  // namespace tensorwire::tap

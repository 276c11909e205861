#include "tap/gloo.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tensorwire::tap {
namespace {

// The end that connects says first, in eight bytes, which of the pairs of the other it means.
constexpr std::size_t kSequence = 8;
constexpr std::uint64_t kLongestSequence = std::uint64_t{1} << 32;
constexpr std::uint64_t kLongest = std::uint64_t{1} << 48;

struct Operation {
  enum Code : std::uint64_t { send_buffer, send_unbound_buffer, notify_send_ready, notify_receive_ready };
  std::uint64_t bytes, code, slot, offset, length, remote_offset;

  bool carries() const { return code <= send_unbound_buffer; }

  bool valid() const {
    if (code > notify_receive_ready || length > kLongest) return false;
    if (bytes != Gloo::kPreamble + (carries() ? length : 0)) return false;
    return code == send_buffer || (offset == 0 && remote_offset == 0);
  }
};

Operation operation_at(const std::byte* at) {
  return {little_endian(at),      little_endian(at + 8),  little_endian(at + 16),
          little_endian(at + 24), little_endian(at + 32), little_endian(at + 40)};
}

/// Of the bytes of a preamble that are there, none says that it is none.
bool possible(std::span<const std::byte> head) {
  if (head.size() >= Gloo::kPreamble) return operation_at(head.data()).valid();
  if (head.size() >= 16 && little_endian(head.data() + 8) > Operation::notify_receive_ready) return false;
  if (head.size() < 8) return true;
  const std::uint64_t bytes = little_endian(head.data());
  return bytes >= Gloo::kPreamble && bytes <= kLongest;
}

}  // namespace

static_assert(kSequence + Gloo::kPreamble <= Framing::kHead);

Protocol Gloo::guess(Bytes head) const {
  const bool listening = possible(head);
  if (listening && head.size() >= kPreamble) return Protocol::gloo;
  if (head.size() < kSequence) return Protocol::unknown;
  const bool connecting = little_endian(head.data()) < kLongestSequence && possible(head.subspan(kSequence));
  if (connecting && head.size() >= kSequence + kPreamble) return Protocol::gloo;
  return listening || connecting ? Protocol::unknown : Protocol::raw;
}

void Gloo::begin(Protocol) {
  begun_ = false;
  seen_ = 0;
  pieces_.begin(0);
}

bool Gloo::feed(Bytes& bytes, Sink& sink) {
  while (!bytes.empty()) {
    if (seen_ < head_.size()) {
      const std::size_t take = std::min(bytes.size(), head_.size() - seen_);
      std::memcpy(head_.data() + seen_, bytes.data(), take);
      seen_ += static_cast<std::uint32_t>(take);
      bytes = bytes.subspan(take);
      if (seen_ == head_.size() && !begin_operation(sink)) return false;
    } else {
      const std::size_t take = std::min<std::uint64_t>(bytes.size(), pieces_.left);
      piece(take, sink);
      bytes = bytes.subspan(take);
    }
  }
  return true;
}

bool Gloo::skip(std::uint64_t& bytes, Sink& sink) {
  if (seen_ < head_.size() || bytes > pieces_.left) return false;
  piece(std::exchange(bytes, 0), sink);
  return true;
}

bool Gloo::resume(Bytes bytes) {
  if (bytes.size() < kPreamble || !operation_at(bytes.data()).valid()) return false;
  begin(Protocol::gloo);
  begun_ = true;
  return true;
}

bool Gloo::begin_operation(Sink& sink) {
  const Operation operation = operation_at(head_.data());
  if (!operation.valid()) {
    if (begun_) return false;
    begun_ = true;
    seen_ -= static_cast<std::uint32_t>(kSequence);
    std::memmove(head_.data(), head_.data() + kSequence, seen_);
    return true;
  }
  begun_ = true;
  pieces_.begin(0);
  pieces_.message.what = static_cast<std::uint32_t>(operation.code);
  pieces_.announce(operation.carries() ? operation.length : 0);
  if (pieces_.left == 0) piece(0, sink);
  return true;
}

void Gloo::piece(std::uint64_t bytes, Sink& sink) {
  if (bytes > 0) pieces_.add(nullptr, bytes, true);
  if (pieces_.left > 0) return;
  if (pieces_.message.what <= Operation::send_unbound_buffer) sink.message(pieces_.message, pieces_.all());
  seen_ = 0;
  pieces_.begin(0);
}

}  // namespace tensorwire::tap

// How one protocol cuts a connection's bytes into messages. Each has a parser of its own that is pure: it reads no
// clock and allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tap/log_format.h"

namespace tensorwire::tap {

/// Told what was found, in the order of the bytes.
class Sink {
 public:
  virtual void protocol(Protocol which) = 0;
  virtual void headers(std::uint32_t stream, std::uint32_t flags, std::span<const std::byte> fragment) = 0;
  virtual void message(const Message& message, std::span<const std::uint64_t> slices) = 0;

 protected:
  ~Sink() = default;
};

class Framing {
 public:
  using Bytes = std::span<const std::byte>;

  /// What the first bytes of a connection are: a protocol of this framing; `raw` when of none; `unknown` while more
  /// of them must come. Never `unknown` for kHead bytes.
  virtual Protocol guess(Bytes head) const = 0;
  static constexpr std::size_t kHead = 56;

  /// From the first byte on, with what was guessed.
  virtual void begin(Protocol which) = 0;

  /// Follows the next bytes of the connection, where they lie, and moves on to the first that it did not take. False,
  /// with some left or none, when it gives up for good.
  virtual bool feed(Bytes& bytes, Sink& sink) = 0;

  /// Does without so many bytes, that nobody sees, and leaves how many it could not. False when it gives up for good.
  virtual bool skip(std::uint64_t& bytes, Sink& sink) = 0;

  /// Bytes were missed, and a system call began with these: true when it can go on from here. What was half done is
  /// forgotten.
  virtual bool resume(Bytes bytes) = 0;

  /// How many of the bytes that it took are in nothing that was told, nor in a frame that is over.
  virtual std::uint64_t held() const = 0;

 protected:
  ~Framing() = default;
};

/// A word of eight bytes as it lies on the wire.
inline std::uint64_t little_endian(const std::byte* at, std::size_t bytes = 8) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes; i-- > 0;) value = value << 8 | static_cast<std::uint64_t>(at[i]);
  return value;
}

}  // namespace tensorwire::tap

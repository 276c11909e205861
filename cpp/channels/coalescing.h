// How the buffers of a payload are spread over messages: as one, each on its own, or the small ones packed together.
// Knows no stack.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/payload.h"

namespace tensorwire {

enum class Strategy { iov, per_buffer, coalesce };

/// The messages that one payload becomes.
struct Packing {
  struct Message {
    std::vector<std::uint32_t> buffers;  // whose bytes it carries, in order
    std::uint64_t size = 0;
    std::uint64_t offset = 0;  // where it lies in memory that holds all messages of the payload
  };
  /// Where a buffer travels.
  struct Stretch {
    std::uint32_t message;
    std::uint64_t offset;  // in the message
    std::uint64_t size;
  };

  std::vector<Message> messages;  // one at least
  std::vector<Stretch> buffers;
  std::uint64_t room = 0;  // bytes of memory that holds all messages
};

/// How buffers of these sizes travel. `coalesce` packs those smaller than `below`, if there are two or more, into the
/// first message, in their order; every other buffer is a message of its own.
Packing packing_of(std::span<const std::uint64_t> sizes, Strategy strategy, std::uint64_t below);

/// A packing of one message of so many bytes, which no payload has.
Packing packing_of_bytes(std::uint64_t size);

/// The sizes of a payload's buffers.
std::vector<std::uint64_t> sizes_of(const Payload& payload);

/// Copies the buffers of a message end to end.
void gather(const Packing::Message& message, const Payload& payload, std::byte* into);

}  // namespace tensorwire

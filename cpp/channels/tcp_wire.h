// What plain sockets say to each other. A connection begins with the layout of the payloads that will come, so
// that both ends take each payload in buffers of its own shape; then requests and replies follow in order.
#pragma once

#include <bit>
#include <cstdint>

#include "core/channel.h"

namespace tensorwire::tcp {

static_assert(std::endian::native == std::endian::little, "the wire is little endian");

enum class Kind : std::uint32_t { layout = 0x7477'0001, echo, acknowledge };

/// In front of every message. `bytes` is the length of what follows; in a reply, the payload bytes received.
struct Header {
  Kind kind;
  std::uint32_t payload;  // which of the layout; in a layout, how many there are
  std::uint64_t bytes;
};
static_assert(sizeof(Header) == 16);

constexpr Kind kind_of(Reply reply) { return reply == Reply::echo ? Kind::echo : Kind::acknowledge; }

}  // namespace tensorwire::tcp

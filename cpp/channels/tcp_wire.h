// What plain sockets say to each other. A connection begins with the layout of the payloads that will come, so
// that both ends take each payload in buffers of its own shape; then requests and replies follow in order.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/channel.h"

namespace tensorwire::tcp {

static_assert(std::endian::native == std::endian::little, "the wire is little endian");

/// A layout is answered with its own header, or with `refused` when there is no memory for what it announces.
enum class Kind : std::uint32_t { layout = 0x7477'0001, echo, acknowledge, refused, recorded };

/// In front of every message. `bytes` is the length of what follows; in an acknowledgement, where nothing does, the
/// payload bytes received.
struct Header {
  Kind kind;
  std::uint32_t payload;  // which of the layout; in a layout, how many there are
  std::uint64_t bytes;
  std::uint64_t answer = 0;  // which of the answers, where the reply is recorded; in a layout, the server's ticket

  bool operator==(const Header&) const = default;
};
static_assert(sizeof(Header) == 24);

constexpr Kind kind_of(Reply reply) {
  switch (reply) {
    case Reply::echo:
      return Kind::echo;
    case Reply::acknowledge:
      return Kind::acknowledge;
    case Reply::recorded:
      break;
  }
  return Kind::recorded;
}

/// Where a rank serves, and the ticket that it lets in: told at the rendezvous, so that strangers have none.
struct Invitation {
  std::string address;
  std::uint64_t ticket = 0;
};

/// An invitation as one word and its ticket in hexadecimal, and back; a word alone has ticket 0.
std::string text_of(const Invitation& invitation);
Invitation read_invitation(const std::string& text);

/// The sizes of the buffers of each payload.
using Sizes = std::vector<std::vector<std::uint64_t>>;

Sizes sizes_of(std::span<const Payload> payloads);

/// What follows a layout's header: for each payload the number of its buffers and their sizes.
std::vector<std::uint64_t> layout_of(const Sizes& sizes);

/// The sizes that a layout tells; nothing for words that are no layout of `payloads` payloads.
std::optional<Sizes> read_layout(std::span<const std::uint64_t> words, std::size_t payloads);

}  // namespace tensorwire::tcp

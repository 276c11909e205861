// What the two ends of a connection tell each other before the clock starts, and the order of a request's messages.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "channels/ucx_control.h"

namespace tensorwire::mpi {

using ucx::Control;  // the plain connection that stacks have beside their own, by whose end a peer's end is known
using ucx::Frame;
using ucx::Word;

/// Memory that is open to one-sided transfers: place i begins at `address + i * step`.
struct Opened {
  std::uint64_t address = 0;
  std::uint64_t step = 0;
};

/// What a caller tells: where replies are to go, and what requests will come.
struct Terms {
  std::uint64_t rank = 0;  // MPI's, of the caller
  std::uint64_t tag = 0;   // the first for replies
  std::uint64_t places = 0;
  bool labelled = false;  // requests bring headers
  Opened opened;
  std::vector<std::uint64_t> offsets;             // where the messages of a reply land; a tag of the place for each
  std::vector<std::vector<std::uint64_t>> sizes;  // of the buffers of each payload

  std::string body() const;
  /// Nothing for what are no terms.
  static std::optional<Terms> read(std::string_view body);
};

/// What the server tells in return: the first tag for requests, and its own memory.
struct Accepted {
  std::uint64_t tag = 0;
  Opened opened;

  std::string body() const;
  static std::optional<Accepted> read(std::string_view body);
};

/// The messages of a request, by the tags of its place. Without a header there are two tags for the first: one asks
/// for an echo, the other for an acknowledgement.
constexpr std::size_t kHead = 0;
constexpr std::size_t kAcknowledged = 1;
constexpr std::size_t column_of(std::size_t message) { return message + 1; }

}  // namespace tensorwire::mpi

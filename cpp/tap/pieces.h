// A message on its way out, and the slices of memory that it is sent from.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tap/log_format.h"

namespace tensorwire::tap {

struct Pieces {
  static constexpr std::size_t kSlices = 4096;  // that are kept

  Message message;
  std::uint64_t left;        // bytes of it that are still to come
  const std::byte* end;      // of the last piece; null where nobody saw it
  std::uint64_t last_piece;  // its bytes
  std::array<std::uint64_t, kSlices> slices;

  void begin(std::uint32_t stream) {
    message = {.stream = stream, .flags = 0, .bytes = 0, .slices = 0, .what = 0};
    left = 0;
    end = nullptr;
    last_piece = 0;
  }

  void announce(std::uint64_t bytes) { message.bytes = left = bytes; }

  bool touches(const std::byte* at) const { return message.slices > 0 && end != nullptr && end == at; }

  /// The next piece: of the same slice as the last, or the begin of another.
  void add(const std::byte* at, std::uint64_t bytes, bool same_slice);

  std::span<const std::uint64_t> all() const { return std::span(slices).first(message.slices); }
};

}  // namespace tensorwire::tap

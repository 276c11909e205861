#include "channels/coalescing.h"

#include <algorithm>
#include <cstring>

namespace tensorwire {
namespace {

constexpr std::uint64_t kLine = 64;
constexpr std::uint64_t kPage = 4096;

/// As payloads lie: large messages begin on a page, small ones on a cache line.
std::uint64_t aligned(std::uint64_t offset, std::uint64_t size) {
  const std::uint64_t to = size >= kPage ? kPage : kLine;
  return (offset + to - 1) / to * to;
}

/// Which message each buffer is in.
std::vector<std::uint32_t> dealt_out(std::span<const std::uint64_t> sizes, Strategy strategy, std::uint64_t below) {
  std::vector<std::uint32_t> messages(sizes.size(), 0);
  if (strategy == Strategy::iov) return messages;
  const auto small = [&](std::uint64_t size) { return strategy == Strategy::coalesce && size < below; };
  const bool packs = std::count_if(sizes.begin(), sizes.end(), small) > 1;
  std::uint32_t next = packs ? 1 : 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (!packs || !small(sizes[i])) messages[i] = next++;
  }
  return messages;
}

void lay_out(Packing& packing) {
  for (Packing::Message& message : packing.messages) {
    message.offset = aligned(packing.room, message.size);
    packing.room = message.offset + message.size;
  }
}

}  // namespace

Packing packing_of(std::span<const std::uint64_t> sizes, Strategy strategy, std::uint64_t below) {
  const std::vector<std::uint32_t> messages = dealt_out(sizes, strategy, below);
  Packing packing;
  packing.messages.resize(messages.empty() ? 1 : *std::max_element(messages.begin(), messages.end()) + 1);
  for (std::uint32_t i = 0; i < sizes.size(); ++i) {
    Packing::Message& message = packing.messages[messages[i]];
    packing.buffers.push_back({messages[i], message.size, sizes[i]});
    message.buffers.push_back(i);
    message.size += sizes[i];
  }
  lay_out(packing);
  return packing;
}

Packing packing_of_bytes(std::uint64_t size) {
  Packing packing;
  packing.messages.push_back({.buffers = {}, .size = size});
  lay_out(packing);
  return packing;
}

std::vector<std::uint64_t> sizes_of(const Payload& payload) {
  std::vector<std::uint64_t> sizes;
  for (const Bytes buffer : payload.buffers) sizes.push_back(buffer.size());
  return sizes;
}

void gather(const Packing::Message& message, const Payload& payload, std::byte* into) {
  for (const std::uint32_t i : message.buffers) {
    const Bytes buffer = payload.buffers[i];
    if (!buffer.empty()) std::memcpy(into, buffer.data(), buffer.size());
    into += buffer.size();
  }
}

}  // namespace tensorwire

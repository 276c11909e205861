#include "core/payload.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numbers>

namespace tensorwire {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kLine = 64;
constexpr std::size_t kGap = 1;  // buffers that touch would be merged by stacks such as gRPC, and sent as one

/// Large buffers begin on a page, small ones on a cache line, as tensor allocators place them.
std::size_t aligned(std::size_t offset, std::uint64_t size) {
  const std::size_t to = size >= kPage ? kPage : kLine;
  return (offset + to - 1) / to * to;
}

/// The kernel may promise more than there is, and kill whoever touches it.
std::size_t physical_memory() {
  return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and the same everywhere.
std::uint64_t next(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void fill_random(std::span<std::byte> memory, std::uint64_t seed) {
  for (std::size_t at = 0; at < memory.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t word = next(seed);
    std::memcpy(memory.data() + at, &word, std::min(sizeof word, memory.size() - at));
  }
}

/// Normal around zero with deviation 1e-3 (Box-Muller): the shape of gradients, whose exponents
/// repeat and whose mantissas do not.
void fill_float32(std::span<std::byte> memory, std::uint64_t seed) {
  constexpr double unit = 1.0 / 9007199254740992.0;  // 2^-53
  for (std::size_t at = 0; at < memory.size(); at += 2 * sizeof(float)) {
    const double u = (static_cast<double>(next(seed) >> 11) + 0.5) * unit;
    const double v = static_cast<double>(next(seed) >> 11) * unit;
    const double radius = 1e-3 * std::sqrt(-2.0 * std::log(u));
    const float pair[] = {static_cast<float>(radius * std::cos(2 * std::numbers::pi * v)),
                          static_cast<float>(radius * std::sin(2 * std::numbers::pi * v))};
    std::memcpy(memory.data() + at, pair, std::min(sizeof pair, memory.size() - at));
  }
}

void fill_memory(std::span<std::byte> memory, Fill fill, std::uint64_t seed) {
  switch (fill) {
    case Fill::random:
      return fill_random(memory, seed);
    case Fill::float32:
      return fill_float32(memory, seed);
    case Fill::zeros:
      std::memset(memory.data(), 0, memory.size());
  }
}

/// The size of the largest buffer at each position of the iovec.
std::vector<std::uint64_t> widest(std::span<const std::vector<std::uint64_t>> sizes) {
  std::vector<std::uint64_t> widths;
  for (const auto& payload : sizes) {
    if (payload.size() > widths.size()) widths.resize(payload.size());
    for (std::size_t i = 0; i < payload.size(); ++i) widths[i] = std::max(widths[i], payload[i]);
  }
  return widths;
}

}  // namespace

PayloadSet::PayloadSet(std::span<const std::vector<std::uint64_t>> sizes, Fill fill, std::uint64_t seed) {
  const std::vector<std::uint64_t> widths = widest(sizes);
  std::vector<std::size_t> offsets;
  const std::size_t most = physical_memory();
  std::size_t end = 0;
  for (const std::uint64_t width : widths) {
    offsets.push_back(aligned(end, width));
    if (width > most - std::min(most, offsets.back())) throw std::bad_alloc();
    end = offsets.back() + width + kGap;
  }
  end = aligned(std::max<std::size_t>(end, 1), kPage);
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kPage, end)));
  if (!memory_) throw std::bad_alloc();
  fill_memory({memory_.get(), end}, fill, seed);

  for (const auto& payload : sizes) {
    Payload& made = payloads_.emplace_back();
    for (std::size_t i = 0; i < payload.size(); ++i) {
      made.buffers.emplace_back(memory_.get() + offsets[i], payload[i]);
      made.size += payload[i];
    }
  }
}

std::uint64_t PayloadSet::largest() const {
  std::uint64_t most = 0;
  for (const Payload& payload : payloads_) most = std::max(most, payload.size);
  return most;
}

void PayloadSet::Free::operator()(std::byte* memory) const { std::free(memory); }

}  // namespace tensorwire

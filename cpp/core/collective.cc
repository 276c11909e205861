#include "core/collective.h"

#include <cstdlib>
#include <new>
#include <string>

#include "core/errors.h"

namespace tensorwire {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kPeriod = 8191;  // a prime: no part of an array looks like another that lies at a power of two
constexpr std::uint64_t kApart = 1009;   // how far the values of one rank are ahead of those of the one before

/// Element `i` of what rank `rank` brings: below 2^13, so that the sum over 1024 ranks is a float32 exactly.
float value(std::uint32_t rank, std::uint64_t i) { return static_cast<float>((i + kApart * rank) % kPeriod); }

/// Of the sums over all ranks, those of the first elements; the rest repeats them.
std::vector<float> sums(std::uint32_t size) {
  std::vector<float> found(kPeriod, 0.0F);
  for (std::uint64_t i = 0; i < kPeriod; ++i) {
    for (std::uint32_t rank = 0; rank < size; ++rank) found[i] += value(rank, i);
  }
  return found;
}

}  // namespace

std::uint64_t Collective::sent() const {
  switch (operation) {
    case Operation::all_gather:
      return share();
    case Operation::broadcast:
      return rank == 0 ? elements : 0;
    default:
      return elements;
  }
}

std::uint64_t Collective::received() const {
  switch (operation) {
    case Operation::reduce_scatter:
      return share();
    case Operation::broadcast:
      return rank == 0 ? 0 : elements;
    default:
      return elements;
  }
}

std::uint64_t Collective::to(std::uint32_t peer) const {
  const std::uint64_t away = (peer + size - rank) % size;
  if (operation == Operation::all_to_all || away == 0 || 2 * away == size) return share();
  // Two peers that are as far away in the one direction as in the other have two shares between them.
  return 2 * away < size ? 2 * share() * away / size : 2 * share() - 2 * share() * (size - away) / size;
}

std::uint64_t Collective::from(std::uint32_t peer) const {
  Collective theirs = *this;
  theirs.rank = peer;
  return theirs.to(rank);
}

Elements::Elements(std::uint64_t count) : count_(count) {
  if (count == 0) return;
  if (count > std::uint64_t{1} << 60) throw std::bad_alloc();
  const std::uint64_t bytes = (count * sizeof(float) + kPage - 1) / kPage * kPage;
  memory_.reset(static_cast<float*>(std::aligned_alloc(kPage, bytes)));
  if (!memory_) throw std::bad_alloc();
}

void Elements::Free::operator()(float* memory) const { std::free(memory); }

Payload Elements::payload() const {
  if (count_ == 0) return {};
  const Bytes bytes = std::as_bytes(all());
  return {.buffers = {bytes}, .size = bytes.size()};
}

Elements brought(const Collective& part) {
  Elements made(part.sent());
  std::uint64_t i = 0;
  for (float& each : made.all()) each = value(part.rank, i++);
  return made;
}

Elements expected(const Collective& part) {
  Elements made(part.received());
  auto next = made.all().begin();
  const auto take = [&](std::uint32_t rank, std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) *next++ = value(rank, first + i);
  };
  switch (part.operation) {
    case Operation::all_reduce:
    case Operation::reduce_scatter: {
      const std::vector<float> all = sums(part.size);
      std::uint64_t i = part.operation == Operation::reduce_scatter ? part.rank * part.share() : 0;
      for (float& each : made.all()) each = all[i++ % kPeriod];
      break;
    }
    case Operation::all_gather:
      for (std::uint32_t rank = 0; rank < part.size; ++rank) take(rank, 0, part.share());
      break;
    case Operation::all_to_all:
    case Operation::all_to_all_v:
      for (std::uint32_t rank = 0; rank < part.size; ++rank) {
        Collective theirs = part;
        theirs.rank = rank;
        std::uint64_t before = 0;
        for (std::uint32_t peer = 0; peer < part.rank; ++peer) before += theirs.to(peer);
        take(rank, before, theirs.to(part.rank));
      }
      break;
    case Operation::broadcast:
      take(0, 0, part.received());
  }
  return made;
}

void compare(std::span<const float> wanted, std::span<const float> seen) {
  if (wanted.size() != seen.size()) {
    throw WrongBytes("the operation left " + std::to_string(seen.size()) + " elements of " +
                     std::to_string(wanted.size()));
  }
  std::size_t wrong = 0;
  std::size_t first = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == seen[i]) continue;
    if (wrong++ == 0) first = i;
  }
  if (wrong == 0) return;
  throw WrongBytes(std::to_string(wrong) + " of " + std::to_string(wanted.size()) + " elements are wrong: element " +
                   std::to_string(first) + " is " + std::to_string(seen[first]) + " and must be " +
                   std::to_string(wanted[first]));
}

}  // namespace tensorwire

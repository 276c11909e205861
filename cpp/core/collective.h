// The collective operations: what each rank brings to one, and what it must find when it is over. Elements are float32
// and hold whole numbers, so that their sums are exact in whatever order they are taken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/payload.h"

namespace tensorwire {

enum class Operation : std::uint8_t { all_reduce, all_gather, reduce_scatter, all_to_all, all_to_all_v, broadcast };

/// One rank's part in an operation of `size` ranks over `elements` in all, which is what nccl-tests calls its size: the
/// array that is reduced, scattered, gathered or dealt out. The root of a broadcast is rank 0.
struct Collective {
  Operation operation = Operation::all_reduce;
  std::uint32_t rank = 0;
  std::uint32_t size = 1;
  std::uint64_t elements = 0;

  std::uint64_t share() const { return elements / size; }  // where every rank has as much

  std::uint64_t sent() const;      // elements that this rank brings
  std::uint64_t received() const;  // elements that it finds

  /// What an all-to-all moves from this rank to `peer`. Of the one with varying counts it is more, the further the peer
  /// is away in the order of the ranks, from next to nothing to next to twice a share; every rank sends, receives and
  /// keeps as much as in the other.
  std::uint64_t to(std::uint32_t peer) const;
  std::uint64_t from(std::uint32_t peer) const;
};

/// Floats that begin at a page, so that no stack is the faster for where its data lies.
class Elements {
 public:
  /// Throws std::bad_alloc when there is not enough memory.
  explicit Elements(std::uint64_t count);

  std::span<float> all() { return {memory_.get(), static_cast<std::size_t>(count_)}; }
  std::span<const float> all() const { return {memory_.get(), static_cast<std::size_t>(count_)}; }

  /// The same as a message; without buffers where there are no elements.
  Payload payload() const;

 private:
  struct Free {
    void operator()(float* memory) const;
  };
  std::unique_ptr<float, Free> memory_;
  std::uint64_t count_;
};

/// What `part` brings, and what it must find.
Elements brought(const Collective& part);
Elements expected(const Collective& part);

/// Throws WrongBytes with the number of elements of `seen` that are not as `wanted`, and the first of them.
void compare(std::span<const float> wanted, std::span<const float> seen);

}  // namespace tensorwire

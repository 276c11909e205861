// The messages: buffers that are built, filled, aligned and touched before any clock starts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace tensorwire {

using Bytes = std::span<const std::byte>;

/// One message: its iovec buffers in wire order. Views; a PayloadSet owns the memory.
struct Payload {
  std::vector<Bytes> buffers;
  std::uint64_t size = 0;  // the sum over the buffers
};

/// What the buffers hold: compressibility matters on real networks.
enum class Fill { random, zeros, float32 };

/// Payloads over memory that is filled and resident. Buffer `i` of every payload is a prefix of the
/// same memory, so that a set of many draws costs as much as its largest buffers.
class PayloadSet {
 public:
  /// `sizes[p][i]` is the size in bytes of buffer `i` of payload `p`. The same seed fills the same bytes.
  /// Throws std::bad_alloc when there is not enough memory.
  PayloadSet(std::span<const std::vector<std::uint64_t>> sizes, Fill fill, std::uint64_t seed);

  std::span<const Payload> payloads() const { return payloads_; }
  std::uint64_t largest() const;  // bytes of the largest payload

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::vector<Payload> payloads_;
};

}  // namespace tensorwire

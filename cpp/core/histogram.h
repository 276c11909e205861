// A log-linear latency histogram, after HdrHistogram: fixed precision, no allocation, mergeable.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>

#include "core/clock.h"

namespace tensorwire {

/// Counts durations in buckets no wider than 1/128 (0.8 %) of what they hold, from 0 to 2^40 ns
/// (18 minutes); longer ones fall in the last bucket, while `max` stays exact.
class Histogram {
 public:
  static constexpr int kPrecisionBits = 7;
  static constexpr std::uint64_t kLinear = 1u << kPrecisionBits;  // buckets to each power of two
  static constexpr int kTopBit = 40;
  static constexpr std::size_t kBuckets = (kTopBit - kPrecisionBits + 1) * kLinear;

  /// Below 128 ns a bucket holds one value; above, bucket b = (e + 1) * 128 + m holds the values
  /// from (128 + m) * 2^e up to, not including, (129 + m) * 2^e.
  static constexpr std::size_t bucket(Nanoseconds value) {
    if (value < static_cast<Nanoseconds>(kLinear)) return value < 0 ? 0 : static_cast<std::size_t>(value);
    const auto bits = static_cast<std::uint64_t>(value);
    const int exponent = static_cast<int>(std::bit_width(bits)) - 1 - kPrecisionBits;
    const std::size_t at = (static_cast<std::size_t>(exponent) << kPrecisionBits) + (bits >> exponent);
    return std::min(at, kBuckets - 1);
  }

  /// The smallest value that falls in a bucket.
  static constexpr Nanoseconds lower(std::size_t bucket) {
    if (bucket < kLinear) return static_cast<Nanoseconds>(bucket);
    const std::size_t exponent = (bucket >> kPrecisionBits) - 1;
    return static_cast<Nanoseconds>((kLinear + (bucket & (kLinear - 1))) << exponent);
  }

  void record(Nanoseconds value) {
    ++counts_[bucket(value)];
    ++count_;
    sum_ += value;
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
  }

  void merge(const Histogram& other) {
    for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    min_ = std::min(min_, other.min_);
    max_ = std::max(max_, other.max_);
  }

  const std::array<std::uint64_t, kBuckets>& counts() const { return counts_; }
  std::uint64_t count() const { return count_; }
  Nanoseconds sum() const { return sum_; }
  Nanoseconds min() const { return count_ == 0 ? 0 : min_; }
  Nanoseconds max() const { return max_; }

 private:
  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t count_ = 0;
  Nanoseconds sum_ = 0;
  Nanoseconds min_ = std::numeric_limits<Nanoseconds>::max();
  Nanoseconds max_ = 0;
};

}  // namespace tensorwire

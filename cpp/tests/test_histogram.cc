#include <doctest/doctest.h>

#include <random>

#include "core/histogram.h"

namespace tensorwire {
namespace {

constexpr Nanoseconds kTop = Nanoseconds{1} << Histogram::kTopBit;

TEST_CASE("every bucket begins where the one before it ends") {
  CHECK(Histogram::lower(0) == 0);
  CHECK(Histogram::lower(Histogram::kBuckets) == kTop);
  for (std::size_t b = 0; b < Histogram::kBuckets; ++b) {
    CAPTURE(b);
    REQUIRE(Histogram::lower(b) < Histogram::lower(b + 1));
    REQUIRE(Histogram::bucket(Histogram::lower(b)) == b);
    REQUIRE(Histogram::bucket(Histogram::lower(b + 1) - 1) == b);
  }
}

TEST_CASE("what a bucket holds differs by at most 1/128, from 100 ns to 100 s") {
  for (std::size_t b = Histogram::bucket(100); b <= Histogram::bucket(100_s); ++b) {
    CAPTURE(b);
    const Nanoseconds smallest = Histogram::lower(b);
    const Nanoseconds largest = Histogram::lower(b + 1) - 1;
    REQUIRE((largest - smallest) * 128 <= smallest);
  }
}

TEST_CASE("a duration beyond the top falls in the last bucket, and the largest stays exact") {
  Histogram histogram;
  for (const Nanoseconds value : {kTop - 1, kTop, kTop + 1, 3 * kTop}) histogram.record(value);
  CHECK(histogram.counts().back() == 4);
  CHECK(histogram.max() == 3 * kTop);
  CHECK(histogram.sum() == 6 * kTop);
  CHECK(Histogram::bucket(std::numeric_limits<Nanoseconds>::max()) == Histogram::kBuckets - 1);
}

TEST_CASE("zero and negative durations fall in the first bucket") {
  Histogram histogram;
  histogram.record(0);
  histogram.record(-5);
  CHECK(histogram.counts().front() == 2);
  CHECK(histogram.min() == -5);
  CHECK(histogram.max() == 0);
  CHECK(histogram.sum() == -5);
  CHECK(Histogram::bucket(std::numeric_limits<Nanoseconds>::min()) == 0);
}

TEST_CASE("an empty histogram has no extremes") {
  const Histogram histogram;
  CHECK(histogram.count() == 0);
  CHECK(histogram.sum() == 0);
  CHECK(histogram.min() == 0);
  CHECK(histogram.max() == 0);
}

TEST_CASE("count, sum, smallest and largest are exact") {
  Histogram histogram;
  for (const Nanoseconds value : {52'123, 37'001, 149'999}) histogram.record(value);
  CHECK(histogram.count() == 3);
  CHECK(histogram.sum() == 52'123 + 37'001 + 149'999);
  CHECK(histogram.min() == 37'001);
  CHECK(histogram.max() == 149'999);
}

TEST_CASE("merging gives what recording together gives") {
  std::mt19937_64 random(7);
  Histogram one, other, together;
  for (int i = 0; i < 10'000; ++i) {
    const auto value = static_cast<Nanoseconds>(random() >> (20 + random() % 40));
    (i % 3 == 0 ? one : other).record(value);
    together.record(value);
  }
  one.merge(other);
  one.merge(Histogram{});
  CHECK(one.counts() == together.counts());
  CHECK(one.count() == together.count());
  CHECK(one.sum() == together.sum());
  CHECK(one.min() == together.min());
  CHECK(one.max() == together.max());
}

}  // namespace
}  // namespace tensorwire

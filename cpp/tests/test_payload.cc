#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <new>
#include <set>

#include "core/payload.h"

namespace tensorwire {
namespace {

using Sizes = std::vector<std::vector<std::uint64_t>>;

std::uintptr_t address(Bytes buffer) { return reinterpret_cast<std::uintptr_t>(buffer.data()); }

std::vector<std::byte> content(const PayloadSet& set) {
  std::vector<std::byte> bytes;
  for (const Payload& payload : set.payloads()) {
    for (const Bytes buffer : payload.buffers) bytes.insert(bytes.end(), buffer.begin(), buffer.end());
  }
  return bytes;
}

TEST_CASE("a payload has the sizes asked for, in order") {
  const Sizes sizes{{10, 1'048'576, 0, 4096}, {}, {3}};
  const PayloadSet set(sizes, Fill::zeros, 1);
  REQUIRE(set.payloads().size() == sizes.size());
  for (std::size_t p = 0; p < sizes.size(); ++p) {
    const Payload& payload = set.payloads()[p];
    std::uint64_t total = 0;
    REQUIRE(payload.buffers.size() == sizes[p].size());
    for (std::size_t i = 0; i < sizes[p].size(); ++i) {
      CHECK(payload.buffers[i].size() == sizes[p][i]);
      total += sizes[p][i];
    }
    CHECK(payload.size == total);
  }
  CHECK(set.largest() == 10 + 1'048'576 + 4096);
}

TEST_CASE("large buffers begin on a page, small ones on a cache line, and none overlap") {
  const PayloadSet set(Sizes{{1, 5000, 63, 4096, 4095, 100'000, 2}}, Fill::random, 1);
  std::uintptr_t end = 0;
  for (const Bytes buffer : set.payloads()[0].buffers) {
    CAPTURE(buffer.size());
    CHECK(address(buffer) % (buffer.size() >= 4096 ? 4096 : 64) == 0);
    CHECK(address(buffer) >= end);
    end = address(buffer) + buffer.size();
  }
}

TEST_CASE("buffers of all draws are prefixes of the same memory") {
  const PayloadSet set(Sizes{{10, 8192}, {5000, 1, 7}, {1, 4096}}, Fill::random, 1);
  const auto payloads = set.payloads();
  for (const Payload& payload : payloads) {
    CHECK(payload.buffers[0].data() == payloads[0].buffers[0].data());
    CHECK(payload.buffers[1].data() == payloads[0].buffers[1].data());
  }
}

TEST_CASE("the same seed fills the same bytes, another seed others") {
  const Sizes sizes{{10, 5000, 1}, {4096}};
  for (const Fill fill : {Fill::random, Fill::float32}) {
    CHECK(content(PayloadSet(sizes, fill, 42)) == content(PayloadSet(sizes, fill, 42)));
    CHECK(content(PayloadSet(sizes, fill, 42)) != content(PayloadSet(sizes, fill, 43)));
  }
}

TEST_CASE("zeros are zeros") {
  for (const std::byte byte : content(PayloadSet(Sizes{{1, 100'001}}, Fill::zeros, 9))) {
    REQUIRE(byte == std::byte{0});
  }
}

TEST_CASE("random bytes take every value about equally often") {
  std::vector<int> seen(256);
  for (const std::byte byte : content(PayloadSet(Sizes{{262'144}}, Fill::random, 3))) {
    ++seen[std::to_integer<std::size_t>(byte)];
  }
  for (const int count : seen) {
    CHECK(count > 1024 - 200);  // six deviations
    CHECK(count < 1024 + 200);
  }
}

TEST_CASE("float32 gradients are normal around zero with deviation 1e-3") {
  constexpr std::size_t n = 100'000;
  const PayloadSet set(Sizes{{n * sizeof(float)}}, Fill::float32, 5);
  std::vector<float> values(n);
  std::memcpy(values.data(), set.payloads()[0].buffers[0].data(), n * sizeof(float));
  double sum = 0, squares = 0;
  std::size_t within = 0;
  for (const float value : values) {
    REQUIRE(std::isfinite(value));
    sum += static_cast<double>(value);
    squares += static_cast<double>(value) * static_cast<double>(value);
    within += std::abs(value) < 1e-3f ? 1 : 0;
  }
  CHECK(std::abs(sum / n) < 2e-5);
  CHECK(std::sqrt(squares / n) == doctest::Approx(1e-3).epsilon(0.02));
  CHECK(static_cast<double>(within) / n == doctest::Approx(0.6827).epsilon(0.02));
}

TEST_CASE("one byte is a payload, and so is nothing") {
  const PayloadSet one(Sizes{{1}}, Fill::float32, 1);
  CHECK(one.payloads()[0].size == 1);
  const PayloadSet nothing(Sizes{{}}, Fill::random, 1);
  CHECK(nothing.payloads()[0].size == 0);
  CHECK(PayloadSet(Sizes{}, Fill::random, 1).payloads().empty());
}

TEST_CASE("a payload may have thousands of buffers") {
  const PayloadSet set(Sizes{std::vector<std::uint64_t>(5000, 33)}, Fill::random, 1);
  std::set<const std::byte*> places;
  for (const Bytes buffer : set.payloads()[0].buffers) places.insert(buffer.data());
  CHECK(places.size() == 5000);
  CHECK(set.largest() == 5000 * 33);
}

TEST_CASE("a set outlives being moved") {
  PayloadSet first(Sizes{{100}}, Fill::random, 1);
  const std::vector<std::byte> before = content(first);
  const PayloadSet second = std::move(first);
  CHECK(content(second) == before);
}

TEST_CASE("sizes whose sum wraps are refused") {
  constexpr std::uint64_t half = std::uint64_t{1} << 63;
  CHECK_THROWS_AS(PayloadSet(Sizes{{half, half}}, Fill::zeros, 1), std::bad_alloc);
  CHECK_THROWS_AS(PayloadSet(Sizes{{~std::uint64_t{0}}}, Fill::zeros, 1), std::bad_alloc);
}

TEST_CASE("no two buffers touch, or a stack could send them as one") {
  const std::vector<std::vector<std::uint64_t>> sizes{{64, 1'000'000, 10, 4096, 64, 4096, 1}};
  const PayloadSet set(sizes, Fill::zeros, 1);
  const std::vector<Bytes>& buffers = set.payloads()[0].buffers;
  for (std::size_t i = 1; i < buffers.size(); ++i) {
    CHECK(buffers[i - 1].data() + buffers[i - 1].size() < buffers[i].data());
  }
}

}  // namespace
}  // namespace tensorwire

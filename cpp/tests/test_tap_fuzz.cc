// Seeded nonsense, damaged and cut at random: nothing may be read or written out of bounds, and what is told must
// add up. Run under sanitizers.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "tests/test_tap.h"

using namespace tensorwire::tap;
using namespace tensorwire::tap::test;

namespace {

using Random = std::mt19937;

std::size_t below(Random& random, std::size_t limit) { return random() % limit; }

std::string nonsense(Random& random, std::size_t size) {
  std::string made(size, 0);
  std::generate(made.begin(), made.end(), [&] { return static_cast<char>(random()); });
  return made;
}

std::string some_frame(Random& random) {
  const auto stream = static_cast<std::uint32_t>(2 * below(random, 100) + 1);
  switch (below(random, 4)) {
    case 0:
      return data(stream, message(below(random, 100)));
    case 1:
      return frame(1, static_cast<std::uint32_t>(below(random, 256)), stream, nonsense(random, below(random, 60)));
    case 2:
      return data(stream, message(200).substr(0, below(random, 200)));
    default:
      return frame(static_cast<std::uint32_t>(below(random, 12)), static_cast<std::uint32_t>(below(random, 256)),
                   stream, nonsense(random, below(random, 40)));
  }
}

std::string traffic(Random& random) {
  std::string bytes = below(random, 2) == 0 ? kPreface : frame(4, 0, 0, std::string(6, 's'));
  if (below(random, 8) == 0) bytes.clear();
  for (std::size_t count = below(random, 60); count > 0; --count) bytes += some_frame(random);
  for (std::size_t damage = below(random, 6); damage > 0 && !bytes.empty(); --damage) {
    bytes[below(random, bytes.size())] = static_cast<char>(random());
  }
  bytes.resize(bytes.size() - (bytes.empty() ? 0 : below(random, std::min<std::size_t>(bytes.size(), 30))));
  return bytes;
}

void check(const Found& found, std::size_t bytes) {
  std::uint64_t sum = 0;
  for (const Seen& message : found.messages) {
    CHECK(std::accumulate(message.slices.begin(), message.slices.end(), std::uint64_t{0}) == message.bytes);
    CHECK(message.slices.size() <= Pieces::kSlices);
    sum += message.bytes + 5;
  }
  for (const Block& block : found.blocks) sum += block.bytes.size();
  CHECK(sum <= bytes);
  CHECK(found.protocols.size() <= 2);
}

}  // namespace

TEST_CASE("nothing that is sent harms the parser") {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    Random random(seed);
    const std::string bytes = traffic(random);
    Found found;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t take = std::min(bytes.size() - at, 1 + below(random, 64));
      found.feed(std::string_view(bytes).substr(at, take));
      at += take;
    }
    check(found, bytes.size());
  }
}

TEST_CASE("splits change nothing but the slices") {
  for (unsigned seed = 0; seed < 300; ++seed) {
    Random random(seed);
    const std::string bytes = traffic(random);
    Found whole;
    Found byte_by_byte;
    whole.feed(bytes);
    for (std::size_t at = 0; at < bytes.size(); ++at) byte_by_byte.feed(std::string_view(bytes).substr(at, 1));
    CHECK(whole.protocols == byte_by_byte.protocols);
    CHECK(whole.blocks == byte_by_byte.blocks);
    REQUIRE(whole.messages.size() == byte_by_byte.messages.size());
    for (std::size_t i = 0; i < whole.messages.size(); ++i)
      CHECK(whole.messages[i].bytes == byte_by_byte.messages[i].bytes);
  }
}

// What the ranks of a collective operation bring and find fits together, and what does not is told.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <string>

#include "core/collective.h"
#include "core/errors.h"

namespace tensorwire {
namespace {

constexpr Operation kAll[] = {Operation::all_reduce, Operation::all_gather,   Operation::reduce_scatter,
                              Operation::all_to_all, Operation::all_to_all_v, Operation::broadcast};

std::vector<Collective> parts(Operation operation, std::uint32_t size, std::uint64_t elements) {
  std::vector<Collective> all;
  for (std::uint32_t rank = 0; rank < size; ++rank) all.push_back({operation, rank, size, elements});
  return all;
}

std::vector<float> in_all(const Elements& elements) { return {elements.all().begin(), elements.all().end()}; }

TEST_CASE("what is brought and found has the size that it is said to have") {
  for (const Operation operation : kAll) {
    for (const std::uint32_t size : {1u, 2u, 3u, 7u, 64u}) {
      for (const Collective& part : parts(operation, size, 12ull * size)) {
        CHECK(brought(part).all().size() == part.sent());
        CHECK(expected(part).all().size() == part.received());
        CHECK(brought(part).payload().size == 4 * part.sent());
        CHECK(brought(part).payload().buffers.size() == (part.sent() > 0 ? 1 : 0));
      }
    }
  }
}

TEST_CASE("of an all-to-all every rank sends, receives and keeps as much as any other") {
  for (const Operation operation : {Operation::all_to_all, Operation::all_to_all_v}) {
    for (const std::uint32_t size : {1u, 2u, 3u, 5u, 8u, 64u}) {
      for (const Collective& part : parts(operation, size, 20ull * size)) {
        std::uint64_t to = 0;
        std::uint64_t from = 0;
        for (std::uint32_t peer = 0; peer < size; ++peer) {
          to += part.to(peer);
          from += part.from(peer);
          Collective theirs = part;
          theirs.rank = peer;
          CHECK(theirs.to(part.rank) == part.from(peer));
        }
        CHECK(to == part.elements);
        CHECK(from == part.elements);
        CHECK(part.to(part.rank) == part.share());
      }
    }
  }
}

TEST_CASE("the one with varying counts sends more, the further away the peer is") {
  const Collective part{Operation::all_to_all_v, 1, 4, 400};
  CHECK(part.to(1) == 100);
  CHECK(part.to(2) == 50);
  CHECK(part.to(3) == 100);
  CHECK(part.to(0) == 150);
}

TEST_CASE("a sum is that of what all bring, exactly") {
  const auto all = parts(Operation::all_reduce, 1024, 20'000);
  std::vector<double> sum(20'000, 0);
  for (const Collective& part : all) {
    const std::vector<float> mine = in_all(brought(part));
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += mine[i];
  }
  const std::vector<float> found = in_all(expected(all[5]));
  CHECK(std::equal(sum.begin(), sum.end(), found.begin(), found.end(), [](double a, float b) { return a == b; }));
  CHECK(*std::max_element(sum.begin(), sum.end()) < 16'777'216.0);  // 2^24: whole numbers below are float32s
}

TEST_CASE("a rank's part of the sum is the one at its place") {
  const std::vector<float> whole = in_all(expected({Operation::all_reduce, 0, 3, 30'000}));
  for (const Collective& part : parts(Operation::reduce_scatter, 3, 30'000)) {
    const std::vector<float> mine = in_all(expected(part));
    CHECK(std::equal(mine.begin(), mine.end(), whole.begin() + part.rank * 10'000));
  }
}

TEST_CASE("what is gathered is what the ranks bring, in their order") {
  std::vector<float> whole;
  for (const Collective& part : parts(Operation::all_gather, 3, 30)) {
    const std::vector<float> mine = in_all(brought(part));
    whole.insert(whole.end(), mine.begin(), mine.end());
  }
  CHECK(in_all(expected({Operation::all_gather, 2, 3, 30})) == whole);
}

TEST_CASE("what is dealt out comes from where it lay at its sender") {
  for (const Operation operation : {Operation::all_to_all, Operation::all_to_all_v}) {
    const auto all = parts(operation, 5, 500);
    for (const Collective& part : all) {
      std::vector<float> wanted;
      for (const Collective& sender : all) {
        const std::vector<float> theirs = in_all(brought(sender));
        std::uint64_t begin = 0;
        for (std::uint32_t peer = 0; peer < part.rank; ++peer) begin += sender.to(peer);
        const auto first = theirs.begin() + static_cast<std::ptrdiff_t>(begin);
        wanted.insert(wanted.end(), first, first + static_cast<std::ptrdiff_t>(sender.to(part.rank)));
      }
      CHECK(in_all(expected(part)) == wanted);
    }
  }
}

TEST_CASE("only the root of a broadcast brings something, and it finds nothing new") {
  const auto all = parts(Operation::broadcast, 3, 9);
  CHECK(in_all(brought(all[0])) == in_all(expected(all[2])));
  CHECK(all[0].received() == 0);
  CHECK(all[1].sent() == 0);
}

TEST_CASE("no two ranks bring the same") {
  CHECK(in_all(brought({Operation::all_gather, 0, 2, 20})) != in_all(brought({Operation::all_gather, 1, 2, 20})));
}

TEST_CASE("wrong elements are counted, and the first is named") {
  const std::vector<float> wanted{1, 2, 3, 4};
  CHECK_NOTHROW(compare(wanted, wanted));
  CHECK_THROWS_WITH_AS(compare(wanted, std::vector<float>{1, 7, 3, 8}),
                       "2 of 4 elements are wrong: element 1 is 7.000000 and must be 2.000000", WrongBytes);
  CHECK_THROWS_WITH_AS(compare(wanted, std::vector<float>{1}), "the operation left 1 elements of 4", WrongBytes);
}

TEST_CASE("there is no memory for what cannot be") {
  CHECK_THROWS_AS(Elements(std::uint64_t{1} << 62), std::bad_alloc);
}

}  // namespace
}  // namespace tensorwire

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <limits>
#include <new>

#include "channels/null.h"
#include "core/loop.h"
#include "scripted.h"

static std::size_t allocations = 0;  // of this program so far; it has one thread

// Not inlined: gcc takes malloc in a replaced `new` and free in its `delete` for a mismatch where it sees only one.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {  // of std::stable_sort
  ++allocations;
  return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace tensorwire {
namespace {

std::uint64_t calls_above(const Recording& recording, Nanoseconds latency) {
  std::uint64_t calls = 0;
  const auto& counts = recording.latency().counts();
  for (std::size_t b = Histogram::bucket(latency) + 1; b < counts.size(); ++b) calls += counts[b];
  return calls;
}

TEST_CASE("closed loop: calls, bytes, latencies and time are exact") {
  Bench bench(always(10_us));
  const Recording seen = bench.run({.duration = 1_ms});
  CHECK(seen.calls() == 100);
  CHECK(seen.moved().sent == 100 * 100);
  CHECK(seen.latency().min() == 10_us);
  CHECK(seen.latency().max() == 10_us);
  CHECK(seen.latency().sum() == 1_ms);
  CHECK(seen.begin() == 5_s);
  CHECK(seen.elapsed() == 1_ms);
  CHECK(seen.missed() == 0);
}

TEST_CASE("closed loop: the call that straddles the end counts, and the time runs to its reply") {
  Bench bench(always(300_us));
  const Recording seen = bench.run({.duration = 1_ms});
  CHECK(seen.calls() == 4);
  CHECK(seen.elapsed() == 1200_us);
  CHECK(bench.server.started.size() == 4);
}

TEST_CASE("closed loop: the first call starts even when there is no time for it") {
  Bench bench(always(10_us));
  CHECK(bench.run({.slots = 4, .duration = 0}).calls() == 1);
}

TEST_CASE("closed loop: replies that come together have each their own latency") {
  Bench bench([](const Scripted::Started& call, std::size_t) { return 5_s + 100_us - call.at; });
  bench.server.starting = 10_us;
  const Recording seen = bench.run({.slots = 3, .duration = 50_us});
  CHECK(seen.calls() == 3);
  CHECK(seen.latency().max() == 100_us);
  CHECK(seen.latency().min() == 80_us);
  CHECK(seen.latency().sum() == 100_us + 90_us + 80_us);
  CHECK(seen.elapsed() == 100_us);
}

TEST_CASE("closed loop: no call starts after the end, however long starting takes") {
  Bench bench(always(1_ms));
  bench.server.starting = 400_us;
  const Recording seen = bench.run({.slots = 8, .duration = 2_ms});
  CHECK(seen.calls() == bench.server.started.size());
  for (const auto& call : bench.server.started) CHECK(call.at < 5_s + 2_ms);
}

TEST_CASE("closed loop: all slots are kept in flight, and never more") {
  Bench bench([](const Scripted::Started& call, std::size_t) { return (call.call.slot + 1) * 100_us; });
  const Recording seen = bench.run({.slots = 4, .reply = Reply::acknowledge, .duration = 12_ms});
  CHECK(bench.server.most == 4);
  REQUIRE(seen.slots().size() == 4);
  for (std::uint32_t slot = 0; slot < 4; ++slot) {
    const std::uint64_t calls = 120 / (slot + 1);
    CHECK(seen.slots()[slot].calls == calls);
    CHECK(seen.slots()[slot].latency_ns == 12_ms);
  }
  CHECK(seen.calls() == 120 + 60 + 40 + 30);
  CHECK(seen.latency().sum() == 4 * 12_ms);
  for (const auto& call : bench.server.started) CHECK(call.call.reply == Reply::acknowledge);
}

TEST_CASE("a loop stops after as many calls as it was told") {
  for (const std::uint64_t most : {1u, 3u, 4u, 5u, 17u}) {
    for (const auto& arrivals : {std::optional<Arrivals>{}, std::optional<Arrivals>{{.rate = 1000}}}) {
      Bench bench(always(10_us));
      const Recording seen = bench.run({.slots = 4, .max_calls = most, .arrivals = arrivals});
      CHECK(seen.calls() == most);
      CHECK(seen.missed() == 0);
    }
  }
}

TEST_CASE("a duration without limit is a fair request") {
  for (const auto& arrivals : {std::optional<Arrivals>{}, std::optional<Arrivals>{{.rate = 1e-3, .poisson = true}}}) {
    for (const bool spin : {false, true}) {
      Bench bench(always(10_us));
      const Load load{.duration = kNever, .max_calls = 5, .timeout = 1_s, .spin = spin, .arrivals = arrivals};
      CHECK(bench.run(load).calls() == 5);
    }
  }
  Bench bench(always(10_us));
  const Recording seen = bench.run({.duration = kNever, .max_calls = 1, .arrivals = {{.rate = 1e-300}}});
  CHECK(seen.calls() == 1);
}

TEST_CASE("payloads take turns, and each call counts its own bytes") {
  for (const auto& arrivals : {std::optional<Arrivals>{}, std::optional<Arrivals>{{.rate = 50'000}}}) {
    Bench bench(always(10_us), {{1, 2}, {30}, {}});
    const Recording seen = bench.run({.slots = 2, .max_calls = 8, .arrivals = arrivals});
    CHECK(seen.moved().sent == 3 * 3 + 3 * 30 + 2 * 0);
    std::uint32_t turns[] = {0, 1};  // slot s begins with the s-th
    for (const auto& [call, at] : bench.server.started) CHECK(call.payload == turns[call.slot]++ % 3);
  }
}

TEST_CASE("the series shows a stall in the interval where it ended") {
  Bench bench([](const Scripted::Started&, std::size_t n) { return n == 500 ? 205_ms : 1_ms; });
  const Recording seen = bench.run({.duration = 1_s});
  REQUIRE(seen.interval() == 10_ms);
  REQUIRE(seen.series().size() == 100);
  std::uint64_t calls = 0, bytes = 0;
  for (std::size_t i = 0; i < 100; ++i) {
    CAPTURE(i);
    const Interval& interval = seen.series()[i];
    calls += interval.calls;
    bytes += interval.bytes;
    if (i > 50 && i < 70) CHECK(interval.calls == 0);
    if (i > 0 && i < 50) CHECK(interval.calls == 10);
    CHECK(interval.max_ns == (i == 70 ? 205_ms : interval.calls > 0 ? 1_ms : 0));
  }
  CHECK(calls == seen.calls());
  CHECK(bytes == seen.moved().sent);
}

TEST_CASE("the last interval holds the replies that come after the end") {
  Bench bench(always(30_s));
  const Recording seen = bench.run({.slots = 2, .duration = 1_s, .timeout = 60_s});
  CHECK(seen.series().back().calls == 2);
  CHECK(seen.series().back().max_ns == 30_s);
  CHECK(seen.elapsed() == 30_s);
}

TEST_CASE("a reply that is not as long as its call is WrongBytes") {
  for (const std::int64_t lost : {1, -1, 100}) {
    for (const auto& arrivals : {std::optional<Arrivals>{}, std::optional<Arrivals>{{.rate = 1000}}}) {
      Bench bench(always(10_us));
      bench.server.lost = lost;
      CHECK_THROWS_AS(bench.run({.arrivals = arrivals}), WrongBytes);
    }
  }
}

TEST_CASE("a server that says nothing is a TransferTimeout, once the time is up") {
  for (const auto& arrivals : {std::optional<Arrivals>{}, std::optional<Arrivals>{{.rate = 0.1}}}) {
    for (const bool spin : {false, true}) {
      for (const std::uint32_t slots : {1u, 3u}) {
        Bench bench([](const Scripted::Started&, std::size_t n) { return n < 1 ? 10_us : kNever; });
        const Load load{.slots = slots, .duration = 60_s, .timeout = 10_ms, .spin = spin, .arrivals = arrivals};
        CHECK_THROWS_AS(bench.run(load), TransferTimeout);
        const Nanoseconds last = bench.server.started.back().at;
        CHECK(bench.clock.now() >= last + 10_ms);
        CHECK(bench.clock.now() <= last + 10_ms + 100_us);
      }
    }
  }
}

TEST_CASE("a loop that spins never blocks, one that blocks never looks") {
  for (const bool spin : {false, true}) {
    Bench bench(always(10_us));
    const Recording seen = bench.run({.slots = 2, .duration = 1_ms, .spin = spin});
    CHECK(seen.calls() == 200);
    CHECK(seen.latency().sum() == 200 * 10_us);
    CHECK((bench.server.looks > 0) == spin);
  }
}

TEST_CASE("open loop: on an idle server a latency is the time that the call took") {
  for (const bool spin : {false, true}) {
    Bench bench(always(10_us));
    const Recording seen = bench.run({.slots = 4, .duration = 1_s, .spin = spin, .arrivals = {{.rate = 1000}}});
    CHECK(seen.calls() == 1000);
    CHECK(seen.missed() == 0);
    CHECK(seen.latency().min() == 10_us);
    CHECK(seen.latency().max() == 10_us);
    for (std::size_t n = 0; n < 1000; ++n) {
      REQUIRE(bench.server.started[n].at == 5_s + static_cast<Nanoseconds>(n) * 1_ms);
    }
  }
}

TEST_CASE("open loop: calls start when they are due while others are in flight") {
  Bench bench(always(35_ms));
  const Recording seen = bench.run({.slots = 8, .duration = 1_s, .arrivals = {{.rate = 100}}});
  CHECK(seen.calls() == 100);
  CHECK(bench.server.most == 4);
  CHECK(seen.latency().min() == 35_ms);
  CHECK(seen.latency().max() == 35_ms);
  CHECK(seen.elapsed() == 990_ms + 35_ms);
}

TEST_CASE("open loop: a light load visits every slot in turn") {
  Bench bench(always(10_us));
  const Recording seen = bench.run({.slots = 3, .duration = 300_ms, .arrivals = {{.rate = 1000}}});
  for (const SlotCount& slot : seen.slots()) CHECK(slot.calls == 100);
}

TEST_CASE("open loop: a stall is felt by every call that was due in it; a closed loop hides it") {
  const auto stalls = [](const Scripted::Started&, std::size_t n) { return n == 1000 ? 1_s : 100_us; };
  Bench closed(stalls);
  const Recording hidden = closed.run({.duration = 10_s});
  CHECK(calls_above(hidden, 1_ms) == 1);
  CHECK(hidden.latency().max() == 1_s);

  Bench open(stalls);
  const Recording felt = open.run({.duration = 10_s, .arrivals = {{.rate = 1000}}});
  CHECK(felt.calls() == 10'000);
  CHECK(felt.missed() == 0);
  CHECK(felt.latency().max() == 1_s);
  // The first call of the stall waits 1 s, each one after it 0.9 ms less, until it has caught up.
  CHECK(calls_above(felt, 1_ms) == doctest::Approx(1_s / 900_us).epsilon(0.01));
  CHECK(calls_above(felt, 500_ms) == doctest::Approx(500_ms / 900_us).epsilon(0.01));
}

TEST_CASE("open loop: what a saturated server never got is counted as missed") {
  Bench bench(always(10_ms));
  const Recording seen = bench.run({.duration = 1_s, .arrivals = {{.rate = 1000}}});
  CHECK(seen.calls() == 100);
  CHECK(seen.missed() == 900);
  CHECK(seen.elapsed() == 1_s);
  // Call k was due after k ms and came back after 10 (k + 1) ms.
  CHECK(seen.latency().min() == 10_ms);
  CHECK(seen.latency().max() == 901_ms);
  CHECK(seen.latency().sum() == 45'550_ms);
}

TEST_CASE("open loop: no more calls are missed than were asked for") {
  Bench bench(always(10_ms));
  const Recording seen = bench.run({.duration = 1_s, .max_calls = 150, .arrivals = {{.rate = 1000}}});
  CHECK(seen.calls() == 100);
  CHECK(seen.missed() == 50);
}

TEST_CASE("open loop: no call starts after the end") {
  Bench bench(always(300_ms));
  const Recording seen = bench.run({.slots = 2, .duration = 1_s, .arrivals = {{.rate = 100}}});
  for (const auto& call : bench.server.started) CHECK(call.at < 6_s);
  CHECK(seen.calls() == bench.server.started.size());
  CHECK(seen.calls() + seen.missed() == 100);
}

std::vector<Nanoseconds> poisson_starts(std::uint64_t seed) {
  Bench bench(always(1_us));
  bench.run({.slots = 8, .duration = 20_s, .arrivals = {{.rate = 1000, .poisson = true, .seed = seed}}});
  std::vector<Nanoseconds> starts;
  for (const auto& call : bench.server.started) starts.push_back(call.at);
  return starts;
}

TEST_CASE("open loop: Poisson arrivals have exponential gaps of the mean asked for") {
  const std::vector<Nanoseconds> starts = poisson_starts(1);
  CHECK(static_cast<double>(starts.size()) == doctest::Approx(20'000).epsilon(0.04));  // over five deviations
  double sum = 0, squares = 0;
  for (std::size_t n = 1; n < starts.size(); ++n) {
    const auto gap = static_cast<double>(starts[n] - starts[n - 1]);
    sum += gap;
    squares += gap * gap;
  }
  const double mean = sum / static_cast<double>(starts.size() - 1);
  const double mean_square = squares / static_cast<double>(starts.size() - 1);
  CHECK(mean == doctest::Approx(1e6).epsilon(0.04));
  CHECK(mean_square == doctest::Approx(2 * mean * mean).epsilon(0.1));
}

TEST_CASE("open loop: the seed is the schedule") {
  CHECK(poisson_starts(7) == poisson_starts(7));
  CHECK(poisson_starts(7) != poisson_starts(8));
}

TEST_CASE("over the null channel every call comes back at once, and the loop allocates nothing") {
  const PayloadSet payloads(std::vector<std::vector<std::uint64_t>>{{10, 20}, {5}}, Fill::random, 1);
  const auto caller = null_caller(4);
  caller->prepare(payloads.payloads(), {});
  SteadyClock clock;
  for (const auto& arrivals : {std::optional<Arrivals>{}, std::optional<Arrivals>{{.rate = 1e9, .poisson = true}}}) {
    for (const std::uint64_t calls : {4u, 40u, 10'000u}) {
      const Load load{.slots = 4, .duration = 3600_s, .max_calls = calls, .arrivals = arrivals};
      Loop<SteadyClock> loop(*caller, payloads.payloads(), load, clock);
      const std::size_t before = allocations;
      const Recording seen = loop.run();
      const std::size_t taken = allocations - before;
      CHECK(taken == 0);
      CHECK(seen.calls() == calls);
      CHECK(seen.moved().sent == calls / 2 * 35);
      CHECK(seen.elapsed() >= seen.latency().max());
      for (const SlotCount& slot : seen.slots()) CHECK(slot.calls == calls / 4);
    }
  }
}

TEST_CASE("a step allocates nothing either") {
  const PayloadSet payloads(std::vector<std::vector<std::uint64_t>>{{10, 20}}, Fill::random, 1);
  const PayloadSet answers(std::vector<std::vector<std::uint64_t>>{{5}, {}}, Fill::random, 1);
  const auto caller = null_caller(4);
  caller->prepare(payloads.payloads(), answers.payloads());
  const Traffic traffic(payloads.payloads(), answers.payloads());
  Script script{.steps = {{.begin = 0, .phases = {{}, {}}}}, .period = 0};
  for (std::uint32_t n = 0; n < 100; ++n) script.steps[0].phases[n % 2].push_back({n % 3 % 2, {0, n % 2}});
  SteadyClock clock;
  const Load load{.slots = 4, .duration = 3600_s, .max_calls = 50};
  StepLoop<SteadyClock> loop(*caller, traffic, script, 2, load, clock);
  const std::size_t before = allocations;
  const Recording seen = loop.run();
  const std::size_t taken = allocations - before;
  CHECK(taken == 0);
  CHECK(seen.calls() == 50);
  CHECK(seen.moved().sent == 50 * 100 * 30);
  CHECK(seen.moved().received == 50 * 50 * 5);
}

}  // namespace
}  // namespace tensorwire

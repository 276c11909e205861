// Training steps on a clock that is turned by hand.
#include <doctest/doctest.h>

#include "core/errors.h"
#include "scripted.h"

namespace tensorwire {
namespace {

using Sizes = Bench::Sizes;

const Sizes kRequests{{10}, {1000, 1}};
const Sizes kAnswers{{}, {5000}, {20}};

/// Two pulls from peer 0 and one from peer 1, then a push to each.
Step a_step(Nanoseconds begin = 0) {
  return {.begin = begin, .phases = {{{0, {0, 1}}, {1, {0, 1}}, {0, {0, 2}}}, {{1, {1, 2}}, {0, {1, 0}}}}};
}
constexpr std::uint64_t kSent = 3 * 10 + 2 * 1001, kReceived = 5000 + 5000 + 20 + 20 + 0;

TEST_CASE("a step is one latency: from its begin to its last reply, with the bytes of both directions") {
  Bench bench(always(100_us), kRequests, kAnswers);
  const Recording seen = bench.run({.steps = {a_step()}}, 2, {.slots = 2, .max_calls = 3});
  CHECK(seen.calls() == 3);
  // One in flight to each peer: two pulls of peer 0 one after the other, then both pushes together.
  CHECK(seen.latency().min() == 300_us);
  CHECK(seen.latency().max() == 300_us);
  CHECK(seen.elapsed() == 900_us);
  CHECK(seen.moved().sent == 3 * kSent);
  CHECK(seen.moved().received == 3 * kReceived);
  CHECK(seen.slots()[0].calls == 3 * 3);
  CHECK(seen.slots()[1].calls == 3 * 2);
  CHECK(seen.slots()[0].latency_ns == 9 * 100_us);
}

TEST_CASE("as many calls as there are slots are in flight to each peer, in their order") {
  Step step{.begin = 0, .phases = {{}}};
  for (std::uint32_t n = 0; n < 12; ++n) step.phases[0].push_back({n % 3 == 0 ? 1u : 0u, {n % 2, n % 3}});
  Bench bench([](const Scripted::Started& call, std::size_t) { return call.call.slot % 2 == 1 ? 70_us : 100_us; },
              kRequests, kAnswers);
  bench.run({.steps = {step}}, 2, {.slots = 6, .max_calls = 1});
  REQUIRE(bench.server.started.size() == 12);
  CHECK(bench.server.most == 6);
  for (const std::uint32_t peer : {0u, 1u}) {
    std::vector<Call> asked;
    for (const auto& [call, _] : bench.server.started) {
      if (call.slot % 2 == peer) asked.push_back(call);
    }
    std::size_t at = 0;
    for (const StepCall& call : step.phases[0]) {
      if (call.peer != peer) continue;
      REQUIRE(at < asked.size());
      CHECK(asked[at].payload == call.message.payload);
      CHECK(asked[at].reply == Reply::recorded);
      CHECK(asked[at].answer == call.message.answer);
      ++at;
    }
    CHECK(at == asked.size());
  }
}

TEST_CASE("no push begins before every pull is back") {
  Bench bench([](const Scripted::Started&, std::size_t n) { return n == 1 ? 9_ms : 1_ms; }, kRequests, kAnswers);
  bench.run({.steps = {a_step()}}, 2, {.slots = 8, .max_calls = 1});
  const auto& started = bench.server.started;
  REQUIRE(started.size() == 5);
  for (std::size_t n = 0; n < 3; ++n) CHECK(started[n].at == 5_s);
  for (std::size_t n = 3; n < 5; ++n) CHECK(started[n].at == 5_s + 9_ms);
}

TEST_CASE("steps come in turn, and none begins after the end") {
  Bench bench(always(1_ms), kRequests, kAnswers);
  const Step one{.begin = 0, .phases = {{{0, {0, 0}}}}}, other{.begin = 0, .phases = {{}, {{0, {1, 1}}}}};
  const Recording seen = bench.run({.steps = {one, other}}, 1, {.slots = 1, .duration = 4500_us});
  CHECK(seen.calls() == 5);
  CHECK(seen.elapsed() == 5_ms);
  for (std::size_t n = 0; n < 5; ++n) CHECK(bench.server.started[n].call.payload == n % 2);
  Bench late(always(1_ms), kRequests, kAnswers);
  CHECK(late.run({.steps = {one}}, 1, {.slots = 1, .duration = 0}).calls() == 1);
}

TEST_CASE("paced: calls begin when they are due in their step, and the wait for that is no communication") {
  Step step = a_step();
  step.phases[0][0].due = 10_ms;
  step.phases[0][1].due = 10_ms;
  step.phases[0][2].due = 30_ms;
  step.phases[1][0].due = 5_ms;  // long before the pulls are back
  step.phases[1][1].due = 50_ms;
  for (const bool spin : {false, true}) {
    Bench bench(always(1_ms), kRequests, kAnswers);
    const Load load{.slots = 4, .max_calls = 1, .spin = spin};
    const Recording seen = bench.run({.steps = {step}, .period = 100_ms}, 2, load);
    const Nanoseconds expected[] = {10_ms, 10_ms, 30_ms, 31_ms, 50_ms};
    REQUIRE(bench.server.started.size() == 5);
    for (std::size_t n = 0; n < 5; ++n) CHECK(bench.server.started[n].at == 5_s + expected[n]);
    CHECK(seen.elapsed() == 51_ms);
    CHECK(seen.latency().max() == 4_ms);  // the first two together, and three alone
  }
}

TEST_CASE("paced: while a reply is awaited, calls that become due begin") {
  Step step{.begin = 0, .phases = {{{0, {0, 0}, 0}, {0, {0, 0}, 20_ms}, {0, {0, 0}, 40_ms}}}};
  Bench bench(always(100_ms), kRequests, kAnswers);
  const Recording seen = bench.run({.steps = {step}}, 1, {.slots = 3, .max_calls = 1});
  for (std::size_t n = 0; n < 3; ++n) {
    const Nanoseconds due = 5_s + static_cast<Nanoseconds>(n) * 20_ms;
    CHECK(bench.server.started[n].at >= due);
    CHECK(bench.server.started[n].at <= due + 2_us);
  }
  CHECK(seen.latency().max() == seen.elapsed());
}

TEST_CASE("paced: a step begins no sooner than it did, nor before the last one is over") {
  const Step one = {.begin = 0, .phases = {{{0, {0, 0}}}}}, other = {.begin = 10_ms, .phases = one.phases};
  const Script script{.steps = {one, other}, .period = 30_ms};
  Bench quick(always(1_ms), kRequests, kAnswers);
  const Recording seen = quick.run(script, 1, {.slots = 1, .max_calls = 5});
  const Nanoseconds begins[] = {0, 10_ms, 30_ms, 40_ms, 60_ms};
  for (std::size_t n = 0; n < 5; ++n) CHECK(quick.server.started[n].at == 5_s + begins[n]);
  CHECK(seen.latency().max() == 1_ms);

  Bench slow(always(25_ms), kRequests, kAnswers);
  slow.run(script, 1, {.slots = 1, .max_calls = 4});
  for (std::size_t n = 0; n < 4; ++n) CHECK(slow.server.started[n].at == 5_s + static_cast<Nanoseconds>(n) * 25_ms);

  Bench ends(always(1_ms), kRequests, kAnswers);
  CHECK(ends.run(script, 1, {.slots = 1, .duration = 35_ms}).calls() == 3);
}

TEST_CASE("a step ends in TransferTimeout or WrongBytes as a call does") {
  for (const bool spin : {false, true}) {
    Bench silent([](const Scripted::Started&, std::size_t n) { return n == 3 ? kNever : 1_ms; }, kRequests, kAnswers);
    const Load load{.slots = 2, .timeout = 10_ms, .spin = spin};
    CHECK_THROWS_AS(silent.run({.steps = {a_step()}}, 2, load), TransferTimeout);
  }
  Bench wrong(always(1_ms), kRequests, kAnswers);
  wrong.server.lost = 1;
  CHECK_THROWS_AS(wrong.run({.steps = {a_step()}}, 2, {.slots = 2}), WrongBytes);
}

}  // namespace
}  // namespace tensorwire

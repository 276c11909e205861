// Messages in a recorded order, with recorded replies, at recorded times.
#include <doctest/doctest.h>

#include "core/errors.h"
#include "scripted.h"

namespace tensorwire {
namespace {

TEST_CASE("messages are sent in their order over all slots, again and again, and ask for their answers") {
  for (const auto& arrivals : {std::optional<Arrivals>{}, std::optional<Arrivals>{{.rate = 50'000}}}) {
    Bench bench([](const Scripted::Started&, std::size_t n) { return (1 + n % 3) * 10_us; }, {{1, 2}, {30}},
                {{}, {7, 8}});
    bench.messages = {{0, 1}, {1}, {1, 0}, {0, 1}, {0}};
    const Recording seen = bench.run({.slots = 3, .reply = Reply::acknowledge, .max_calls = 10, .arrivals = arrivals});
    CHECK(seen.calls() == 10);
    CHECK(seen.moved().sent == 2 * (3 + 30 + 30 + 3 + 3));
    CHECK(seen.moved().received == 2 * (15 + 0 + 0 + 15 + 0));
    for (std::size_t n = 0; n < 10; ++n) {
      CAPTURE(n);
      const Message& message = bench.messages[n % 5];
      const Call& call = bench.server.started[n].call;
      CHECK(call.payload == message.payload);
      CHECK(call.reply == (message.answer == Message::kNone ? Reply::acknowledge : Reply::recorded));
      if (message.answer != Message::kNone) CHECK(call.answer == message.answer);
    }
  }
}

TEST_CASE("an echo brings as much as was sent, an acknowledgement nothing") {
  for (const Reply reply : {Reply::echo, Reply::acknowledge}) {
    Bench bench(always(10_us));
    const Recording seen = bench.run({.reply = reply, .max_calls = 4});
    CHECK(seen.moved().sent == 400);
    CHECK(seen.moved().received == (reply == Reply::echo ? 400 : 0));
  }
}

TEST_CASE("a recorded reply of another length than its answer is WrongBytes") {
  for (const std::int64_t lost : {1, -1}) {
    Bench bench(always(10_us), {{100}}, {{50}});
    bench.messages = {{0, 0}};
    bench.server.lost = lost;
    CHECK_THROWS_WITH_AS(bench.run({.max_calls = 1}), doctest::Contains("an answer of 50 B"), WrongBytes);
  }
}

TEST_CASE("calls are due at the recorded gaps, round after round, and none is left out of an idle server") {
  Bench bench(always(10_us));
  const std::vector<Nanoseconds> gaps{0, 3_ms, 500_us, 10_ms};
  const Recording seen = bench.run({.slots = 4, .max_calls = 9, .arrivals = {{.rate = 1, .gaps = gaps}}});
  CHECK(seen.calls() == 9);
  Nanoseconds due = 5_s;
  for (std::size_t n = 0; n < 9; ++n) {
    CAPTURE(n);
    CHECK(bench.server.started[n].at - due <= 2_us);  // a look at the server takes 1 us
    CHECK(bench.server.started[n].at >= due);
    due += gaps[n % 4];
  }
}

TEST_CASE("recorded arrivals: latency counts from when a call was due, and what never began is missed") {
  Bench bench(always(10_ms));
  const Load load{.duration = 100_ms, .arrivals = {{.rate = 1, .gaps = {1_ms, 3_ms}}}};
  const Recording seen = bench.run(load);
  CHECK(seen.calls() == 10);
  CHECK(seen.calls() + seen.missed() == 50);  // two in every 4 ms
  CHECK(seen.latency().min() == 10_ms);
  CHECK(seen.latency().max() == 100_ms - 17_ms);  // call 9 was due after 4 * 4 + 1 ms
}

}  // namespace
}  // namespace tensorwire

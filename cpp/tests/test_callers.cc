#include <doctest/doctest.h>

#include <limits>

#include "channels/null.h"
#include "core/errors.h"
#include "rank/callers.h"
#include "rank/facts.h"

namespace tensorwire {
namespace {

using Slots = std::vector<std::uint32_t>;
using nlohmann::json;

/// Nothing moves; what was asked of it is kept.
class Asked final : public Channel {
 public:
  std::vector<Slots> callers;

  std::unique_ptr<Caller> caller(std::span<const std::uint32_t> slots) override {
    callers.emplace_back(slots.begin(), slots.end());
    return null_caller(static_cast<std::uint32_t>(slots.size()));
  }
  void answer_with(std::span<const Payload>) override {}
  Served served() const override { return {}; }
  Settings settings() const override { return {}; }
};

class Broken final : public Caller {
 public:
  void prepare(std::span<const Payload>, std::span<const Payload>) override {}
  void call(Call) override { throw PeerLost("gone"); }
  std::size_t wait(std::span<Completion>, Nanoseconds) override { return 0; }
  void reply(std::uint32_t, const Sink&) override {}
};

/// The second caller that is made is broken.
class HalfBroken final : public Channel {
 public:
  std::unique_ptr<Caller> caller(std::span<const std::uint32_t> slots) override {
    if (made_++ == 1) return std::make_unique<Broken>();
    return null_caller(static_cast<std::uint32_t>(slots.size()));
  }
  void answer_with(std::span<const Payload>) override {}
  Served served() const override { return {}; }
  Settings settings() const override { return {}; }

 private:
  int made_ = 0;
};

Plan plan_of(const Slots& calls, std::uint32_t outstanding, std::uint32_t threads) {
  Plan plan;
  plan.ranks = {{.serves = false, .host = "", .port = 0, .calls = calls, .script = 0, .cores = {}}};
  plan.outstanding = outstanding;
  plan.threads = threads;
  return plan;
}

const PayloadSet kPayloads(std::vector<std::vector<std::uint64_t>>{{100}}, Fill::zeros, 1);

TEST_CASE("the calls in flight to each peer are dealt out to the threads") {
  struct Deal {
    Slots calls;
    std::uint32_t outstanding, threads;
    std::vector<Slots> dealt;
  };
  const Deal deals[] = {
      {{7}, 1, 1, {{7}}},
      {{7}, 3, 1, {{7, 7, 7}}},
      {{7}, 3, 2, {{7, 7}, {7}}},
      {{7, 8}, 1, 4, {{7}, {8}}},  // no thread without a slot
      {{7, 8, 9}, 2, 2, {{7, 9, 8}, {8, 7, 9}}},
      {{}, 4, 2, {}},
  };
  for (const Deal& deal : deals) {
    Asked channel;
    const Callers callers(plan_of(deal.calls, deal.outstanding, deal.threads), 0, channel);
    CHECK(channel.callers == deal.dealt);
    CHECK(callers.empty() == deal.dealt.empty());
    for (std::size_t thread = 0; thread < deal.dealt.size(); ++thread) {
      CHECK(callers.peers(thread) == deal.dealt[thread]);
    }
  }
}

TEST_CASE("the rate of a rank is shared by its slots, so that every peer gets as much") {
  Plan plan = plan_of({7, 8, 9}, 1, 2);
  plan.load.arrivals = Arrivals{.rate = 30'000};
  Asked channel;
  Callers callers(plan, 0, channel);
  callers.prepare(kPayloads.payloads());
  const std::vector<Recording> seen = callers.run(kPayloads.payloads(), 10_ms, 0);
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].calls() + seen[0].missed() == 200);  // two slots of the three
  CHECK(seen[1].calls() + seen[1].missed() == 100);
}

TEST_CASE("every thread has Poisson arrivals of its own") {
  Plan plan = plan_of({7, 8}, 1, 2);
  plan.load.arrivals = Arrivals{.rate = 1e6, .poisson = true, .seed = 3};
  Asked channel;
  Callers callers(plan, 0, channel);
  callers.prepare(kPayloads.payloads());
  const std::vector<Recording> seen = callers.run(kPayloads.payloads(), 10_ms, 0);
  CHECK(seen[0].calls() + seen[0].missed() != seen[1].calls() + seen[1].missed());
}

TEST_CASE("the error of any thread is the error of all") {
  HalfBroken channel;
  Callers callers(plan_of({7}, 3, 3), 0, channel);
  callers.prepare(kPayloads.payloads());
  CHECK_THROWS_AS(callers.run(kPayloads.payloads(), 1_s, 10), PeerLost);
}

TEST_CASE("what the threads saw is one measurement of the rank") {
  Asked channel;
  const Callers callers(plan_of({7, 8}, 2, 2), 0, channel);  // thread 0 calls 7 twice, thread 1 calls 8
  std::vector<Recording> seen(2, Recording(2, 1000));
  seen[0].begin(500);
  seen[0].complete(0, {10, 1}, 500, 510);
  seen[0].complete(1, {10, 1}, 505, 535);
  seen[1].begin(400);
  seen[1].complete(1, {20, 1}, 400, 420);
  seen[1].complete(0, {20, 1}, 410, 1900);  // after the end: in the last slice
  seen[1].miss(3);
  const json told = describe(seen, callers);
  CHECK(told["calls"] == 4);
  CHECK(told["bytes"] == 60);
  CHECK(told["received"] == 4);
  CHECK(told["missed"] == 3);
  CHECK(told["begin_ns"] == 400);
  CHECK(told["elapsed_ns"] == 1500);
  CHECK(told["latency"]["count"] == 4);
  CHECK(told["latency"]["sum_ns"] == 10 + 30 + 20 + 1490);
  CHECK(told["latency"]["min_ns"] == 10);
  CHECK(told["latency"]["max_ns"] == 1490);
  CHECK(told["latency"]["buckets"].size() == 4);
  CHECK(told["latency"]["buckets"][0] == json{10, 1});
  CHECK(told["peers"] ==
        json{{{"rank", 7}, {"calls", 2}, {"latency_ns", 40}}, {{"rank", 8}, {"calls", 2}, {"latency_ns", 1510}}});
  const json& series = told["series"];
  CHECK(series["interval_ns"] == 10);
  REQUIRE(series["calls"].size() == 100);
  CHECK(series["calls"][1] == 1);
  CHECK(series["calls"][2] == 1);
  CHECK(series["calls"][3] == 1);
  CHECK(series["bytes"][99] == 20);
  CHECK(series["max_ns"][99] == 1490);
}

TEST_CASE("what was served is the difference of two readings") {
  const Served before{.calls = 5, .bytes = 50, .spent = {.serialize = 1, .deserialize = 2}};
  const Served after{.calls = 8, .bytes = 90, .spent = {.serialize = 11, .deserialize = 22}};
  CHECK(describe(before, after) ==
        json{{"calls", 3}, {"bytes", 40}, {"serialization", {{"serialize_ns", 10}, {"deserialize_ns", 20}}}});
}

}  // namespace
}  // namespace tensorwire

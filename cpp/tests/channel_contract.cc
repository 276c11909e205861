// What every native stack promises of calls, over ranks that live in one process.
#include "tests/channel_contract.h"

using namespace tensorwire;
using namespace tensorwire::contract;

TEST_CASE("the bytes of every shape come back, on every slot") {
  over_all([](const Opening& opening) {
    const auto channels = open_all(2, 1, opening);
    const PayloadSet set = payloads(kShapes);
    const std::vector<std::uint32_t> slots{0, 0, 0};
    const auto caller = channels[1]->caller(slots);
    caller->prepare(set.payloads(), {});
    CHECK_NOTHROW(check(*caller, set.payloads(), {}, 3, kLong));
  });
}

TEST_CASE("compression, where there is any, gives the same bytes") {
  if (!open_all(1, 0, {})[0]->settings().contains("compression")) return;
  for (const char* compression : {"gzip", "deflate"}) {
    Opening opening;
    opening.options = {{"compression", compression}};
    const auto channels = open_all(2, 1, opening);
    const PayloadSet set(Sizes{{1}, {10, 70'000, 3}}, Fill::float32, 1);
    const std::vector<std::uint32_t> slots{0};
    const auto caller = channels[1]->caller(slots);
    caller->prepare(set.payloads(), {});
    CHECK_NOTHROW(check(*caller, set.payloads(), {}, 1, kLong));
  }
}

TEST_CASE("an acknowledgement tells the bytes that arrived, and the server counts them") {
  over_all([](const Opening& opening) {
    const auto channels = open_all(2, 1, opening);
    const PayloadSet set = payloads(kShapes);
    const std::vector<std::uint32_t> slots{0};
    const auto caller = channels[1]->caller(slots);
    caller->prepare(set.payloads(), {});
    std::uint64_t sent = 0;
    for (std::uint32_t i = 0; i < set.payloads().size(); ++i) {
      caller->call({0, i, Reply::acknowledge});
      Completion done{};
      REQUIRE(caller->wait({&done, 1}, kLong) == 1);
      CHECK(done.slot == 0);
      CHECK(done.received == set.payloads()[i].size);
      sent += done.received;
    }
    if (moves_nothing(*channels[0])) return;
    CHECK(channels[0]->served().calls == set.payloads().size());
    CHECK(channels[0]->served().bytes == sent);
    CHECK(channels[1]->served().calls == 0);
  });
}

TEST_CASE("many calls are in flight, and each comes back once") {
  over_all([](const Opening& opening) {
    const auto channels = open_all(2, 1, opening);
    const PayloadSet set = payloads({{32}, {1, 2, 3}, many(100, 9), {100'000}});
    const std::vector<std::uint32_t> slots(8, 0);
    const auto caller = channels[1]->caller(slots);
    caller->prepare(set.payloads(), {});
    for (const Reply reply : {Reply::echo, Reply::acknowledge}) {
      const Served before = channels[0]->served();
      const Recording recording = run(*caller, set, 8, 400, reply);
      CHECK(recording.calls() == 400);
      if (moves_nothing(*channels[0])) continue;
      CHECK(channels[0]->served().calls - before.calls == 400);
      CHECK(channels[0]->served().bytes - before.bytes == recording.moved().sent);
    }
  });
}

TEST_CASE("large payloads in both directions at once do not wait for each other") {
  over_all([](const Opening& opening) {
    const auto channels = open_all(2, 1, opening);
    const PayloadSet set = payloads({{4 << 20}, {3 << 20, 1 << 20}});
    const std::vector<std::uint32_t> slots(4, 0);
    const auto caller = channels[1]->caller(slots);
    caller->prepare(set.payloads(), {});
    CHECK(run(*caller, set, 4, 12, Reply::echo).moved().sent == 12 * (4 << 20));
  });
}

TEST_CASE("a caller prepares other payloads when nothing is in flight") {
  over_all([](const Opening& opening) {
    const auto channels = open_all(2, 1, opening);
    const std::vector<std::uint32_t> slots(2, 0);
    const auto caller = channels[1]->caller(slots);
    const PayloadSet small = payloads({{5}, {6, 7}});
    caller->prepare(small.payloads(), {});
    CHECK_NOTHROW(check(*caller, small.payloads(), {}, 2, kLong));
    const PayloadSet large = payloads({{70'000, 1}});
    caller->prepare(large.payloads(), {});
    CHECK_NOTHROW(check(*caller, large.payloads(), {}, 2, kLong));
  });
}

TEST_CASE("two callers on two threads share a channel") {
  over_all([](const Opening& opening) {
    const auto channels = open_all(2, 1, opening);
    const PayloadSet set = payloads({{64}, {1000, 24}});
    const auto call = [&] {
      const std::vector<std::uint32_t> slots(2, 0);
      const auto caller = channels[1]->caller(slots);
      caller->prepare(set.payloads(), {});
      check(*caller, set.payloads(), {}, 2, kLong);
      return run(*caller, set, 2, 200, Reply::echo).calls();
    };
    auto one = std::async(std::launch::async, call);
    auto other = std::async(std::launch::async, call);
    CHECK(one.get() == 200);
    CHECK(other.get() == 200);
  });
}

TEST_CASE("every rank calls every other while it serves") {
  over_all([](const Opening& opening) {
    const auto channels = open_all(3, 3, opening);
    const PayloadSet set = payloads({{50}, {3 << 20}});
    std::vector<std::future<std::uint64_t>> calls;
    for (std::uint32_t rank = 0; rank < 3; ++rank) {
      calls.push_back(std::async(std::launch::async, [&, rank] {
        const std::vector<std::uint32_t> slots{(rank + 1) % 3, (rank + 2) % 3};
        const auto caller = channels[rank]->caller(slots);
        caller->prepare(set.payloads(), {});
        return run(*caller, set, 2, 20, Reply::echo).calls();
      }));
    }
    for (auto& one : calls) CHECK(one.get() == 20);
    if (moves_nothing(*channels[0])) return;
    std::uint64_t served = 0;
    for (const auto& channel : channels) served += channel->served().calls;
    CHECK(served == 3 * 20);
  });
}

TEST_CASE("a slot talks to the rank it was given") {
  over_all([](const Opening& opening) {
    const auto channels = open_all(3, 2, opening);
    const PayloadSet set = payloads({{50}});
    const std::vector<std::uint32_t> slots{1, 0, 1};
    const auto caller = channels[2]->caller(slots);
    caller->prepare(set.payloads(), {});
    run(*caller, set, 3, 3, Reply::echo);
    if (moves_nothing(*channels[0])) return;
    CHECK(channels[0]->served().calls == 1);
    CHECK(channels[1]->served().calls == 2);
  });
}

TEST_CASE("a look at a caller with nothing in flight finds nothing") {
  over_all([](const Opening& opening) {
    const auto channels = open_all(2, 1, opening);
    const PayloadSet set = payloads({{8}});
    const std::vector<std::uint32_t> slots{0};
    const auto caller = channels[1]->caller(slots);
    Completion done{};
    CHECK(caller->wait({&done, 1}, 0) == 0);
    caller->prepare(set.payloads(), {});
    check(*caller, set.payloads(), {}, 1, kLong);
    CHECK(caller->wait({&done, 1}, 0) == 0);
    CHECK(caller->wait({&done, 1}, 1_ms) == 0);
  });
}

TEST_CASE("polling finds replies") {
  over_all([](const Opening& opening) {
    const auto channels = open_all(2, 1, opening);
    const PayloadSet set = payloads({{32}, {100'000}});
    const std::vector<std::uint32_t> slots(2, 0);
    const auto caller = channels[1]->caller(slots);
    caller->prepare(set.payloads(), {});
    const Load load{.slots = 2, .duration = kLong, .max_calls = 100, .timeout = kLong, .spin = true};
    SteadyClock clock;
    CHECK(Loop(*caller, set.payloads(), load, clock).run().calls() == 100);
  });
}

TEST_CASE("the time for serialization is kept where there is any, on both sides") {
  Opening opening;
  opening.serialized = true;
  const auto channels = open_all(2, 1, opening);
  if (!channels[0]->settings().contains("protobuf")) return;
  const PayloadSet set = payloads({{100'000}});
  const std::vector<std::uint32_t> slots{0};
  const auto caller = channels[1]->caller(slots);
  caller->prepare(set.payloads(), {});
  check(*caller, set.payloads(), {}, 1, kLong);
  CHECK(caller->spent().serialize > 0);
  CHECK(caller->spent().deserialize > 0);
  CHECK(channels[0]->served().spent.serialize > 0);
  CHECK(channels[0]->served().spent.deserialize > 0);
}

TEST_CASE("a caller that goes with calls in flight leaves the channel as it was") {
  over_all([](const Opening& opening) {
    const auto channels = open_all(2, 1, opening);
    const PayloadSet set = payloads({{4 << 20}});
    const std::vector<std::uint32_t> slots(4, 0);
    for (const Reply reply : {Reply::echo, Reply::acknowledge}) {
      const auto leaving = channels[1]->caller(slots);
      leaving->prepare(set.payloads(), {});
      for (std::uint32_t slot = 0; slot < 4; ++slot) leaving->call({slot, 0, reply});
    }
    const auto caller = channels[1]->caller(slots);
    caller->prepare(set.payloads(), {});
    CHECK_NOTHROW(check(*caller, set.payloads(), {}, 4, kLong));
  });
}

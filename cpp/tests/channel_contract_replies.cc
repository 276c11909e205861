// What every native stack promises of recorded replies.
#include "tests/channel_contract.h"

using namespace tensorwire;
using namespace tensorwire::contract;

namespace {

/// Whether calls of this opening can ask for a recorded reply; one that cannot says so when it is asked.
bool records(const Opening& opening) { return opening.options.value("call", "unary") == "unary"; }

}  // namespace

TEST_CASE("a recorded reply brings the bytes of the answer that was asked for, an empty one too") {
  const PayloadSet set = payloads(kShapes);
  const PayloadSet answers(Sizes{{70'000}, {}, {1}, many(2000, 7), {10, 10 << 10, 1 << 20, 10}, {4 << 20}},
                           Fill::random, 2);
  const auto count = static_cast<std::uint32_t>(answers.payloads().size());
  over_all([&](const Opening& opening) {
    if (!records(opening)) return;
    const auto channels = open_all(2, 1, opening);
    for (const auto& channel : channels) channel->answer_with(answers.payloads());
    const std::vector<std::uint32_t> slots(3, 0);
    const auto caller = channels[1]->caller(slots);
    caller->prepare(set.payloads(), answers.payloads());
    CHECK_NOTHROW(check(*caller, set.payloads(), answers.payloads(), 3, kLong));
    const Served before = channels[0]->served();
    std::uint64_t sent = 0;
    for (std::uint32_t i = 0; i < set.payloads().size(); ++i) {
      caller->call({i % 3, i, Reply::recorded, i % count});
      sent += set.payloads()[i].size;
      Completion done{};
      REQUIRE(caller->wait({&done, 1}, kLong) == 1);
      CHECK(done.slot == i % 3);
      CHECK(done.received == answers.payloads()[i % count].size);
    }
    if (moves_nothing(*channels[0])) return;
    CHECK(channels[0]->served().calls - before.calls == set.payloads().size());
    CHECK(channels[0]->served().bytes - before.bytes == sent);
  });
}

TEST_CASE("calls that ask for different replies are in flight at once") {
  const PayloadSet set = payloads({{5}, {100'000}, {1, 2, 3}});
  const PayloadSet answers(Sizes{{300'000, 1}, {2}, {}}, Fill::random, 2);
  const Call all[] = {{0, 0, Reply::recorded, 0}, {1, 1, Reply::acknowledge}, {2, 2, Reply::echo},
                      {3, 1, Reply::recorded, 1}, {4, 0, Reply::acknowledge}, {5, 2, Reply::recorded, 2}};
  over_all([&](const Opening& opening) {
    if (!records(opening)) return;
    const auto channels = open_all(2, 1, opening);
    channels[0]->answer_with(answers.payloads());
    const std::vector<std::uint32_t> slots(6, 0);
    const auto caller = channels[1]->caller(slots);
    caller->prepare(set.payloads(), answers.payloads());
    for (int round = 0; round < 20; ++round) {
      for (const Call& call : all) caller->call(call);
      Completion done[6]{};
      for (std::size_t finished = 0; finished < 6;) {
        const std::size_t more = caller->wait(done, kLong);
        REQUIRE(more > 0);
        for (std::size_t i = 0; i < more; ++i) {
          const Call& call = all[done[i].slot];
          const auto& brought =
              call.reply == Reply::recorded ? answers.payloads()[call.answer] : set.payloads()[call.payload];
          CHECK(done[i].received == brought.size);
        }
        finished += more;
      }
    }
  });
}

TEST_CASE("other answers take the place of those before") {
  const PayloadSet set = payloads({{5}});
  over_all([&](const Opening& opening) {
    if (!records(opening)) return;
    std::vector<PayloadSet> given;  // for as long as the channels are there
    const auto channels = open_all(2, 1, opening);
    const std::vector<std::uint32_t> slots(2, 0);
    for (const Sizes& sizes : {Sizes{{10}, {20}, {30}}, Sizes{{70'000, 1}}}) {
      const PayloadSet& answers = given.emplace_back(sizes, Fill::random, 2);
      channels[0]->answer_with(answers.payloads());
      const auto caller = channels[1]->caller(slots);
      caller->prepare(set.payloads(), answers.payloads());
      CHECK_NOTHROW(check(*caller, set.payloads(), answers.payloads(), 2, kLong));
    }
  });
}

TEST_CASE("an answer that is not there fails the call that asks for it, and the server serves on") {
  const PayloadSet set = payloads({{5}});
  const PayloadSet answers(Sizes{{10}, {20}}, Fill::random, 2);
  over_all([&](const Opening& opening) {
    const auto channels = open_all(2, 1, opening);
    if (moves_nothing(*channels[0])) return;
    channels[0]->answer_with(answers.payloads().first(1));
    const std::vector<std::uint32_t> slots{0};
    {
      const auto stranger = channels[1]->caller(slots);
      stranger->prepare(set.payloads(), answers.payloads());
      Completion done{};
      CHECK_THROWS_AS((stranger->call({0, 0, Reply::recorded, 1}), stranger->wait({&done, 1}, kLong)), ChannelError);
    }
    CHECK(channels[0]->served().calls == 0);
    const auto caller = channels[1]->caller(slots);
    caller->prepare(set.payloads(), {});
    CHECK_NOTHROW(check(*caller, set.payloads(), {}, 1, kLong));
  });
}

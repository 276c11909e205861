#include <doctest/doctest.h>

#include <set>
#include <string>

#include "core/check.h"
#include "core/errors.h"

namespace tensorwire {
namespace {

using Memory = std::vector<std::byte>;

/// Echoes what it is called with, after `tamper` had it, in pieces of `piece` bytes.
class Echo final : public Caller {
 public:
  std::size_t piece = 1000;
  bool replies = true;
  std::function<void(Memory&)> tamper = [](Memory&) {};
  std::vector<Call> calls;

  void prepare(std::span<const Payload> payloads, std::span<const Payload> answers) override {
    payloads_ = payloads;
    answers_ = answers;
  }

  void call(Call call) override {
    calls.push_back(call);
    last_.clear();
    const Payload& brought = call.reply == Reply::recorded ? answers_[call.answer] : payloads_[call.payload];
    for (const Bytes buffer : brought.buffers) last_.insert(last_.end(), buffer.begin(), buffer.end());
    tamper(last_);
  }

  std::size_t wait(std::span<Completion> done, Nanoseconds) override {
    if (!replies) return 0;
    done[0] = {calls.back().slot, last_.size()};
    return 1;
  }

  void reply(std::uint32_t, const Sink& sink) override {
    for (std::size_t at = 0; at < last_.size(); at += piece) {
      sink(Bytes(last_).subspan(at, std::min(piece, last_.size() - at)));
      sink({});
    }
  }

 private:
  std::span<const Payload> payloads_;
  std::span<const Payload> answers_;
  Memory last_;
};

const std::vector<std::vector<std::uint64_t>> kSizes{{5, 0, 4096, 1}, {}, {1}, {0, 300, 0}};

/// The sentence that `check` refuses an echo with; empty when it passes.
std::string complaint(Echo& echo, std::uint32_t slots = 1) {
  const PayloadSet set(kSizes, Fill::random, 11);
  echo.prepare(set.payloads(), {});
  try {
    check(echo, set.payloads(), {}, slots, 1_s);
  } catch (const WrongBytes& wrong) {
    return wrong.what();
  }
  return "";
}

/// Tampers with the first payload only, which is larger than the others.
std::function<void(Memory&)> first(std::function<void(Memory&)> tamper) {
  return [tamper](Memory& reply) {
    if (reply.size() > 4000) tamper(reply);
  };
}

bool mentions(const std::string& sentence, const std::string& words) {
  CAPTURE(sentence);
  return sentence.find(words) != std::string::npos;
}

TEST_CASE("a good echo passes, whatever pieces it comes in") {
  for (const std::size_t piece : {1u, 2u, 3u, 5u, 7u, 64u, 4096u, 100'000u}) {
    Echo echo;
    echo.piece = piece;
    CHECK(complaint(echo) == "");
  }
}

TEST_CASE("every payload is echoed, and every slot echoes") {
  Echo echo;
  CHECK(complaint(echo, 6) == "");
  std::set<std::uint32_t> payloads;
  std::set<std::uint32_t> slots;
  for (const Call& call : echo.calls) {
    payloads.insert(call.payload);
    slots.insert(call.slot);
    CHECK(call.reply == Reply::echo);
  }
  CHECK(payloads.size() == kSizes.size());
  CHECK(slots.size() == 6);
}

TEST_CASE("one changed byte is named, with its buffer") {
  struct Place {
    std::size_t at;
    const char* name;
  };
  for (const auto& [at, name] : {Place{0, "byte 0 of buffer 0"}, Place{4, "byte 4 of buffer 0"},
                                 Place{5, "byte 0 of buffer 2"}, Place{5 + 2000, "byte 2000 of buffer 2"},
                                 Place{5 + 4095, "byte 4095 of buffer 2"}, Place{5 + 4096, "byte 0 of buffer 3"}}) {
    for (const std::size_t piece : {1u, 999u, 100'000u}) {
      Echo echo;
      echo.piece = piece;
      echo.tamper = first([at = at](Memory& reply) { reply[at] ^= std::byte{0x10}; });
      CHECK(mentions(complaint(echo), name));
    }
  }
}

TEST_CASE("an echo that is too long is refused") {
  Echo echo;
  echo.tamper = first([](Memory& reply) { reply.push_back(std::byte{0}); });
  CHECK(mentions(complaint(echo), "longer than the 4102 B sent"));
  echo.tamper = [](Memory& reply) {
    if (reply.empty()) reply.push_back(std::byte{0});
  };
  CHECK(mentions(complaint(echo), "longer than the 0 B sent"));
}

TEST_CASE("an echo that is too short is refused") {
  Echo echo;
  echo.tamper = first([](Memory& reply) { reply.pop_back(); });
  CHECK(mentions(complaint(echo), "ends after 4101 B of the 4102 B sent"));
  echo.tamper = [](Memory& reply) { reply.clear(); };
  CHECK(mentions(complaint(echo), "ends after 0 B"));
}

TEST_CASE("no echo in time is a timeout") {
  Echo echo;
  echo.replies = false;
  const PayloadSet set(kSizes, Fill::random, 11);
  echo.prepare(set.payloads(), {});
  CHECK_THROWS_AS(check(echo, set.payloads(), {}, 1, 1_s), TransferTimeout);
}

TEST_CASE("every answer is asked for, and every slot asks for one") {
  const PayloadSet set(std::vector<std::vector<std::uint64_t>>{{8}}, Fill::random, 11);
  const PayloadSet answers(kSizes, Fill::random, 11);
  Echo echo;
  echo.prepare(set.payloads(), answers.payloads());
  for (const std::uint32_t slots : {3u, 6u}) {
    echo.calls.clear();
    CHECK_NOTHROW(check(echo, set.payloads(), answers.payloads(), slots, 1_s));
    std::set<std::uint32_t> asked, asking;
    for (const Call& call : echo.calls) {
      if (call.reply != Reply::recorded) continue;
      asked.insert(call.answer);
      asking.insert(call.slot);
    }
    CHECK(asked.size() == kSizes.size());
    CHECK(asking.size() == slots);
  }

  echo.tamper = first([](Memory& reply) { reply[7] ^= std::byte{1}; });
  CHECK_THROWS_WITH_AS(check(echo, set.payloads(), answers.payloads(), 1, 1_s), doctest::Contains("byte 2 of buffer 2"),
                       WrongBytes);
  echo.tamper = first([](Memory& reply) { reply.pop_back(); });
  CHECK_THROWS_WITH_AS(check(echo, set.payloads(), answers.payloads(), 1, 1_s),
                       doctest::Contains("a recorded reply ends after 4101 B of the 4102 B asked for"), WrongBytes);
}

}  // namespace
}  // namespace tensorwire

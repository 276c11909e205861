// One rank from its plan to what it hands in, over a channel that moves nothing.
#include <doctest/doctest.h>

#include "channels/null.h"
#include "core/errors.h"
#include "driver.h"
#include "plan_file.h"
#include "rank/part.h"
#include "rank/rank.h"

namespace tensorwire {
namespace {

using nlohmann::json;

/// Gathers with itself and keeps what is handed in.
std::vector<std::string> hear_out(const Guest& guest) {
  std::vector<std::string> handed_in;
  for (std::string frame = guest.hear(); !frame.empty(); frame = guest.hear()) {
    const std::string blob = frame.substr(1);
    if (frame[0] == 'H') {
      handed_in.push_back(blob);
    } else {
      guest.share({blob});
    }
  }
  return handed_in;
}

/// Fails the first time that anything is prepared.
class Delicate final : public Channel {
 public:
  std::unique_ptr<Caller> caller(std::span<const std::uint32_t> slots) override {
    if (made_++ == 0) throw PeerLost("rank 0 went away\xff");
    return null_caller(static_cast<std::uint32_t>(slots.size()));
  }
  void answer_with(std::span<const Payload>) override {}
  Served served() const override { return {.calls = 1000, .bytes = 1000, .spent = {}}; }
  Settings settings() const override { return {{"transport", "none"}}; }

 private:
  int made_ = 0;
};

/// Never fails.
class Robust final : public Channel {
 public:
  std::unique_ptr<Caller> caller(std::span<const std::uint32_t> slots) override {
    return null_caller(static_cast<std::uint32_t>(slots.size()));
  }
  void answer_with(std::span<const Payload>) override {}
  Served served() const override { return {}; }
  Settings settings() const override { return {{"transport", "none"}}; }
};

Stack delicate() {
  return {.open = [](const Opening&, Rendezvous&) { return std::make_unique<Delicate>(); }, .null_caller = null_caller};
}

json point_of(int index, const std::vector<std::vector<std::uint64_t>>& payloads) {
  json point = any_plan()["points"][0];
  point["index"] = index;
  point["payloads"] = payloads;
  return point;
}

/// A rank that calls itself at two points.
json plan_at(const Driver& driver) {
  json plan = any_plan();
  plan["rendezvous"] = driver.address();
  plan["ranks"] = {
      {{"serves", true}, {"host", "127.0.0.1"}, {"port", 0}, {"calls", {0}}, {"script", 0}, {"cores", json::array()}}};
  plan["points"] = {point_of(4, {{10}}), point_of(5, {{10, 20}})};
  plan["duration_ns"] = 3600_s;
  plan["max_calls"] = 100;
  return plan;
}

TEST_CASE("a point that fails is told with its stage, and the next is measured") {
  Driver driver(hear_out);
  const PlanFile file(plan_at(driver).dump());
  run_rank(file.path(), 0, "token", delicate());

  std::vector<json> told;
  for (const std::string& blob : driver.heard()) told.push_back(json::parse(blob));
  REQUIRE(told.size() == 9);
  CHECK(told[0] == json{{"stage", {{"point", 4}, {"name", "prepare"}}}});
  CHECK(told[1] == json{{"failure",
                         {{"point", 4},
                          {"rank", 0},
                          {"stage", "prepare"},
                          {"type", "PeerLost"},
                          {"message", "rank 0 went away\xef\xbf\xbd"}}}});
  CHECK(told[2] == json{{"stage", {{"point", 5}, {"name", "prepare"}}}});
  CHECK(told[3] == json{{"stage", {{"point", 5}, {"name", "check"}}}});
  CHECK(told[4]["facts"]["settings"]["transport"] == "none");
  CHECK(told[4]["facts"]["loop_cost_ns"] > 0);
  CHECK(told[7] == json{{"stage", {{"point", 5}, {"name", "measure"}}}});
  const json& measured = told[8]["measurement"];
  CHECK(measured["point"] == 5);
  CHECK(measured["calling"]["calls"] == 100);
  CHECK(measured["calling"]["bytes"] == 3000);
  CHECK(measured["serving"]["calls"] == 0);
  CHECK(measured["usage"]["window_ns"] >= measured["calling"]["elapsed_ns"]);
  CHECK(measured["wire"]["interface"] == "lo");
}

/// What is measured at one point, and the names of the stages on the way.
json measured_at(const json& point, std::vector<std::string>& stages) {
  Driver driver(hear_out);
  json plan = plan_at(driver);
  plan["points"] = {point};
  plan["max_calls"] = 6;
  const PlanFile file(plan.dump());
  const Stack stack{.open = [](const Opening&, Rendezvous&) { return std::make_unique<Robust>(); },
                    .null_caller = null_caller};
  run_rank(file.path(), 0, "token", stack);
  json measured;
  for (const std::string& blob : driver.heard()) {
    const json told = json::parse(blob);
    if (told.contains("stage")) stages.push_back(told["stage"]["name"]);
    if (told.contains("measurement")) measured = told["measurement"]["calling"];
  }
  return measured;
}

TEST_CASE("answers are given before anything is prepared, and recorded replies are counted") {
  json point = point_of(4, {{10}, {20}});
  point["answers"] = {json::array(), {300, 1}};
  point["messages"] = {{0, 1}, {1, nullptr}, {1, 0}};
  std::vector<std::string> stages;
  const json calling = measured_at(point, stages);
  CHECK(stages.at(0) == "answer");
  CHECK(stages.at(1) == "prepare");
  CHECK(calling["calls"] == 6);
  CHECK(calling["bytes"] == 2 * (10 + 20 + 20));
  CHECK(calling["received"] == 2 * (301 + 20 + 0));  // the second is echoed
}

TEST_CASE("a rank that follows a script counts its steps, and the calls in them by peer") {
  json point = point_of(4, {{10}, {20}});
  point["answers"] = {json::array(), {300}};
  const json step = {{"begin_ns", 0}, {"phases", {{{0, 0, 1, 0}, {0, 1, 0, 0}}, {{0, 0, 0, 0}}}}};
  point["scripts"] = {{{"period_ns", 0}, {"steps", {step}}}};
  std::vector<std::string> stages;
  const json calling = measured_at(point, stages);
  CHECK(calling["calls"] == 6);
  CHECK(calling["latency"]["count"] == 6);
  CHECK(calling["bytes"] == 6 * (10 + 20 + 10));
  CHECK(calling["received"] == 6 * 300);
  REQUIRE(calling["peers"].size() == 1);
  CHECK(calling["peers"][0]["calls"] == 18);
}

/// A sum of one rank that is what it brought, of which one element may be changed on the way.
class Summing final : public Caller {
 public:
  explicit Summing(bool wrong) : wrong_(wrong) {}

  void prepare(std::span<const Payload> payloads, std::span<const Payload>) override {
    const Bytes brought = payloads.front().buffers.front();
    found_.assign(brought.begin(), brought.end());
    if (wrong_) found_[4] ^= std::byte{1};
  }
  void call(Call) override { ++calls_; }
  std::size_t wait(std::span<Completion> done, Nanoseconds) override {
    done.front() = {0, found_.size()};
    return 1;
  }
  void reply(std::uint32_t, const Sink& sink) override {
    sink(std::span(found_).first(6));  // in pieces that hold no whole element
    sink(std::span(found_).subspan(6));
  }

 private:
  bool wrong_;
  std::vector<std::byte> found_;
  std::uint64_t calls_ = 0;
};

class Summed final : public Channel {
 public:
  explicit Summed(bool wrong) : wrong_(wrong) {}
  std::unique_ptr<Caller> caller(std::span<const std::uint32_t>) override { return nullptr; }
  void answer_with(std::span<const Payload>) override {}
  Served served() const override { return {}; }
  Settings settings() const override { return {{"transport", "none"}, {"collective", "native"}}; }
  std::unique_ptr<Caller> collective(const Collective&) override { return std::make_unique<Summing>(wrong_); }

 private:
  bool wrong_;
};

/// What one rank, which sums up alone, hands in.
std::vector<json> told_of_a_sum(bool wrong, std::uint64_t calls, Nanoseconds duration) {
  Driver driver(hear_out);
  json plan = plan_at(driver);
  json point = point_of(4, {{40}});
  point["collective"] = {{"operation", "all-reduce"}, {"elements", 10}};
  plan["points"] = {point};
  plan["ranks"][0]["calls"] = json::array();
  plan["ranks"][0]["serves"] = false;
  plan["warmup_ns"] = 1_ms;
  plan["duration_ns"] = duration;
  plan["max_calls"] = calls;
  const PlanFile file(plan.dump());
  run_rank(file.path(), 0, "token",
           {.open = [=](const Opening&, Rendezvous&) { return std::make_unique<Summed>(wrong); },
            .null_caller = null_caller});
  std::vector<json> told;
  for (const std::string& blob : driver.heard()) told.push_back(json::parse(blob));
  return told;
}

TEST_CASE("a rank has its part in an operation as often as all agreed, and tells what it checked") {
  const std::vector<json> told = told_of_a_sum(false, 25, 3600_s);
  const json measured = told.back()["measurement"];
  CHECK(measured["calling"]["calls"] == 25);
  CHECK(measured["calling"]["bytes"] == 25 * 40);
  CHECK(measured["calling"]["received"] == 25 * 40);
  CHECK(measured["calling"]["checked"] == 10);
  CHECK(measured["calling"]["peers"] == json::array());
  CHECK(measured["serving"] == nullptr);
}

TEST_CASE("without a limit the calls are those that fit the duration") {
  const std::vector<json> told = told_of_a_sum(false, 0, 2_ms);
  CHECK(told.back()["measurement"]["calling"]["calls"] > 25);
}

TEST_CASE("an operation that leaves a wrong element fails its point before anything is timed") {
  const std::vector<json> told = told_of_a_sum(true, 25, 3600_s);
  const json failure = told.back()["failure"];
  CHECK(failure["stage"] == "check");
  CHECK(failure["type"] == "WrongBytes");
  CHECK(std::string(failure["message"]).starts_with("1 of 10 elements are wrong: element 1 is "));
}

TEST_CASE("a channel without operations says so") {
  Driver driver(hear_out);
  json plan = plan_at(driver);
  json point = point_of(4, {{40}});
  point["collective"] = {{"operation", "broadcast"}, {"elements", 10}};
  plan["points"] = {point};
  const PlanFile file(plan.dump());
  const Stack stack{.open = [](const Opening&, Rendezvous&) { return std::make_unique<Robust>(); },
                    .null_caller = null_caller};
  run_rank(file.path(), 0, "token", stack);
  CHECK(json::parse(driver.heard().back())["failure"]["message"] == "this channel has no collective operations");
}

TEST_CASE("calls are counted from what the slowest rank needed") {
  CHECK(calls_within(1_s, 10, 100_ms, 0) == 100);
  CHECK(calls_within(1_s, 10, 100_ms, 7) == 7);
  CHECK(calls_within(1_s, 1, 10_s, 0) == 1);
  CHECK(telling(10_s) == 500_ms);
  CHECK(telling(1_s) == 50_ms);
}

TEST_CASE("payloads that there is no memory for fail their point") {
  Driver driver(hear_out);
  json plan = plan_at(driver);
  plan["points"] = {point_of(4, {{std::uint64_t{1} << 50}})};
  const PlanFile file(plan.dump());
  run_rank(file.path(), 0, "token", delicate());
  const std::vector<std::string> told = driver.heard();
  REQUIRE(told.size() == 2);
  const json failure = json::parse(told[1])["failure"];
  CHECK(failure["type"] == "ChannelError");
  CHECK(std::string(failure["message"]).find("memory") != std::string::npos);
}

TEST_CASE("a channel that cannot be opened is fatal, and told") {
  Driver driver(hear_out);
  const PlanFile file(plan_at(driver).dump());
  const Stack stack{
      .open = [](const Opening&, Rendezvous&) -> std::unique_ptr<Channel> { throw AddressInUse("taken"); },
      .null_caller = null_caller};
  CHECK_THROWS_AS(run_rank(file.path(), 0, "token", stack), AddressInUse);
  const std::vector<std::string> told = driver.heard();
  REQUIRE(told.size() == 1);
  CHECK(json::parse(told[0]) == json{{"fatal", {{"rank", 0}, {"type", "AddressInUse"}, {"message", "taken"}}}});
}

TEST_CASE("a rank that the plan does not have is refused before it joins") {
  const PlanFile file(any_plan().dump());
  CHECK_THROWS_WITH_AS(run_rank(file.path(), 2, "token", delicate()), doctest::Contains("no rank 2"),
                       std::invalid_argument);
}

TEST_CASE("cores that the host has not got are refused") {
  json plan = any_plan();
  plan["ranks"][0]["cores"] = {1'000'000};
  const PlanFile file(plan.dump());
  CHECK_THROWS_WITH_AS(run_rank(file.path(), 0, "token", delicate()), doctest::Contains("cannot run on core 1000000"),
                       std::runtime_error);
}

}  // namespace
}  // namespace tensorwire

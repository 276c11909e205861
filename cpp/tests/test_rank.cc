// One rank from its plan to what it hands in, over a channel that moves nothing.
#include <doctest/doctest.h>

#include "channels/null.h"
#include "core/errors.h"
#include "driver.h"
#include "plan_file.h"
#include "rank/rank.h"

namespace tensorwire {
namespace {

using nlohmann::json;

/// Gathers with itself and keeps what is handed in.
std::vector<std::string> hear_out(const Guest& guest) {
  std::vector<std::string> handed_in;
  guest.hear();
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
  Served served() const override { return {.calls = 1000, .bytes = 1000, .spent = {}}; }
  Settings settings() const override { return {{"transport", "none"}}; }

 private:
  int made_ = 0;
};

Stack delicate() {
  return {.open = [](const Opening&, Rendezvous&) { return std::make_unique<Delicate>(); }, .null_caller = null_caller};
}

/// A rank that calls itself at two points.
json plan_at(const Driver& driver) {
  json plan = any_plan();
  plan["rendezvous"] = driver.address();
  plan["ranks"] = {{{"serves", true}, {"port", 0}, {"calls", {0}}, {"cores", json::array()}}};
  plan["points"] = {{{"index", 4}, {"payloads", {{10}}}}, {{"index", 5}, {"payloads", {{10, 20}}}}};
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

TEST_CASE("payloads that there is no memory for fail their point") {
  Driver driver(hear_out);
  json plan = plan_at(driver);
  plan["points"] = {{{"index", 4}, {"payloads", {{std::uint64_t{1} << 50}}}}};
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

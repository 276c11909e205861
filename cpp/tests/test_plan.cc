#include <doctest/doctest.h>

#include <functional>

#include "plan_file.h"
#include "rank/plan.h"

namespace tensorwire {
namespace {

using nlohmann::json;

json recorded(const std::vector<Nanoseconds>& gaps) {
  return {{"rate", 1}, {"poisson", false}, {"seed", 1}, {"gaps_ns", gaps}};
}

json script(const std::vector<json>& steps) { return {{"period_ns", 7}, {"steps", steps}}; }

/// A step of one call, which is told as a list.
json step_of(const json& call) { return {{"begin_ns", 3}, {"phases", json::array({json::array({call})})}}; }

TEST_CASE("a plan says what each rank does") {
  json written = any_plan();
  written["arrivals"] = {{"rate", 2.5}, {"poisson", true}, {"seed", 7}, {"gaps_ns", {3, 0}}};
  written["congestion"] = "reno";
  const PlanFile file(written.dump());
  const Plan plan = read_plan(file.path());
  CHECK(plan.rendezvous == "127.0.0.1:1");
  REQUIRE(plan.ranks.size() == 2);
  CHECK(plan.ranks[1].calls == std::vector<std::uint32_t>{0});
  CHECK(plan.points[0].payloads == std::vector<std::vector<std::uint64_t>>{{10, 20}, {5}});
  CHECK(plan.load.reply == Reply::echo);
  CHECK(plan.load.duration == 1_ms);
  REQUIRE(plan.load.arrivals);
  CHECK(plan.load.arrivals->rate == 2.5);
  CHECK(plan.load.arrivals->seed == 7);
  CHECK(plan.load.arrivals->gaps == std::vector<Nanoseconds>{3, 0});
  CHECK(plan.congestion == "reno");

  const Opening opening = plan.opening_of(0);
  CHECK(opening.rank == 0);
  CHECK(opening.size == 2);
  CHECK(opening.serves);
  CHECK(opening.port == 50001);
  CHECK(opening.timeout == 1_s);
  CHECK(!plan.opening_of(1).serves);
}

TEST_CASE("a plan says which answers messages and steps ask for") {
  json written = any_plan();
  written["points"][0]["answers"] = {json::array(), {5}};
  written["points"][0]["messages"] = {{0, 1}, {1, nullptr}};
  written["points"][0]["scripts"] = {script({step_of({0, 1, 0, 9})})};
  const PlanFile file(written.dump());
  const Point point = read_plan(file.path()).points[0];
  CHECK(point.answers == std::vector<std::vector<std::uint64_t>>{{}, {5}});
  CHECK(point.messages[0].answer == 1);
  CHECK(point.messages[1].answer == Message::kNone);
  CHECK(point.scripts[0].period == 7);
  const Step& step = point.scripts[0].steps[0];
  CHECK(step.begin == 3);
  CHECK(step.phases[0][0].message.payload == 1);
  CHECK(step.phases[0][0].message.answer == 0);
  CHECK(step.phases[0][0].due == 9);
}

TEST_CASE("a rank waits for the others at least as long as the longest stage takes") {
  json written = any_plan();
  written["duration_ns"] = 86400_s;
  written["timeout_ns"] = 86400_s;
  const PlanFile file(written.dump());
  CHECK(read_plan(file.path()).patience() > 2 * 86400_s);
}

TEST_CASE("a plan that cannot be followed is refused by name and reason") {
  const std::pair<std::function<void(json&)>, const char*> spoilt[] = {
      {[](json& plan) { plan["ranks"][0].erase("host"); }, "host"},
      {[](json& plan) { plan["duration_ns"] = "long"; }, "must be number"},
      {[](json& plan) { plan["fill"] = "sand"; }, "not one this rank understands"},
      {[](json& plan) { plan["reply"] = "shrug"; }, "not one this rank understands"},
      {[](json& plan) { plan["threads"] = 0; }, "a thread"},
      {[](json& plan) { plan["outstanding"] = 0; }, "a call in flight"},
      {[](json& plan) { plan["timeout_ns"] = 0; }, "timeout"},
      {[](json& plan) {
         plan["arrivals"] = {{"rate", 0}, {"poisson", false}, {"seed", 1}, {"gaps_ns", json::array()}};
       },
       "rate"},
      {[](json& plan) { plan["points"][0]["payloads"] = json::array(); }, "point 0 has no payload"},
      {[](json& plan) { plan["arrivals"] = recorded({0, 0}); }, "recorded gaps are all 0"},
      {[](json& plan) { plan["arrivals"] = recorded({5, -1}); }, "recorded gap is below 0"},
      {[](json& plan) { plan["points"][0]["messages"] = {{2, nullptr}}; }, "payload or answer that is not there"},
      {[](json& plan) { plan["points"][0]["messages"] = {{0, 0}}; }, "payload or answer that is not there"},
      {[](json& plan) { plan["points"][0]["messages"] = {{-1, nullptr}}; }, "payload or answer that is not there"},
      {[](json& plan) { plan["points"][0]["scripts"] = {script({})}; }, "a script has no steps"},
      {[](json& plan) { plan["points"][0]["scripts"] = {script({{{"begin_ns", 0}, {"phases", {json::array()}}}})}; },
       "a step has no call"},
      {[](json& plan) { plan["points"][0]["scripts"] = {script({step_of({1, 0, nullptr, 0})})}; }, "calls peer 1"},
      {[](json& plan) { plan["points"][0]["scripts"] = {script({step_of({0, 0, 0, 0})})}; }, "payload or answer"},
      {[](json& plan) { plan["points"][0]["scripts"] = {script({step_of({0, 0, nullptr, -1})})}; }, "due before its"},
      {[](json& plan) {
         plan["points"][0]["scripts"] = {script({step_of({0, 0, nullptr, 0})})};
         plan["ranks"][1]["script"] = 1;
       },
       "no script 1"},
      {[](json& plan) {
         plan["points"][0]["scripts"] = {script({step_of({0, 0, nullptr, 0})})};
         plan["threads"] = 2;
       },
       "one thread"},
      {[](json& plan) { plan["ranks"][1]["calls"] = {2}; }, "rank 2 is called and does not serve"},
      {[](json& plan) { plan["ranks"][1]["calls"] = {-1}; }, "is called and does not serve"},
      {[](json& plan) { plan["ranks"][1]["calls"] = {1}; }, "rank 1 is called and does not serve"},
  };
  for (const auto& [spoil, reason] : spoilt) {
    json written = any_plan();
    spoil(written);
    const PlanFile file(written.dump());
    CAPTURE(reason);
    CHECK_THROWS_WITH_AS(read_plan(file.path()), doctest::Contains(reason), std::runtime_error);
    CHECK_THROWS_WITH(read_plan(file.path()), doctest::Contains(file.path().c_str()));
  }
  const PlanFile cut(any_plan().dump().substr(0, 100));
  CHECK_THROWS_WITH_AS(read_plan(cut.path()), doctest::Contains("parse error"), std::runtime_error);
  CHECK_THROWS_WITH_AS(read_plan("/no/such/plan"), doctest::Contains("cannot read the plan"), std::runtime_error);
}

}  // namespace
}  // namespace tensorwire

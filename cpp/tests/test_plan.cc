#include <doctest/doctest.h>

#include <functional>

#include "plan_file.h"
#include "rank/plan.h"

namespace tensorwire {
namespace {

using nlohmann::json;

TEST_CASE("a plan says what each rank does") {
  json written = any_plan();
  written["arrivals"] = {{"rate", 2.5}, {"poisson", true}, {"seed", 7}};
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
  CHECK(plan.congestion == "reno");

  const Opening opening = plan.opening_of(0);
  CHECK(opening.rank == 0);
  CHECK(opening.size == 2);
  CHECK(opening.serves);
  CHECK(opening.port == 50001);
  CHECK(opening.timeout == 1_s);
  CHECK(!plan.opening_of(1).serves);
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
      {[](json& plan) { plan.erase("host"); }, "host"},
      {[](json& plan) { plan["duration_ns"] = "long"; }, "must be number"},
      {[](json& plan) { plan["fill"] = "sand"; }, "not one this rank understands"},
      {[](json& plan) { plan["reply"] = "shrug"; }, "not one this rank understands"},
      {[](json& plan) { plan["threads"] = 0; }, "a thread"},
      {[](json& plan) { plan["outstanding"] = 0; }, "a call in flight"},
      {[](json& plan) { plan["timeout_ns"] = 0; }, "timeout"},
      {[](json& plan) { plan["arrivals"] = {{"rate", 0}, {"poisson", false}, {"seed", 1}}; }, "rate"},
      {[](json& plan) { plan["points"][0]["payloads"] = json::array(); }, "point 0 has no payload"},
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

#include "rank/plan.h"

#include <fstream>
#include <map>
#include <stdexcept>

namespace tensorwire {
namespace {

using nlohmann::json;

RankPlan read_rank(const json& rank) {
  return {.serves = rank.at("serves"), .port = rank.at("port"), .calls = rank.at("calls"), .cores = rank.at("cores")};
}

Fill read_fill(const std::string& name) {
  return std::map<std::string, Fill>{{"random", Fill::random}, {"zeros", Fill::zeros}, {"float32", Fill::float32}}.at(
      name);
}

Reply read_reply(const std::string& name) {
  return std::map<std::string, Reply>{{"echo", Reply::echo}, {"acknowledge", Reply::acknowledge}}.at(name);
}

std::optional<Arrivals> read_arrivals(const json& arrivals) {
  if (arrivals.is_null()) return std::nullopt;
  return Arrivals{.rate = arrivals.at("rate"), .poisson = arrivals.at("poisson"), .seed = arrivals.at("seed")};
}

Plan parse(const json& file) {
  Plan plan;
  plan.rendezvous = file.at("rendezvous");
  for (const json& rank : file.at("ranks")) plan.ranks.push_back(read_rank(rank));
  plan.opening.size = static_cast<std::uint32_t>(plan.ranks.size());
  plan.opening.host = file.at("host");
  plan.opening.serialized = file.at("serialized");
  plan.opening.spin = file.at("spin");
  plan.opening.options = file.at("options");
  plan.opening.timeout = file.at("timeout_ns");
  for (const json& point : file.at("points")) plan.points.push_back({point.at("index"), point.at("payloads")});
  plan.fill = read_fill(file.at("fill"));
  plan.seed = file.at("seed");
  plan.load.reply = read_reply(file.at("reply"));
  plan.load.duration = file.at("duration_ns");
  plan.load.max_calls = file.at("max_calls");
  plan.load.timeout = file.at("timeout_ns");
  plan.load.spin = file.at("spin");
  plan.load.arrivals = read_arrivals(file.at("arrivals"));
  plan.outstanding = file.at("outstanding");
  plan.threads = file.at("threads");
  plan.warmup = file.at("warmup_ns");
  plan.tuned_malloc = file.at("tuned_malloc");
  if (const json& congestion = file.at("congestion"); !congestion.is_null()) plan.congestion = congestion;
  return plan;
}

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

/// What the loops rely on.
void check(const Plan& plan) {
  require(plan.outstanding > 0 && plan.threads > 0, "there must be a call in flight and a thread to make it");
  require(plan.load.timeout > 0, "the timeout must be above 0");
  require(!plan.load.arrivals || plan.load.arrivals->rate > 0, "the rate must be above 0");
  for (const Point& point : plan.points) {
    require(!point.payloads.empty(), "point " + std::to_string(point.index) + " has no payload");
  }
  for (const RankPlan& rank : plan.ranks) {
    for (const std::uint32_t called : rank.calls) {
      require(called < plan.ranks.size() && plan.ranks[called].serves,
              "rank " + std::to_string(called) + " is called and does not serve");
    }
  }
}

}  // namespace

Opening Plan::opening_of(std::uint32_t rank) const {
  Opening mine = opening;
  mine.rank = rank;
  mine.serves = ranks[rank].serves;
  mine.port = ranks[rank].port;
  return mine;
}

Nanoseconds Plan::patience() const { return warmup + load.duration + load.timeout + 3600_s; }

Plan read_plan(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read the plan " + path);
  try {
    Plan plan = parse(json::parse(file));
    check(plan);
    return plan;
  } catch (const std::exception& wrong) {  // nlohmann's, or std::out_of_range for an unknown name
    throw std::runtime_error("the plan " + path + " is not one this rank understands: " + wrong.what());
  }
}

}  // namespace tensorwire

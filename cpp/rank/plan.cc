#include "rank/plan.h"

#include <fstream>
#include <map>
#include <stdexcept>

namespace tensorwire {
namespace {

using nlohmann::json;

RankPlan read_rank(const json& rank) {
  return {.serves = rank.at("serves"),
          .host = rank.at("host"),
          .port = rank.at("port"),
          .calls = rank.at("calls"),
          .script = rank.at("script"),
          .cores = rank.at("cores")};
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
  return Arrivals{.rate = arrivals.at("rate"),
                  .poisson = arrivals.at("poisson"),
                  .seed = arrivals.at("seed"),
                  .gaps = arrivals.at("gaps_ns")};
}

/// A payload, and an answer or null.
Message read_message(const json& payload, const json& answer) {
  return {payload, answer.is_null() ? Message::kNone : answer.get<std::uint32_t>()};
}

Script read_script(const json& script) {
  Script read{.steps = {}, .period = script.at("period_ns")};
  for (const json& step : script.at("steps")) {
    Step& made = read.steps.emplace_back();
    made.begin = step.at("begin_ns");
    for (const json& phase : step.at("phases")) {
      std::vector<StepCall>& calls = made.phases.emplace_back();
      for (const json& call : phase) calls.push_back({call.at(0), read_message(call.at(1), call.at(2)), call.at(3)});
    }
  }
  return read;
}

std::optional<Collective> read_collective(const json& collective) {
  if (collective.is_null()) return std::nullopt;
  const std::map<std::string, Operation> operations{
      {"all-reduce", Operation::all_reduce},         {"all-gather", Operation::all_gather},
      {"reduce-scatter", Operation::reduce_scatter}, {"all-to-all", Operation::all_to_all},
      {"all-to-all-v", Operation::all_to_all_v},     {"broadcast", Operation::broadcast}};
  return Collective{.operation = operations.at(collective.at("operation")), .elements = collective.at("elements")};
}

Point read_point(const json& point) {
  Point read{.index = point.at("index"),
             .payloads = point.at("payloads"),
             .answers = point.at("answers"),
             .messages = {},
             .scripts = {},
             .collective = read_collective(point.at("collective"))};
  for (const json& message : point.at("messages")) read.messages.push_back(read_message(message.at(0), message.at(1)));
  for (const json& script : point.at("scripts")) read.scripts.push_back(read_script(script));
  return read;
}

Plan parse(const json& file) {
  Plan plan;
  plan.rendezvous = file.at("rendezvous");
  for (const json& rank : file.at("ranks")) plan.ranks.push_back(read_rank(rank));
  plan.opening.size = static_cast<std::uint32_t>(plan.ranks.size());
  plan.opening.serialized = file.at("serialized");
  plan.opening.spin = file.at("spin");
  plan.opening.options = file.at("options");
  plan.opening.timeout = file.at("timeout_ns");
  for (const json& point : file.at("points")) plan.points.push_back(read_point(point));
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
  plan.check = file.at("check");
  plan.tuned_malloc = file.at("tuned_malloc");
  if (const json& congestion = file.at("congestion"); !congestion.is_null()) plan.congestion = congestion;
  return plan;
}

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

/// A round of recorded gaps takes time: calls that are all due at once are due without end.
void check(const Arrivals& arrivals) {
  require(arrivals.rate > 0, "the rate must be above 0");
  Nanoseconds round = arrivals.gaps.empty() ? 1 : 0;
  for (const Nanoseconds gap : arrivals.gaps) {
    require(gap >= 0, "a recorded gap is below 0");
    round = later(round, gap);
  }
  require(round > 0, "the recorded gaps are all 0");
}

void check(const Point& point, const Message& message) {
  require(message.payload < point.payloads.size() &&
              (message.answer == Message::kNone || message.answer < point.answers.size()),
          "a message of point " + std::to_string(point.index) + " is of a payload or answer that is not there");
}

/// A rank that calls has a script, where there are any.
void check(const Point& point, const RankPlan& rank) {
  if (point.scripts.empty() || rank.calls.empty()) return;
  require(rank.script < point.scripts.size(), "there is no script " + std::to_string(rank.script));
  const Script& script = point.scripts[rank.script];
  require(!script.steps.empty() && script.period >= 0, "a script has no steps, or takes less than no time");
  for (const Step& step : script.steps) {
    std::size_t calls = 0;
    for (const auto& phase : step.phases) {
      calls += phase.size();
      for (const StepCall& call : phase) {
        check(point, call.message);
        require(call.peer < rank.calls.size(),
                "a step calls peer " + std::to_string(call.peer) + ", which is not there");
        require(call.due >= 0, "a call is due before its step begins");
      }
    }
    require(calls > 0 && step.begin >= 0, "a step has no call, or begins before the first");
  }
}

/// What the loops rely on.
void check(const Plan& plan) {
  require(plan.outstanding > 0 && plan.threads > 0, "there must be a call in flight and a thread to make it");
  require(plan.load.timeout > 0, "the timeout must be above 0");
  if (plan.load.arrivals) check(*plan.load.arrivals);
  for (const Point& point : plan.points) {
    if (point.collective) require(point.collective->elements > 0, "an operation is over nothing");
    require(!point.payloads.empty(), "point " + std::to_string(point.index) + " has no payload");
    for (const Message& message : point.messages) check(point, message);
    for (const RankPlan& rank : plan.ranks) check(point, rank);
    require(point.scripts.empty() || plan.threads == 1, "steps are gone through by one thread");
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
  mine.host = ranks[rank].host;
  mine.port = ranks[rank].port;
  mine.alone = mine.serves ? ranks[rank].calls.empty() : threads <= 1;
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

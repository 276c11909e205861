#include "rank/rank.h"

#include <unistd.h>

#include <algorithm>
#include <limits>
#include <list>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

#include "core/errors.h"
#include "core/loop.h"
#include "rank/callers.h"
#include "rank/facts.h"
#include "rank/meeting.h"
#include "rank/part.h"
#include "rank/plan.h"
#include "rank/process.h"
#include "rank/usage.h"

namespace tensorwire {
namespace {

using nlohmann::json;

/// What one call costs in the loop itself: over many that move nothing, the least of several batches, because
/// whatever else the host does only adds to it.
double loop_cost_ns(const Stack& stack) {
  constexpr int batches = 10;
  const std::vector<std::vector<std::uint64_t>> sizes{{64}};
  const PayloadSet payloads(sizes, Fill::zeros, 0);
  const std::unique_ptr<Caller> caller = stack.null_caller(1);
  caller->prepare(payloads.payloads(), {});
  const Load load{.duration = 1_s, .max_calls = 10'000};
  double least = std::numeric_limits<double>::max();
  for (int batch = 0; batch < batches; ++batch) {
    SteadyClock clock;
    const Recording recording = Loop(*caller, payloads.payloads(), load, clock).run();
    least = std::min(least, static_cast<double>(recording.elapsed()) / static_cast<double>(recording.calls()));
  }
  return least;
}

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

/// An object with one key. What a stack says of an error need not be UTF-8.
std::string words(const char* kind, const json& body) {
  return json{{kind, body}}.dump(-1, ' ', false, json::error_handler_t::replace);
}

class Rank {
 public:
  Rank(const Plan& plan, std::uint32_t rank, Meeting& meeting, const Stack& stack)
      : plan_(plan),
        rank_(rank),
        meeting_(meeting),
        stack_(stack),
        channel_(stack.open(plan.opening_of(rank), meeting)),
        meter_(interface_of(plan.ranks[rank].host)) {
    apply_congestion();
    meeting_.all_gather("");  // nobody connects before every listening socket has its congestion control
  }

  void run() {
    for (const Point& point : plan_.points) point.collective ? run_collective(point) : run_point(point);
  }

 private:
  /// One point, as far as this rank has come with it.
  struct Progress {
    std::optional<Callers> callers;  // none where the rank only serves
    std::optional<Traffic> traffic;  // of the callers
    Served served;                   // before the clock started
    Serialization spent;             // likewise
    std::vector<Recording> recordings;
  };

  void run_point(const Point& point) {
    Progress progress;
    if (!measure(point, progress)) return;
    json measurement = measured(point);
    if (progress.callers) {
      measurement["calling"] = describe(progress.recordings, *progress.callers);
      measurement["calling"]["serialization"] = describe(progress.callers->spent() - progress.spent);
      progress.callers.reset();
      memory_.pop_back();
    }
    if (plan_.ranks[rank_].serves) measurement["serving"] = describe(progress.served, channel_->served());
    hand_in("measurement", measurement);
  }

  /// What the process used in the window that ends now; whoever called or served adds what it saw.
  json measured(const Point& point) {
    json measurement = meter_.stop();
    measurement["point"] = point.index;
    measurement["rank"] = rank_;
    measurement["calling"] = nullptr;
    measurement["serving"] = nullptr;
    return measurement;
  }

  /// All ranks make the same number of calls, which they count from how long those of the pass before took.
  void run_collective(const Point& point) {
    std::optional<Part>& part = parts_.emplace_back();
    const bool ready = together(point, "prepare",
                                [&] {
                                  part.emplace(plan_, rank_, point, *channel_);
                                  apply_congestion();
                                }) &&
                       together(point, "check", [&] {
                         if (plan_.check) part->check();
                         hand_in_facts();
                       });
    std::optional<Recording> recording;
    const std::uint64_t calls = ready ? warm_up(point, *part) : 0;
    if (calls == 0 || !together(point, "ready", [&] { meter_.start(); }) ||
        !together(point, "measure", [&] { recording = part->run(calls, plan_.load.duration); })) {
      return;
    }
    json measurement = measured(point);
    measurement["calling"] = describe({*recording});
    measurement["calling"]["serialization"] = describe(Serialization{});
    if (plan_.check) measurement["calling"]["checked"] = part->checked();
    parts_.pop_back();
    hand_in("measurement", measurement);
  }

  /// The calls to be measured; 0 when any rank failed.
  std::uint64_t warm_up(const Point& point, Part& part) {
    const std::uint64_t most = plan_.load.max_calls;
    const auto pass = [&](std::uint64_t calls, Nanoseconds duration) {
      return slowest(point, "warm-up", [&] { return part.run(calls, duration).elapsed(); });
    };
    std::uint64_t calls = 1;
    std::optional<Nanoseconds> took = pass(calls, plan_.load.duration);
    while (took && *took < telling(plan_.load.duration) && (most == 0 || calls < most)) {
      calls = most == 0 ? 2 * calls : std::min(2 * calls, most);
      took = pass(calls, plan_.load.duration);
    }
    if (took && plan_.warmup > 0) {
      calls = calls_within(plan_.warmup, calls, *took, most);
      took = pass(calls, plan_.warmup);
    }
    return took ? calls_within(plan_.load.duration, calls, *took, most) : 0;
  }

  /// False when any rank failed.
  bool measure(const Point& point, Progress& progress) {
    std::optional<Callers>& callers = progress.callers;
    const auto call = [&](Nanoseconds duration) {
      const std::uint64_t most = plan_.load.max_calls;
      if (point.scripts.empty()) return callers->run(*progress.traffic, duration, most);
      return callers->run(*progress.traffic, point.scripts[plan_.ranks[rank_].script], duration, most);
    };
    return (point.answers.empty() || together(point, "answer", [&] { give_answers(point); })) &&
           together(point, "prepare", [&] { prepare(point, progress); }) &&
           together(point, "check",
                    [&] {
                      if (callers && plan_.check) callers->check(*progress.traffic);
                      hand_in_facts();
                    }) &&
           together(point, "warm-up",
                    [&] {
                      if (callers && plan_.warmup > 0) call(plan_.warmup);
                    }) &&
           together(point, "ready",
                    [&] {
                      progress.served = channel_->served();
                      if (callers) progress.spent = callers->spent();
                      meter_.start();
                    }) &&
           together(point, "measure", [&] {
             if (callers) progress.recordings = call(plan_.load.duration);
           });
  }

  /// Both ends make the same bytes, of another seed than those of the requests: an echo is no answer.
  void give_answers(const Point& point) {
    answers_ = answer_memory_.emplace_back(point.answers, plan_.fill, plan_.seed + 1).payloads();
    channel_->answer_with(answers_);
  }

  void prepare(const Point& point, Progress& progress) {
    if (plan_.ranks[rank_].calls.empty()) return;
    const PayloadSet& made = memory_.emplace_back(point.payloads, plan_.fill, plan_.seed);
    const bool answered = !point.answers.empty();
    progress.traffic.emplace(made.payloads(), answered ? answers_ : std::span<const Payload>(), point.messages);
    progress.callers.emplace(plan_, rank_, *channel_);
    progress.callers->prepare(*progress.traffic);
    apply_congestion();
  }

  /// Does one stage and waits for the others to have done it. False when any rank failed: all leave the point.
  template <class Work>
  bool together(const Point& point, const char* stage, Work work) {
    return slowest(point, stage,
                   [&] {
                     work();
                     return Nanoseconds{1};
                   })
        .has_value();
  }

  /// The same; of the times that the ranks took for it, as `work` tells, the longest, or none when any rank failed.
  template <class Work>
  std::optional<Nanoseconds> slowest(const Point& point, const char* stage, Work work) {
    if (rank_ == 0) hand_in("stage", {{"point", point.index}, {"name", stage}});
    Nanoseconds took = 0;
    try {
      took = std::max<Nanoseconds>(1, work());
    } catch (const ChannelError& error) {
      fail(point, stage, error.type(), error.what());
    } catch (const std::bad_alloc&) {
      fail(point, stage, "ChannelError", "this rank could not get the memory for the payloads");
    }
    std::vector<Nanoseconds> all;
    for (const std::string& each : meeting_.all_gather(std::to_string(took))) all.push_back(std::stoll(each));
    const auto [least, most] = std::minmax_element(all.begin(), all.end());
    return *least == 0 ? std::nullopt : std::optional(*most);
  }

  void fail(const Point& point, const char* stage, const char* type, const std::string& message) {
    hand_in("failure",
            {{"point", point.index}, {"rank", rank_}, {"stage", stage}, {"type", type}, {"message", message}});
  }

  /// Once, when connections exist whose settings can be read back.
  void hand_in_facts() {
    if (facts_known_) return;
    facts_known_ = true;
    Settings settings = socket_settings();
    settings.merge(channel_->settings());
    settings["malloc"] = plan_.tuned_malloc ? "tuned" : "default";
    hand_in("facts", {{"rank", rank_},
                      {"host", host_name()},
                      {"pid", getpid()},
                      {"cores", allowed_cores()},
                      {"loop_cost_ns", loop_cost_ns(stack_)},
                      {"settings", settings}});
  }

  void apply_congestion() {
    if (plan_.congestion) set_congestion(*plan_.congestion);
  }

  void hand_in(const char* kind, const json& body) { meeting_.hand_in(words(kind, body)); }

  const Plan& plan_;
  std::uint32_t rank_;
  Meeting& meeting_;
  const Stack& stack_;
  // Of a point that failed until the channel is closed: calls that were given up may still be on their way out of it.
  std::list<PayloadSet> memory_;
  std::list<std::optional<Part>> parts_;
  std::list<PayloadSet> answer_memory_;  // of all points: whoever is connected may still ask for them
  std::span<const Payload> answers_;     // of this point
  std::unique_ptr<Channel> channel_;
  Meter meter_;
  bool facts_known_ = false;
};

}  // namespace

void run_rank(const std::string& plan_path, std::uint32_t rank, const std::string& token, const Stack& stack) {
  const Plan plan = read_plan(plan_path);
  if (rank >= plan.ranks.size()) throw std::invalid_argument("the plan has no rank " + std::to_string(rank));
  pin_to(plan.ranks[rank].cores);
  if (plan.tuned_malloc) tune_malloc();
  Meeting meeting(plan.rendezvous, rank, token, plan.patience());
  try {
    Rank(plan, rank, meeting, stack).run();
  } catch (const ChannelError& error) {
    meeting.hand_in(words("fatal", {{"rank", rank}, {"type", error.type()}, {"message", error.what()}}));
    throw;
  }
}

}  // namespace tensorwire

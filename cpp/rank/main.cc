// A native rank: tensorwire-rank-STACK PLAN RANK. The token of the rendezvous is in TENSORWIRE_TOKEN; a rank that
// is to die with its parent finds the parent's process id in TENSORWIRE_PARENT.
// Exit status: 0 done, 1 the channel or the rendezvous failed, 2 the request was wrong.
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include "channels/null.h"
#include "core/errors.h"
#include "rank/process.h"
#include "rank/rank.h"

namespace tensorwire {
namespace {

constexpr Nanoseconds kPatience = 3600_s;  // the driver's own deadlines are shorter; this ends a rank it lost

/// The number in a word. Throws std::invalid_argument or std::out_of_range.
int number(const char* word) { return std::stoi(word); }

int run(char** argv) {
  if (const char* parent = std::getenv("TENSORWIRE_PARENT"); parent != nullptr && !die_with(number(parent))) return 1;
  const Plan plan = read_plan(argv[1]);
  const auto rank = static_cast<std::uint32_t>(number(argv[2]));
  if (rank >= plan.ranks.size()) throw std::invalid_argument("the plan has no rank " + std::to_string(rank));
  const char* token = std::getenv("TENSORWIRE_TOKEN");
  if (token == nullptr) throw std::invalid_argument("TENSORWIRE_TOKEN is not set");

  pin_to(plan.ranks[rank].cores);
  if (plan.tuned_malloc) tune_malloc();
  Meeting meeting(plan.rendezvous, rank, token, kPatience);
  run_rank(plan, rank, meeting, {.open = open, .null_caller = null_caller});
  return 0;
}

}  // namespace
}  // namespace tensorwire

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " PLAN RANK\n";
    return 2;
  }
  try {
    return tensorwire::run(argv);
  } catch (const tensorwire::ChannelError& error) {
    std::cerr << argv[0] << ": " << error.what() << "\n";
    return 1;
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << "\n";
    return 2;
  }
}

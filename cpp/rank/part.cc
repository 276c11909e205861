#include "rank/part.h"

#include "core/check.h"

namespace tensorwire {
namespace {

Collective part_of(const Plan& plan, std::uint32_t rank, const Point& point) {
  Collective part = *point.collective;
  part.rank = rank;
  part.size = static_cast<std::uint32_t>(plan.ranks.size());
  return part;
}

}  // namespace

Part::Part(const Plan& plan, std::uint32_t rank, const Point& point, Channel& channel)
    : brought_(brought(part_of(plan, rank, point))),
      wanted_(expected(part_of(plan, rank, point))),
      payload_(brought_.payload()),
      answer_(wanted_.payload()),
      load_(plan.load),
      caller_(channel.collective(part_of(plan, rank, point))) {
  load_.slots = 1;
  load_.counted = true;
  load_.arrivals.reset();
  caller_->prepare({&payload_, 1}, {&answer_, 1});
}

void Part::check() {
  check_collective(*caller_, wanted_.all(), load_.timeout);
  checked_ = wanted_.all().size();
}

Recording Part::run(std::uint64_t calls, Nanoseconds expected) {
  const Message message{.payload = 0, .answer = 0};
  const Traffic traffic({&payload_, 1}, {&answer_, 1}, {&message, 1});
  load_.max_calls = calls;
  load_.duration = expected;
  SteadyClock clock;
  return Loop(*caller_, traffic, load_, clock).run();
}

}  // namespace tensorwire

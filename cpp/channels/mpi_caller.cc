#include "channels/mpi_caller.h"

#include <mutex>
#include <utility>

#include "channels/mpi_calls.h"

namespace tensorwire::mpi {
namespace {

constexpr Nanoseconds kEndingPatience = 1_s;

class MpiCaller final : public Caller {
 public:
  MpiCaller(World& world, std::shared_ptr<Calls> calls) : world_(world), calls_(std::move(calls)) {}
  ~MpiCaller() override {
    if (!calls_->leave()) keep_for_good(world_, std::move(calls_));
  }

  void prepare(std::span<const Payload> payloads, std::span<const Payload> answers) override {
    calls_->prepare(payloads, answers);
  }
  void call(Call call) override { calls_->call(call); }
  std::size_t wait(std::span<Completion> done, Nanoseconds timeout) override { return calls_->wait(done, timeout); }
  void reply(std::uint32_t slot, const Sink& sink) override { calls_->reply(slot, sink); }

 private:
  World& world_;
  std::shared_ptr<Calls> calls_;
};

/// A receive that nothing came for ends when it is taken back; one that bytes are coming for, when they are there.
bool end(MPI_Request& receive) {
  int done = 0;
  if (MPI_Test(&receive, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) return receive == MPI_REQUEST_NULL;
  if (done == 0) {
    MPI_Cancel(&receive);
    const SteadyClock clock;
    const Nanoseconds deadline = clock.now() + kEndingPatience;
    while (done == 0 && clock.now() < deadline) {
      if (MPI_Test(&receive, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) break;
    }
  }
  if (done != 0 && receive != MPI_REQUEST_NULL) MPI_Request_free(&receive);
  return done != 0;
}

}  // namespace

bool cancel(std::span<MPI_Request> receives) {
  bool all = true;
  for (MPI_Request& receive : receives) {
    if (receive != MPI_REQUEST_NULL && all) all = end(receive);
  }
  return all;
}

void keep_for_good(World& world, std::shared_ptr<void> what) {
  static std::mutex mutex;
  static auto* kept = new std::vector<std::shared_ptr<void>>;  // never destroyed
  world.give_up();
  const std::lock_guard lock(mutex);
  kept->push_back(std::move(what));
}

std::unique_ptr<Caller> caller(const Setting& setting, std::span<const std::uint32_t> slots,
                               std::span<const std::string> addresses) {
  auto calls = std::make_shared<Calls>(setting);
  calls->connect(slots, addresses);
  return std::make_unique<MpiCaller>(setting.world, std::move(calls));
}

}  // namespace tensorwire::mpi

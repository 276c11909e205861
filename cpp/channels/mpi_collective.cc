#include "channels/mpi_collective.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "core/errors.h"

namespace tensorwire::mpi {
namespace {

/// MPI counts in int. Throws ChannelError.
int counted(std::uint64_t elements) {
  if (elements > std::numeric_limits<int>::max()) {
    throw ChannelError("MPI counts to 2147483647, and " + std::to_string(elements) +
                       " elements are to be moved; use a smaller size");
  }
  return static_cast<int>(elements);
}

/// Where the part of each rank lies in an array, and how large it is.
struct Parts {
  std::vector<int> counts;
  std::vector<int> begins;

  void add(std::uint64_t elements) {
    begins.push_back(counts.empty() ? 0 : begins.back() + counts.back());
    counts.push_back(counted(elements));
  }
};

class Together final : public Caller {
 public:
  Together(World& world, const Collective& part) : world_(world), part_(part) {
    for (std::uint32_t peer = 0; peer < part.size; ++peer) {
      to_.add(part.to(peer));
      from_.add(part.from(peer));
    }
  }

  void prepare(std::span<const Payload> payloads, std::span<const Payload>) override {
    const Payload& brings = payloads.front();
    const auto* from = brings.buffers.empty() ? nullptr : reinterpret_cast<const float*>(brings.buffers.front().data());
    // A broadcast has one buffer: at the root for what it brings, elsewhere for what it finds.
    const bool root = part_.operation == Operation::broadcast && from != nullptr;
    found_.emplace(root ? part_.sent() : part_.received());
    std::fill(found_->all().begin(), found_->all().end(), 0.0F);
    if (root) std::copy_n(from, part_.sent(), found_->all().begin());
    operate_ = operation(from, found_->all().data());
  }

  void call(Call) override {
    const int result = operate_();
    if (result != MPI_SUCCESS) world_.give_up();  // the others may be in it still
    check(result, "take part in a collective operation");
    over_ = true;
  }

  std::size_t wait(std::span<Completion> done, Nanoseconds) override {
    if (!over_) return 0;
    over_ = false;
    done.front() = {.slot = 0, .received = part_.received() * sizeof(float)};
    return 1;
  }

  void reply(std::uint32_t, const Sink& sink) override {
    if (part_.received() > 0) sink(std::as_bytes(found_->all()));
  }

 private:
  std::function<int()> operation(const float* from, float* to) {
    const MPI_Comm comm = world_.comm();
    const int all = counted(part_.elements);
    const int share = counted(part_.share());
    switch (part_.operation) {
      case Operation::all_reduce:
        return [=] { return MPI_Allreduce(from, to, all, MPI_FLOAT, MPI_SUM, comm); };
      case Operation::all_gather:
        return [=] { return MPI_Allgather(from, share, MPI_FLOAT, to, share, MPI_FLOAT, comm); };
      case Operation::reduce_scatter:
        return [=] { return MPI_Reduce_scatter_block(from, to, share, MPI_FLOAT, MPI_SUM, comm); };
      case Operation::all_to_all:
        return [=] { return MPI_Alltoall(from, share, MPI_FLOAT, to, share, MPI_FLOAT, comm); };
      case Operation::all_to_all_v:
        return [=, this] {
          return MPI_Alltoallv(from, to_.counts.data(), to_.begins.data(), MPI_FLOAT, to, from_.counts.data(),
                               from_.begins.data(), MPI_FLOAT, comm);
        };
      case Operation::broadcast:
        return [=] { return MPI_Bcast(to, all, MPI_FLOAT, 0, comm); };
    }
    throw ChannelError("no such operation");
  }

  World& world_;
  const Collective part_;
  Parts to_;
  Parts from_;
  std::optional<Elements> found_;
  std::function<int()> operate_;
  bool over_ = false;
};

}  // namespace

std::unique_ptr<Caller> collective(World& world, const Collective& part) {
  return std::make_unique<Together>(world, part);
}

}  // namespace tensorwire::mpi

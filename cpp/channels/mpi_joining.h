// The part of joining a world that is the implementation's own. There is one source file for each of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/clock.h"
#include "core/rendezvous.h"

namespace tensorwire::mpi {

struct Startup;

/// What has to be there while MPI runs.
class Joining {
 public:
  virtual ~Joining() = default;
  /// MPI_Init has returned: the rendezvous belongs to others again.
  virtual void joined() = 0;
  /// Whether MPI_Finalize waits for no other rank: one may be gone.
  virtual bool ends_alone() const = 0;
};

/// The name of the implementation that this was built for.
const char* implementation();
/// Its version when this was built.
std::string built_against();

/// Tells MPI, by this process's environment, what it may use. Throws ChannelUnavailable for what it does not know.
void tell(const Startup& startup);

/// What it moves bytes over, where it chose itself and there is something to tell it by; otherwise empty.
std::string transport();

/// Whether whoever started this process has put it into a world.
bool is_launched();

/// For a world of this process alone.
void stay_alone();

/// Makes ready to become MPI rank `rank` of `size`; all processes call this at the same time, and MPI_Init next.
/// Throws ChannelUnavailable when something that it needs is not installed.
std::unique_ptr<Joining> join(std::uint32_t rank, std::uint32_t size, Rendezvous& rendezvous, Nanoseconds timeout);

}  // namespace tensorwire::mpi

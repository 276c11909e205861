// How a process gets into an MPI world with those of the other ranks, and out of it. Used by whatever is built on MPI.
#pragma once

#include <mpi.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "core/channel.h"
#include "core/clock.h"
#include "core/rendezvous.h"

namespace tensorwire::mpi {

/// What MPI is told before it starts; the same on all ranks but for `alone`.
struct Startup {
  std::string transport = "auto";  // auto, shm, tcp, ucx or ofi
  std::string host = "127.0.0.1";  // whose interface TCP is to use
  Nanoseconds timeout = 20_s;      // the longest wait for the other ranks
  bool spins = false;              // MPI never yields
  bool alone = false;              // one thread at a time will use MPI, so that it need not lock
};

class Joining;

/// This process's part of MPI. There is one: MPI starts once in a process, and ends with it.
class World {
 public:
  /// Starts MPI with the other ranks, all of which call this at the same time; rank i becomes MPI's rank i. Ranks that
  /// are threads of one process get a world of one. A process that is in a world already stays in it.
  /// Throws ChannelUnavailable when MPI lacks something, ChannelError when it does not start.
  static World& join(const Startup& startup, std::uint32_t rank, Rendezvous& rendezvous);

  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  MPI_Comm comm() const { return comm_; }  // of our own messages

  /// The first of `count` tags that nobody in this process had before. Throws ChannelError when there are no more.
  int take_tags(std::uint64_t count);

  /// What MPI holds will never end, as a message to a rank that is gone: the process ends without MPI_Finalize.
  void give_up() { clean_ = false; }

  /// A window that memory can be attached to, for one-sided transfers; all ranks call this at the same time, the first
  /// time. Throws ChannelUnavailable where this MPI has none.
  MPI_Win window();

  /// The implementation, its version and how it moves bytes, as far as it tells.
  Settings settings() const;

 private:
  World(const Startup& startup, std::uint32_t rank, std::uint32_t processes, Rendezvous& rendezvous);

  void start(const Startup& startup);

  Startup startup_;
  std::unique_ptr<Joining> joining_;  // null in a world that was there before, or of one
  MPI_Comm comm_ = MPI_COMM_NULL;
  MPI_Win window_ = MPI_WIN_NULL;
  int rank_ = 0;
  int size_ = 1;
  int threads_ = MPI_THREAD_SINGLE;
  std::uint64_t last_tag_ = 0;
  std::atomic<std::uint64_t> next_tag_ = 1;
  std::atomic<bool> clean_ = true;
};

/// Throws PeerLost or ChannelError for anything but success; `doing` completes "MPI could not ...".
void check(int result, const char* doing);

}  // namespace tensorwire::mpi

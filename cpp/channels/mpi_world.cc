#include "channels/mpi_world.h"

#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "channels/mpi_joining.h"
#include "core/errors.h"

namespace tensorwire::mpi {
namespace {

constexpr std::uint64_t kLeastTags = 32767;  // what the standard promises

std::string text_of(int result) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(result, text, &length);
  return text;
}

/// Which process this is, among those of all hosts, and whether it was put into a world already.
std::string identity() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return std::string(host) + ":" + std::to_string(getpid()) + (is_launched() ? ":launched" : "");
}

std::string first_line(const std::string& text) {
  std::string line = text.substr(0, text.find('\n'));
  std::replace(line.begin(), line.end(), '\t', ' ');
  return line;
}

std::string library_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);
  return first_line(text);
}

const char* name_of(int threads) {
  switch (threads) {
    case MPI_THREAD_MULTIPLE:
      return "multiple";
    case MPI_THREAD_SERIALIZED:
      return "serialized";
    case MPI_THREAD_FUNNELED:
      return "funneled";
    default:
      return "single";
  }
}

}  // namespace

void check(int result, const char* doing) {
  if (result == MPI_SUCCESS) return;
  throw ChannelError("MPI could not " + std::string(doing) + ": " + text_of(result));
}

World& World::join(const Startup& startup, std::uint32_t rank, Rendezvous& rendezvous) {
  static std::mutex mutex;
  static std::unique_ptr<World> world;
  const auto identities = rendezvous.all_gather(identity());
  const std::set<std::string> processes(identities.begin(), identities.end());
  if (processes.size() != 1 && processes.size() != identities.size()) {
    throw ChannelError("MPI ranks are processes of their own, or all of them threads of one");
  }
  const std::lock_guard lock(mutex);
  if (!world) {
    world.reset(new World(startup, rank, static_cast<std::uint32_t>(processes.size()), rendezvous));
  }
  return *world;
}

World::World(const Startup& startup, std::uint32_t rank, std::uint32_t processes, Rendezvous& rendezvous)
    : startup_(startup) {
  tell(startup_);
  if (processes == 1) {
    if (!is_launched()) stay_alone();
  } else if (!is_launched()) {
    joining_ = mpi::join(rank, processes, rendezvous, startup_.timeout);
  }
  start(startup_);
  if (joining_) joining_->joined();
  if (static_cast<std::uint32_t>(size_) != processes) {
    throw ChannelError("MPI made a world of " + std::to_string(size_) + " of " + std::to_string(processes) +
                       " processes; start them with the mpiexec of the implementation that this channel was built for");
  }
}

void World::start(const Startup& startup) {
  const int asked = startup.alone ? MPI_THREAD_SERIALIZED : MPI_THREAD_MULTIPLE;
  check(MPI_Init_thread(nullptr, nullptr, asked, &threads_), "start");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  if (threads_ < asked) {
    throw ChannelUnavailable("this MPI was built without threads (MPI_THREAD_MULTIPLE); use another");
  }
  check(MPI_Comm_dup(MPI_COMM_WORLD, &comm_), "make a communicator");
  MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
  void* most = nullptr;
  int known = 0;
  MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &most, &known);
  last_tag_ = known != 0 ? static_cast<std::uint64_t>(*static_cast<int*>(most)) : kLeastTags;
}

World::~World() {
  if (!clean_ || (joining_ && !joining_->ends_alone())) return;
  if (window_ != MPI_WIN_NULL) MPI_Win_unlock_all(window_);
  MPI_Finalize();
}

int World::take_tags(std::uint64_t count) {
  const std::uint64_t first = next_tag_.fetch_add(count);
  if (count > last_tag_ || first > last_tag_ - count) {
    throw ChannelError("MPI has no more than " + std::to_string(last_tag_) +
                       " tags, and this run needs more; use fewer sizes, payloads or calls in flight in one run");
  }
  return static_cast<int>(first);
}

MPI_Win World::window() {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (window_ != MPI_WIN_NULL) return window_;
  const int result = MPI_Win_create_dynamic(MPI_INFO_NULL, comm_, &window_);
  if (result != MPI_SUCCESS) {
    throw ChannelUnavailable("this MPI has no windows for one-sided transfers between these ranks" +
                             std::string(threads_ == MPI_THREAD_MULTIPLE ? " with several threads that use it" : "") +
                             " (" + text_of(result) + "); use -o one_sided=false");
  }
  MPI_Win_set_errhandler(window_, MPI_ERRORS_RETURN);
  check(MPI_Win_lock_all(MPI_MODE_NOCHECK, window_), "open a window");
  return window_;
}

/// MPI has no call that tells the transport. What was asked for is all that it may use.
Settings World::settings() const {
  std::string transport = startup_.transport;
  if (size_ == 1) transport = "self";
  if (transport == "auto") transport = mpi::transport();
  if (transport.empty()) transport = "not told by " + std::string(implementation());
  int version = 0;
  int subversion = 0;
  MPI_Get_version(&version, &subversion);
  return {{"transport", transport},
          {"asked_transport", startup_.transport},
          {"mpi", implementation()},
          {"mpi_library", library_version()},
          {"mpi_built_against", built_against()},
          {"mpi_standard", std::to_string(version) + "." + std::to_string(subversion)},
          {"mpi_threads", name_of(threads_)},
          {"world", joining_    ? "joined at the rendezvous"
                    : size_ > 1 ? "as launched"
                                : "one process"}};
}

}  // namespace tensorwire::mpi

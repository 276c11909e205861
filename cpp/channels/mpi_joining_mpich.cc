// MPICH asks a process manager who the others are, in a simple protocol over a socket (PMI 1): each process puts what
// the others must know, waits for them, and gets theirs. That is an all-gather, and the rendezvous has one: so a thread
// of each rank is that rank's process manager, and neither mpiexec nor a daemon is needed.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "channels/mpi_joining.h"
#include "channels/mpi_world.h"
#include "channels/socket.h"
#include "core/errors.h"

namespace tensorwire::mpi {
namespace {

constexpr const char* kName = "kvsname=tensorwire";
constexpr std::string_view kOk = " rc=0 msg=success";

/// The value of `key=` in a request; a value that may hold spaces comes last.
std::string value_of(std::string_view request, std::string_view key) {
  const std::size_t at = request.find(std::string(key) + "=");
  if (at == std::string_view::npos) return {};
  const std::string_view value = request.substr(at + key.size() + 1);
  return std::string(key == "value" ? value : value.substr(0, value.find(' ')));
}

class Manager final : public Joining {
 public:
  Manager(std::uint32_t rank, std::uint32_t size, Rendezvous& rendezvous) : size_(size), rendezvous_(&rendezvous) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      throw ChannelError("cannot make a pair of sockets: " + error_text(errno));
    }
    ours_ = Socket(ends[0]);
    setenv("PMI_FD", std::to_string(ends[1]).c_str(), 1);
    setenv("PMI_RANK", std::to_string(rank).c_str(), 1);
    setenv("PMI_SIZE", std::to_string(size).c_str(), 1);
    unsetenv("PMI_PORT");
    known_["PMI_process_mapping"] = "(vector,(0,1," + std::to_string(size) + "))";
    thread_ = std::thread([this] { serve(); });
  }

  ~Manager() override {
    ours_.shut_down();
    thread_.join();
  }

  void joined() override { rendezvous_ = nullptr; }
  bool ends_alone() const override { return false; }

 private:
  void serve() {
    std::string received;
    char room[4096];
    for (;;) {
      const ssize_t n = read(ours_.fd(), room, sizeof room);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return;
      received.append(room, static_cast<std::size_t>(n));
      for (std::size_t end = 0; (end = received.find('\n')) != std::string::npos; received.erase(0, end + 1)) {
        if (!say(answer(std::string_view(received).substr(0, end)) + "\n")) return;
      }
    }
  }

  bool say(const std::string& reply) const {
    return send(ours_.fd(), reply.data(), reply.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(reply.size());
  }

  std::string answer(std::string_view request) {
    const std::string command = value_of(request, "cmd");
    if (command == "init") return "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0";
    if (command == "get_maxes") return "cmd=maxes kvsname_max=256 keylen_max=64 vallen_max=1024";
    if (command == "get_appnum") return "cmd=appnum appnum=0";
    if (command == "get_my_kvsname") return std::string("cmd=my_kvsname ") + kName;
    if (command == "get_universe_size") return "cmd=universe_size size=" + std::to_string(size_);
    if (command == "put") return put(value_of(request, "key"), value_of(request, "value"));
    if (command == "get") return get(value_of(request, "key"));
    if (command == "barrier_in") return barrier();
    if (command == "finalize") return "cmd=finalize_ack";
    return "cmd=" + command + "_result rc=-1 msg=unknown_command";
  }

  std::string put(const std::string& key, const std::string& value) {
    known_[key] = value;
    news_ += key + "=" + value + "\n";
    return "cmd=put_result" + std::string(kOk);
  }

  std::string get(const std::string& key) const {
    const auto found = known_.find(key);
    if (found == known_.end()) return "cmd=get_result rc=-1 msg=key_not_found value=unknown";
    return "cmd=get_result" + std::string(kOk) + " value=" + found->second;
  }

  /// Waits for the others while MPI starts. When it ends there is nobody to wait for: a rank may be gone.
  std::string barrier() {
    Rendezvous* rendezvous = rendezvous_;
    if (rendezvous == nullptr) return "cmd=barrier_out";
    try {
      for (const std::string& blob : rendezvous->all_gather(news_)) learn(blob);
    } catch (const ChannelError&) {  // the driver is gone, and with it this process
      return "cmd=barrier_out rc=-1";
    }
    news_.clear();
    return "cmd=barrier_out";
  }

  void learn(std::string_view blob) {
    for (std::size_t end = 0; (end = blob.find('\n')) != std::string_view::npos; blob.remove_prefix(end + 1)) {
      const std::string_view line = blob.substr(0, end);
      const std::size_t equals = line.find('=');
      known_[std::string(line.substr(0, equals))] = line.substr(equals + 1);
    }
  }

  std::uint32_t size_;
  std::atomic<Rendezvous*> rendezvous_;
  Socket ours_;
  std::map<std::string, std::string> known_;
  std::string news_;  // put since the last barrier
  std::thread thread_;
};

/// What it has for networks, as it says itself: "MPICH Device: ch4:ucx".
bool was_built_with(const char* network) {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string version(text);
  const std::string device = version.substr(std::min(version.find("MPICH Device:"), version.size()));
  return device.substr(0, device.find('\n')).find(network) != std::string::npos;
}

void set(const char* name, const std::string& value) { setenv(name, value.c_str(), 1); }

}  // namespace

const char* implementation() { return "mpich"; }

std::string built_against() { return MPICH_VERSION; }

void tell(const Startup& startup) {
  if (startup.transport == "auto") return;
  if (startup.transport == "shm") return set("UCX_TLS", "shm,self");  // where UCX moves what stays on a host, too
  if (startup.transport != "tcp" && startup.transport != "ucx" && startup.transport != "ofi") {
    throw ChannelUnavailable("transport '" + startup.transport + "' is none that MPICH can be told to use; it may be " +
                             "auto, shm, tcp, ucx or ofi");
  }
  if (startup.transport != "tcp" && !was_built_with(startup.transport.c_str())) {
    throw ChannelUnavailable("this MPICH was built without " + startup.transport +
                             ", so it has no such transport; use auto, shm or tcp, or another MPICH");
  }
  set("MPIR_CVAR_NOLOCAL", "1");  // no shared memory of its own: what it has for networks moves everything
  if (startup.transport != "tcp") return;
  const auto interface = interface_of(startup.host);
  set("UCX_TLS", "tcp,self");
  if (interface) set("UCX_NET_DEVICES", *interface);
  set("FI_PROVIDER", "tcp");
  if (interface) set("FI_TCP_IFACE", *interface);
}

bool is_launched() { return std::getenv("PMI_SIZE") != nullptr || std::getenv("PMIX_RANK") != nullptr; }

std::string transport() { return ""; }

void stay_alone() {}

std::unique_ptr<Joining> join(std::uint32_t rank, std::uint32_t size, Rendezvous& rendezvous, Nanoseconds) {
  return std::make_unique<Manager>(rank, size, rendezvous);
}

}  // namespace tensorwire::mpi

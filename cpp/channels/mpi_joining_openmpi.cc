// Open MPI asks a PMIx server who the others are, and brings one: mpirun. It also wants to start the processes itself,
// which a launcher has done already here. So rank 0 has mpirun start stand-ins, which tell what environment mpirun
// gave them and wait; each rank takes the environment of one of them, and is then, to the server, that process.
// Ranks keep their own parents, signals, exit statuses, cores and output; mpirun only answers questions, and clears
// away the files of a rank that was killed.
#include <dlfcn.h>
#include <fcntl.h>
#include <mpi.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>
#include <vector>

#include "channels/mpi_joining.h"
#include "channels/mpi_world.h"
#include "channels/socket.h"
#include "core/errors.h"

namespace tensorwire::mpi {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRemedy = "apt-get install openmpi-bin";

/// A stand-in: tells its environment, then waits until its rank is gone. That of rank 0 hears of it through mpirun's
/// standard input; when it hears nothing but the end, it fails, and mpirun ends the others, whose ranks may never have
/// come. Not so that mpirun is sent a signal: it would leave files behind when its stand-ins end meanwhile.
constexpr const char* kStandIn =
    "cd \"$0\" && env -0 > told.$PMIX_RANK && mv told.$PMIX_RANK env.$PMIX_RANK || exit 1; "
    "if [ $PMIX_RANK = 0 ]; then read -r end; exit $?; fi; "
    "exec < hold.$PMIX_RANK; read -r end; exit 0";

constexpr Nanoseconds kEndingPatience = 3_s;

/// The files of shared memory that Open MPI has mapped here, its own and those of the ranks on this host.
std::set<fs::path> shared_segments() {
  std::set<fs::path> found;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::size_t at = line.find('/');
    if (at == std::string::npos) continue;
    const fs::path file(line.substr(at));
    for (const char* name : {"vader_segment.", "sm_segment."}) {
      if (file.filename().string().starts_with(name)) found.insert(file);
    }
  }
  return found;
}

/// What of a stand-in's environment is mpirun's.
bool is_mpirun_s(std::string_view variable) {
  for (const char* prefix : {"OMPI_", "PMIX_", "PMI_", "PRTE_", "OPAL_", "HWLOC_"}) {
    if (variable.starts_with(prefix)) return true;
  }
  return false;
}

void pause(Nanoseconds time) {
  const timespec length{.tv_sec = time / 1_s, .tv_nsec = time % 1_s};
  nanosleep(&length, nullptr);
}

bool can_run(const fs::path& program) { return access(program.c_str(), X_OK) == 0; }

/// The mpirun that belongs to the library that was loaded, or else the first that is found.
fs::path find_mpirun() {
  Dl_info info{};
  std::vector<fs::path> places;
  if (dladdr(reinterpret_cast<const void*>(&MPI_Init), &info) != 0 && info.dli_fname != nullptr) {
    places.push_back(fs::path(info.dli_fname).parent_path() / "../bin/mpirun");
  }
  const char* path = std::getenv("PATH");
  for (const char* name : {"mpirun.openmpi", "mpirun"}) {
    std::istringstream folders(path != nullptr ? path : "/usr/bin");
    for (std::string folder; std::getline(folders, folder, ':');) places.push_back(fs::path(folder) / name);
  }
  for (const fs::path& place : places) {
    if (can_run(place)) return place;
  }
  throw ChannelUnavailable("channel mpi needs mpirun of Open MPI to bring its ranks together, and there is none; " +
                           std::string(kRemedy));
}

/// What this process's standard error holds from an offset on, where it is a file; what mpirun says goes there too.
std::string said_since(off_t offset) {
  std::string all;
  const Socket file(::open("/proc/self/fd/2", O_RDONLY | O_CLOEXEC));
  struct stat status{};
  if (fstat(file.fd(), &status) != 0 || !S_ISREG(status.st_mode)) return all;
  std::array<char, 4096> room;
  for (ssize_t n = 0; (n = pread(file.fd(), room.data(), room.size(), offset)) > 0; offset += n) {
    all.append(room.data(), static_cast<std::size_t>(n));
  }
  return all;
}

/// What mpirun had to say, on one line, without the rules around it.
std::string in_one_line(const std::string& text) {
  std::istringstream words(text);
  std::string line;
  for (std::string word; words >> word && line.size() < 400;) {
    if (word.find_first_not_of('-') != std::string::npos) line += (line.empty() ? "" : " ") + word;
  }
  return line;
}

/// mpirun and its stand-ins. They end with this process, however it ends.
class Server {
 public:
  Server(std::uint32_t size, const fs::path& directory) : said_before_(lseek(2, 0, SEEK_CUR)) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      throw ChannelError("cannot make a pair of sockets: " + error_text(errno));
    }
    const Socket stdin_of_child(ends[0]);
    input_ = Socket(ends[1]);
    const fs::path mpirun = find_mpirun();
    const std::string count = std::to_string(size);
    const std::string place = directory;
    std::vector<const char*> words{mpirun.c_str(),
                                   "--allow-run-as-root",
                                   "--oversubscribe",
                                   "--bind-to",
                                   "none",
                                   "-np",
                                   count.c_str(),
                                   "/bin/sh",
                                   "-c",
                                   kStandIn,
                                   place.c_str(),
                                   nullptr};
    child_ = fork();
    if (child_ < 0) throw ChannelError("cannot start mpirun: " + error_text(errno));
    if (child_ == 0) become(words, stdin_of_child.fd());
  }

  ~Server() {
    send(input_.fd(), "end\n", 4, MSG_NOSIGNAL);
    const SteadyClock clock;
    for (const Nanoseconds deadline = clock.now() + kEndingPatience; running() && clock.now() < deadline;) pause(2_ms);
    if (!running()) return;
    kill(child_, SIGTERM);  // it ends what it has started, and removes its files
    for (const Nanoseconds deadline = clock.now() + kEndingPatience; running() && clock.now() < deadline;) pause(2_ms);
    if (running()) kill(child_, SIGKILL);
  }

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  bool running() {
    if (child_ > 0 && waitpid(child_, nullptr, WNOHANG) != 0) child_ = -1;
    return child_ > 0;
  }

  std::string said() const { return in_one_line(said_since(std::max<off_t>(said_before_, 0))); }

 private:
  [[noreturn]] void become(const std::vector<const char*>& words, int input) const {
    setpgid(0, 0);  // a Ctrl-C is for others
    dup2(input, 0);
    dup2(2, 1);
    execv(words[0], const_cast<char* const*>(words.data()));
    _exit(127);
  }

  off_t said_before_;
  Socket input_;
  pid_t child_ = -1;
};

/// The environments that the stand-ins tell, one after the other, each ended by an empty string.
std::string environments(Server& server, const fs::path& directory, std::uint32_t size, Nanoseconds timeout) {
  const SteadyClock clock;
  const Nanoseconds deadline = clock.now() + timeout;
  std::string all;
  for (std::uint32_t i = 0; i < size; ++i) {
    const fs::path told = directory / ("env." + std::to_string(i));
    while (!fs::exists(told)) {
      if (!server.running()) throw ChannelError("mpirun ended before the ranks had joined: " + server.said());
      if (clock.now() > deadline) {
        throw ChannelError("mpirun started no world within " + std::to_string(timeout / 1_s) + " s: " + server.said());
      }
      pause(2_ms);
    }
    std::ifstream file(told);
    for (std::string variable; std::getline(file, variable, '\0');) {
      if (is_mpirun_s(variable)) all += variable + '\0';
    }
    all += '\0';
    fs::remove(told);
  }
  return all;
}

fs::path make_directory(std::uint32_t size) {
  // The driver's own are called so too: it removes what processes that are gone have left.
  std::string name = fs::temp_directory_path() / ("tensorwire-" + std::to_string(getpid()) + "-XXXXXX");
  if (mkdtemp(name.data()) == nullptr) throw ChannelError("cannot make a directory " + name + ": " + error_text(errno));
  for (std::uint32_t i = 1; i < size; ++i) {
    const fs::path hold = fs::path(name) / ("hold." + std::to_string(i));
    if (mkfifo(hold.c_str(), 0600) != 0) throw ChannelError("cannot make " + hold.string() + ": " + error_text(errno));
  }
  return name;
}

/// Takes the environment of stand-in `rank`.
void take(std::string_view environments, std::uint32_t rank) {
  for (std::uint32_t i = 0; !environments.empty(); environments.remove_prefix(environments.find('\0') + 1)) {
    const std::string variable(environments.substr(0, environments.find('\0')));
    if (variable.empty()) {
      ++i;
    } else if (i == rank) {
      const std::size_t equals = variable.find('=');
      // What was set here, for this rank, goes before what mpirun says.
      setenv(variable.substr(0, equals).c_str(), variable.substr(equals + 1).c_str(), 0);
    }
  }
}

/// The end of a pipe whose other end a stand-in has opened: it will see this one close.
Socket hold(const fs::path& pipe, Nanoseconds timeout) {
  const SteadyClock clock;
  const Nanoseconds deadline = clock.now() + timeout;
  for (;;) {
    Socket end(::open(pipe.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    if (end.fd() >= 0) return end;
    if (errno != ENXIO || clock.now() > deadline) {
      throw ChannelError("cannot open " + pipe.string() + ": " + error_text(errno) +
                         "; ranks on several hosts are to be started by mpirun itself");
    }
    pause(1_ms);
  }
}

class StandIn final : public Joining {
 public:
  StandIn(std::uint32_t rank, std::uint32_t size, Rendezvous& rendezvous, Nanoseconds timeout) {
    std::string offer;  // of rank 0: a directory and the environments, or what is wrong
    if (rank == 0) offer = start(size, timeout);
    offer = rendezvous.all_gather(offer)[0];
    const std::size_t end = offer.find('\0');
    if (end == std::string::npos) throw ChannelUnavailable(offer);
    take(std::string_view(offer).substr(end + 1), rank);
    const fs::path directory = offer.substr(0, end);
    if (rank > 0) hold_ = hold(directory / ("hold." + std::to_string(rank)), timeout);
    rendezvous.all_gather("");
    std::error_code ignored;
    if (rank == 0) fs::remove_all(directory, ignored);  // everybody holds what was in it
  }

  ~StandIn() override {
    hold_ = Socket();
    server_.reset();
  }

  bool ends_alone() const override { return true; }

  /// Everybody has mapped the memory that is shared: without a name it goes with the last rank, however that ends.
  void joined() override {
    check(MPI_Barrier(MPI_COMM_WORLD), "wait for the other ranks");
    for (const fs::path& segment : shared_segments()) unlink(segment.c_str());
  }

 private:
  std::string start(std::uint32_t size, Nanoseconds timeout) {
    fs::path directory;
    try {
      directory = make_directory(size);
      server_ = std::make_unique<Server>(size, directory);
      const std::string all = environments(*server_, directory, size, timeout);
      return directory.string() + '\0' + all;
    } catch (const ChannelError& wrong) {
      server_.reset();
      std::error_code ignored;
      if (!directory.empty()) fs::remove_all(directory, ignored);
      return wrong.what();
    }
  }

  Socket hold_;
  std::unique_ptr<Server> server_;
};

void set(const char* name, const std::string& value) { setenv(name, value.c_str(), 1); }

/// With shared memory it is the process itself that sends to itself.
void tell_transport(const Startup& startup) {
  if (startup.transport == "auto") return;
  if (startup.transport == "ucx") {
    set("OMPI_MCA_pml", "ucx");
    set("OMPI_MCA_pml_ucx_tls", "any");
    set("OMPI_MCA_pml_ucx_devices", "any");
  } else if (startup.transport == "ofi") {
    set("OMPI_MCA_pml", "cm");
    set("OMPI_MCA_mtl", "ofi");
  } else if (startup.transport == "shm") {
    set("OMPI_MCA_pml", "ob1");
    set("OMPI_MCA_btl", OMPI_MAJOR_VERSION < 5 ? "self,vader" : "self,sm");
  } else if (startup.transport == "tcp") {
    set("OMPI_MCA_pml", "ob1");
    set("OMPI_MCA_btl", "self,tcp");
    if (const auto interface = interface_of(startup.host)) set("OMPI_MCA_btl_tcp_if_include", *interface);
  } else {
    throw ChannelUnavailable("transport '" + startup.transport + "' is none that Open MPI can be told to use; it may " +
                             "be auto, shm, tcp, ucx or ofi");
  }
}

}  // namespace

const char* implementation() { return "openmpi"; }

std::string built_against() {
  return std::to_string(OMPI_MAJOR_VERSION) + "." + std::to_string(OMPI_MINOR_VERSION) + "." +
         std::to_string(OMPI_RELEASE_VERSION);
}

void tell(const Startup& startup) {
  tell_transport(startup);
  set("OMPI_MCA_async_mpi_finalize", "1");  // a rank that ends does not wait for one that may be gone
  set("OMPI_MCA_mpi_yield_when_idle", startup.spins ? "0" : "1");
  set("OMPI_MCA_hwloc_base_binding_policy", "none");  // ranks are placed already
}

bool is_launched() { return std::getenv("PMIX_RANK") != nullptr || std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr; }

std::string transport() { return shared_segments().size() > 1 ? "shm" : ""; }  // its own is one

void stay_alone() {
  set("OMPI_MCA_ess_singleton_isolated", "1");
  set("OMPI_MCA_orte_create_session_dirs", "0");
}

std::unique_ptr<Joining> join(std::uint32_t rank, std::uint32_t size, Rendezvous& rendezvous, Nanoseconds timeout) {
  return std::make_unique<StandIn>(rank, size, rendezvous, timeout);
}

}  // namespace tensorwire::mpi

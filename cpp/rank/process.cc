#include "rank/process.h"

#include <dirent.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <set>
#include <stdexcept>

#include "channels/socket.h"
#include "core/errors.h"

namespace tensorwire {
namespace {

template <class Value>
Value socket_option(int fd, int level, int name) {
  Value value{};
  socklen_t length = sizeof value;
  getsockopt(fd, level, name, &value, &length);
  return value;
}

/// The TCP sockets among this process's descriptors, listening or connected.
std::vector<int> tcp_sockets() {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir("/proc/self/fd"), closedir);
  std::vector<int> sockets;
  while (const dirent* entry = directory ? readdir(directory.get()) : nullptr) {
    const int fd = std::atoi(entry->d_name);
    const int family = socket_option<int>(fd, SOL_SOCKET, SO_DOMAIN);
    if (family != AF_INET && family != AF_INET6) continue;
    if (socket_option<int>(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP) sockets.push_back(fd);
  }
  return sockets;
}

struct CongestionName {
  char text[16];
};

std::string joined(const std::set<std::string>& values) {
  std::string all;
  for (const std::string& value : values) all += (all.empty() ? "" : ",") + value;
  return all;
}

}  // namespace

bool die_with(int parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  return getppid() == parent;
}

void pin_to(const std::vector<int>& cores) {
  if (cores.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) CPU_SET(static_cast<std::size_t>(core), &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) {
    throw std::runtime_error("cannot run on core " + std::to_string(cores.front()) + ": " + error_text(errno));
  }
}

void tune_malloc() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the largest that glibc takes
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

void set_congestion(const std::string& name) {
  for (const int fd : tcp_sockets()) {
    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), static_cast<socklen_t>(name.size())) != 0) {
      throw ChannelError("cannot use TCP congestion control '" + name + "': " + error_text(errno));
    }
  }
}

Settings socket_settings() {
  std::set<std::string> congestion;
  std::set<std::string> send;
  std::set<std::string> receive;
  for (const int fd : tcp_sockets()) {
    congestion.insert(socket_option<CongestionName>(fd, IPPROTO_TCP, TCP_CONGESTION).text);
    send.insert(std::to_string(socket_option<int>(fd, SOL_SOCKET, SO_SNDBUF)));
    receive.insert(std::to_string(socket_option<int>(fd, SOL_SOCKET, SO_RCVBUF)));
  }
  return {{"tcp_congestion", joined(congestion)}, {"send_buffer", joined(send)}, {"receive_buffer", joined(receive)}};
}

std::vector<int> allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(static_cast<std::size_t>(core), &set)) cores.push_back(core);
  }
  return cores;
}

}  // namespace tensorwire

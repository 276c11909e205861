// What both hand-written programs need around the few lines that matter: the request, a server in a process of its own,
// placement, memory, a closed loop, and one line of JSON at the end.
#pragma once

#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

[[noreturn]] inline void die(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  _exit(1);
}

struct Request {
  bool echo;  // the reply is the payload itself, or else 8 bytes that say how much of it arrived
  unsigned outstanding;
  double warmup;  // seconds
  double seconds;
  int server_core;
  int caller_core;
  std::vector<std::size_t> sizes;  // of the buffers of the one payload
};

inline Request read_request(int argc, char** argv) {
  if (argc < 8)
    die("usage: PROGRAM echo|acknowledge OUTSTANDING WARMUP_S SECONDS SERVER_CORE CALLER_CORE BUFFER_SIZE...");
  Request request{.echo = std::string(argv[1]) == "echo",
                  .outstanding = static_cast<unsigned>(std::atoi(argv[2])),
                  .warmup = std::atof(argv[3]),
                  .seconds = std::atof(argv[4]),
                  .server_core = std::atoi(argv[5]),
                  .caller_core = std::atoi(argv[6]),
                  .sizes = {}};
  for (int i = 7; i < argc; ++i) request.sizes.push_back(std::strtoull(argv[i], nullptr, 10));
  return request;
}

/// The buffers of one payload, on pages of their own, written once so that they are there.
struct Memory {
  explicit Memory(const std::vector<std::size_t>& sizes) {
    for (const std::size_t size : sizes) {
      void* begin = std::aligned_alloc(4096, (size + 4095) / 4096 * 4096);
      for (std::size_t at = 0; at < size; ++at)
        static_cast<unsigned char*>(begin)[at] = static_cast<unsigned char>(rand());
      buffers.push_back({begin, size});
      total += size;
    }
  }
  std::vector<iovec> buffers;  // they live as long as the process
  std::uint64_t total = 0;
};

inline std::int64_t now_ns() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

struct Cpu {
  std::int64_t user_ns;
  std::int64_t system_ns;
  Cpu operator-(const Cpu& before) const { return {user_ns - before.user_ns, system_ns - before.system_ns}; }
};

inline Cpu used() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto ns = [](const timeval& time) { return time.tv_sec * 1'000'000'000 + time.tv_usec * 1000; };
  return {ns(usage.ru_utime), ns(usage.ru_stime)};
}

inline void settle(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(core), &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) die("cannot run on core " + std::to_string(core));
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

/// The caller's and the server's ends of the wire that is not measured.
struct Control {
  template <class Value>
  void tell(const Value& value) const {
    if (write(fd, &value, sizeof value) != sizeof value) die("the other end is gone");
  }
  template <class Value>
  Value hear() const {
    Value value{};
    if (read(fd, &value, sizeof value) != sizeof value) die("the other end is gone");
    return value;
  }
  /// The server's main thread: says what the process has used whenever it is asked, until the caller is gone.
  void answer() const {
    for (char asked; read(fd, &asked, 1) == 1;) tell(used());
  }
  Cpu ask() const {
    tell('?');
    return hear<Cpu>();
  }
  int fd;
};

struct Seen {
  std::uint64_t calls;
  std::int64_t elapsed_ns;
  std::int64_t p50_ns;
};

/// Calls again from each slot when its reply is in. `caller` has start(slot) and finished() -> slot.
template <class Caller>
Seen closed_loop(Caller& caller, unsigned slots, double seconds) {
  static std::vector<std::uint32_t> latencies(1 << 23);  // touched before the clock is read
  std::vector<std::int64_t> started(slots);
  const std::int64_t begin = now_ns();
  const std::int64_t end = begin + static_cast<std::int64_t>(seconds * 1e9);
  std::uint64_t calls = 0;
  std::int64_t now = begin;
  for (unsigned slot = 0; slot < slots; ++slot) {
    started[slot] = now;
    caller.start(slot);
  }
  for (unsigned in_flight = slots; in_flight > 0;) {
    const unsigned slot = caller.finished();
    now = now_ns();
    latencies[calls++ % latencies.size()] = static_cast<std::uint32_t>(now - started[slot]);
    if (now < end) {
      started[slot] = now;
      caller.start(slot);
    } else {
      --in_flight;
    }
  }
  const auto last = latencies.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(calls, latencies.size()));
  const auto middle = latencies.begin() + (last - latencies.begin()) / 2;
  std::nth_element(latencies.begin(), middle, last);
  return {calls, now - begin, *middle};
}

constexpr const char* kServerEnd = "RAW_SERVER_END";

/// Starts this program once more, as the server. A mere fork would lie at the same addresses as the caller, and branch
/// prediction learnt from one would serve the other: 6 % of a small call on one core, which no two programs have.
inline pid_t start_server(char** argv, int caller_end, int server_end) {
  const pid_t server = fork();
  if (server != 0) return server;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  close(caller_end);
  setenv(kServerEnd, std::to_string(server_end).c_str(), 1);
  execv("/proc/self/exe", argv);
  die("cannot start the server");
}

inline void report(const Seen& seen, const Cpu& caller, const Cpu& server) {
  std::printf("{\"calls\": %lu, \"elapsed_ns\": %ld, \"p50_ns\": %ld, \"user_ns\": %ld, \"system_ns\": %ld}\n",
              seen.calls, seen.elapsed_ns, seen.p50_ns, caller.user_ns + server.user_ns,
              caller.system_ns + server.system_ns);
  std::fflush(stdout);
}

/// `serve(request, control)` tells its port, then answers; `Caller(request, port)` is driven by the loop.
template <class Caller, class Serve>
int run(int argc, char** argv, Serve serve) {
  const Request request = read_request(argc, argv);
  if (const char* end = std::getenv(kServerEnd)) {
    settle(request.server_core);
    serve(request, Control{std::atoi(end)});
    _exit(0);
  }
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) die("no socket pair");
  const pid_t server = start_server(argv, ends[0], ends[1]);
  close(ends[1]);
  settle(request.caller_core);
  const Control control{ends[0]};
  Caller caller(request, control.hear<int>());
  closed_loop(caller, request.outstanding, request.warmup);
  const Cpu server_before = control.ask();
  const Cpu before = used();
  const Seen seen = closed_loop(caller, request.outstanding, request.seconds);
  const Cpu after = used();
  report(seen, after - before, control.ask() - server_before);
  kill(server, SIGKILL);
  waitpid(server, nullptr, 0);
  _exit(0);
}

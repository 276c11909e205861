#include "tap/noting.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "tap/log.h"

namespace tensorwire::tap {

constinit Log the_log;
constinit Connections connections(the_log);

namespace {

constexpr std::uint64_t kCapacity = std::uint64_t{1} << 29;

constinit std::atomic<pid_t> owner{0};
constinit thread_local bool inside = false;

/// While it lives, this thread notes nothing more: not in a signal's handler that breaks in, which could wait for a
/// lock that it holds itself. Restores errno.
class Noting {
 public:
  Noting() : may_(!inside), timed_(may_ && the_log.timed()), errno_(errno) {
    inside = true;
    if (timed_) begin_ = monotonic();
  }
  ~Noting() {
    if (timed_) the_log.spent(monotonic() - begin_);
    if (may_) inside = false;
    errno = errno_;
  }
  Noting(const Noting&) = delete;
  Noting& operator=(const Noting&) = delete;
  explicit operator bool() const { return may_; }

 private:
  bool may_;
  bool timed_;
  int errno_;
  std::uint64_t begin_ = 0;
};

/// False between vfork and exec, where the memory is the parent's and the descriptors are not.
bool own_memory() { return getpid() == owner.load(std::memory_order_relaxed); }

/// Whether the bytes are to be noted; counts them in any case.
bool counts(int fd, ssize_t taken) {
  if (taken <= 0 || !connections.known(fd)) return false;
  the_log.count(static_cast<std::uint64_t>(taken));
  return the_log.awake() != 0;
}

void after_fork() {
  owner.store(getpid(), std::memory_order_relaxed);
  inside = false;
  the_log.begin_again();
  connections.begin_again();
}

/// Of the sockets that the program was started with, those that are connected. Its standard streams are its own affair.
void note_inherited() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return;
  while (const dirent* entry = readdir(directory)) {
    const int fd = std::atoi(entry->d_name);
    struct stat about{};
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    if (fd <= STDERR_FILENO || fd == dirfd(directory) || fstat(fd, &about) != 0 || !S_ISSOCK(about.st_mode)) continue;
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0) connections.open(fd, How::other);
  }
  closedir(directory);
}

[[gnu::constructor]] void begin() {
  const char* capacity = std::getenv("TENSORWIRE_TAP_CAPACITY");
  owner.store(getpid(), std::memory_order_relaxed);
  the_log.set_directory(std::getenv("TENSORWIRE_TAP"),
                        capacity == nullptr ? kCapacity : std::strtoull(capacity, nullptr, 10));
  pthread_atfork(nullptr, nullptr, after_fork);
  if (const Noting noting; noting) note_inherited();
}

}  // namespace

bool is_recorded(int fd) { return connections.known(fd) && the_log.awake() != 0; }

void note_open(int fd, How how) {
  if (fd < 0 || !own_memory()) return;
  if (const Noting noting; noting) connections.open(fd, how);
}

void note_forget(int fd) {
  if (!connections.known(fd) || !own_memory()) return;
  if (const Noting noting; noting) connections.forget(fd);
}

void note_forget(int first, int last) {
  if (!own_memory()) return;
  if (const Noting noting; noting) connections.forget(first, last);
}

void note_share(int from, int to) {
  if (to < 0 || (!connections.known(from) && !connections.known(to)) || !own_memory()) return;
  if (const Noting noting; noting) connections.share(from, to);
}

void note_sent(int fd, const iovec* buffers, std::size_t count, ssize_t taken) {
  if (!counts(fd, taken)) return;
  if (const Noting noting; noting) connections.sent(fd, {buffers, count}, static_cast<std::uint64_t>(taken));
}

void note_sent(int fd, const void* bytes, std::size_t size, ssize_t taken) {
  const iovec buffer{const_cast<void*>(bytes), size};
  note_sent(fd, &buffer, 1, taken);
}

void note_sent_unseen(int fd, ssize_t taken) {
  if (!counts(fd, taken)) return;
  if (const Noting noting; noting) connections.sent_unseen(fd, static_cast<std::uint64_t>(taken));
}

void note_encrypting(int fd) {
  if (!is_recorded(fd)) return;
  if (const Noting noting; noting) connections.decrypt(fd);
}

void note_encrypted(int fd, const void* bytes, std::size_t size) {
  if (size == 0 || !is_recorded(fd)) return;
  if (const Noting noting; noting) connections.sent_plain(fd, {static_cast<const std::byte*>(bytes), size});
}

ssize_t note_received(int fd, ssize_t bytes, int flags) {
  if (bytes <= 0 || (flags & (MSG_PEEK | MSG_ERRQUEUE)) != 0 || !connections.known(fd) || the_log.awake() == 0) {
    return bytes;
  }
  if (const Noting noting; noting) connections.received(fd, static_cast<std::uint64_t>(bytes));
  return bytes;
}

void note_passed(const msghdr& message) {
  for (const cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(const_cast<msghdr*>(&message), const_cast<cmsghdr*>(part))) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS || part->cmsg_len < CMSG_LEN(0)) continue;
    for (std::size_t at = 0; at + sizeof(int) <= part->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + at, sizeof fd);
      note_forget(fd);
      sockaddr_storage peer{};
      socklen_t size = sizeof peer;
      const int before = errno;
      if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0) note_open(fd, How::other);
      errno = before;
    }
  }
}

void note_mark(std::uint64_t value) {
  if (const Noting noting; noting) the_log.append(Type::mark, 0, std::as_bytes(std::span(&value, 1)), {});
}

}  // namespace tensorwire::tap

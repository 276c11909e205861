#include "tap/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>

#include "tap/told.h"

namespace tensorwire::tap {
namespace {

constexpr std::uint64_t kStep = std::uint64_t{1} << 22;
constexpr std::uint64_t kFirstStep = std::uint64_t{1} << 18;

std::uint64_t now(clockid_t clock) {
  timespec at{};
  clock_gettime(clock, &at);
  return static_cast<std::uint64_t>(at.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(at.tv_nsec);
}

/// What a pair of readings with nothing between them says, on average: the least of some batches, for the others
/// were disturbed.
std::uint64_t clock_picoseconds() {
  constexpr std::uint64_t pairs = 256;
  std::uint64_t least = ~std::uint64_t{0};
  for (int batch = 0; batch < 8; ++batch) {
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < pairs; ++i) {
      const std::uint64_t begin = monotonic();
      sum += monotonic() - begin;
    }
    least = std::min(least, sum);
  }
  return std::max<std::uint64_t>(1, least * 1000 / pairs);
}

constinit thread_local std::uint64_t began_at = 0;

std::uint32_t this_thread(std::uint32_t epoch) {
  static thread_local std::uint32_t known = 0;
  static thread_local std::uint32_t in = 0;
  if (in != epoch) {
    known = static_cast<std::uint32_t>(syscall(SYS_gettid));
    in = epoch;
  }
  return known;
}

/// Not through close(), which is one of those that are watched.
void shut(int file) { syscall(SYS_close, file); }

/// A write through a mapping that the disk has no room for would kill the process: the room is taken before.
bool take_room(int file, std::uint64_t from, std::uint64_t to) {
  if (fallocate(file, 0, static_cast<off_t>(from), static_cast<off_t>(to - from)) == 0) return true;
  if (errno != EOPNOTSUPP && errno != ENOSYS) return false;
  static constexpr char zeros[4096] = {};
  while (from < to) {
    const ssize_t written =
        pwrite(file, zeros, std::min<std::uint64_t>(sizeof zeros, to - from), static_cast<off_t>(from));
    if (written <= 0) return false;
    from += static_cast<std::uint64_t>(written);
  }
  return true;
}

/// Above the limit on a file's size the kernel would send a signal that kills.
std::uint64_t allowed(std::uint64_t capacity) {
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return capacity;
  return std::min<std::uint64_t>(capacity, limit.rlim_cur / 8 * 8);
}

}  // namespace

std::uint64_t monotonic() { return now(CLOCK_MONOTONIC); }

Began::Began(bool wanted) : before_(began_at) {
  if (wanted) began_at = monotonic();
}

Began::~Began() { began_at = before_; }

void Log::set_directory(const char* path, std::uint64_t capacity) {
  if (path == nullptr || *path == 0 || std::strlen(path) >= sizeof directory_) return;
  std::strcpy(directory_, path);
  capacity_ = capacity / 8 * 8;
  absent_ = false;
}

void Log::begin_again() {
  lock_.unlock();
  ++epoch_;
  header_ = nullptr;  // the mapping stays, for it is the parent's that may be read meanwhile
  absent_ = directory_[0] == 0;
}

std::uint32_t Log::awake() const {
  const Header* found = header();
  return found == nullptr ? 1 : __atomic_load_n(&found->enabled, __ATOMIC_RELAXED);
}

void Log::count(std::uint64_t bytes) {
  if (Header* found = header()) __atomic_fetch_add(&found->sent, bytes, __ATOMIC_RELAXED);
}

bool Log::timed() const {
  const Header* found = header();
  return found != nullptr && __atomic_load_n(&found->timed, __ATOMIC_RELAXED) != 0;
}

void Log::spent(std::uint64_t ns) {
  Header* found = header();
  if (found == nullptr) return;
  if (__atomic_load_n(&found->clock_ps, __ATOMIC_RELAXED) == 0) {
    __atomic_store_n(&found->clock_ps, clock_picoseconds(), __ATOMIC_RELAXED);
  }
  if (began_at != 0) ns += __atomic_load_n(&found->clock_ps, __ATOMIC_RELAXED) / 1000;  // it was read then as well
  __atomic_fetch_add(&found->own_ns, ns, __ATOMIC_RELAXED);
  __atomic_fetch_add(&found->own_calls, 1, __ATOMIC_RELAXED);
}

void Log::append(Type type, std::uint32_t connection, std::span<const std::byte> fixed,
                 std::span<const std::byte> rest) {
  std::byte* body = reserve(type, connection, fixed.size() + rest.size());
  if (body == nullptr) return;
  if (!fixed.empty()) std::memcpy(body, fixed.data(), fixed.size());
  if (!rest.empty()) std::memcpy(body + fixed.size(), rest.data(), rest.size());
  commit();
}

std::byte* Log::reserve(Type type, std::uint32_t connection, std::size_t body_bytes) {
  if (__atomic_load_n(&absent_, __ATOMIC_RELAXED)) return nullptr;
  lock_.lock();
  if (header_ == nullptr && (absent_ || !make())) {
    lock_.unlock();
    return nullptr;
  }
  const std::uint64_t length = sizeof(Record) + (body_bytes + 7) / 8 * 8;
  const std::uint64_t end = header_->used + length;
  if (end > header_->capacity || !back(end)) {
    __atomic_fetch_add(&header_->dropped, 1, __ATOMIC_RELAXED);
    lock_.unlock();
    return nullptr;
  }
  std::byte* at = reinterpret_cast<std::byte*>(header_) + header_->used;
  *reinterpret_cast<Record*>(at) = {.type = type,
                                    .length = static_cast<std::uint32_t>(length),
                                    .at_ns = began_at != 0 ? began_at : monotonic(),
                                    .connection = connection,
                                    .thread = this_thread(epoch_)};
  next_ = end;
  return at + sizeof(Record);
}

void Log::commit() {
  __atomic_store_n(&header_->used, next_, __ATOMIC_RELEASE);
  lock_.unlock();
}

bool Log::give_up() {
  absent_ = true;
  return false;
}

int Log::open_file(int flags) const { return open(path_, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600); }

bool Log::make() {
  const std::uint64_t start = monotonic();
  const std::uint64_t size = allowed(capacity_);
  if (size < 2 * kHeaderBytes) return give_up();
  std::snprintf(path_, sizeof path_, "%s/%d-%llu.tap", directory_, getpid(), static_cast<unsigned long long>(start));
  const int file = open_file(O_CREAT | O_EXCL);
  if (file < 0) return give_up();
  void* memory = MAP_FAILED;
  const std::uint64_t first = std::min(size, kFirstStep);
  if (ftruncate(file, static_cast<off_t>(size)) == 0 && take_room(file, 0, first)) {
    memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
  }
  shut(file);
  if (memory == MAP_FAILED) {
    unlink(path_);
    return give_up();
  }
  auto* header = static_cast<Header*>(memory);
  header->pid = static_cast<std::uint32_t>(getpid());
  header->parent_pid = static_cast<std::uint32_t>(getppid());
  header->start_realtime_ns = now(CLOCK_REALTIME);
  header->start_monotonic_ns = start;
  header->capacity = size;
  header->used = kHeaderBytes;
  header->enabled = 1;
  std::strncpy(header->program, program_invocation_short_name, sizeof header->program - 1);
  note_environment(header->told);
  note_arguments(header->arguments);
  std::atomic_thread_fence(std::memory_order_release);
  std::memcpy(header->magic, kMagic, sizeof kMagic);  // last: a log without it is none
  backed_ = first;
  __atomic_store_n(&header_, header, __ATOMIC_RELEASE);
  return true;
}

bool Log::back(std::uint64_t bytes) {
  if (bytes <= backed_) return true;
  const std::uint64_t to = std::min(header_->capacity, std::max(bytes, backed_ + kStep));
  if (allowed(to) < to) return false;
  const int file = open_file(0);
  if (file < 0) return false;
  const bool done = take_room(file, backed_, to);
  shut(file);
  if (done) backed_ = to;
  return done;
}

}  // namespace tensorwire::tap

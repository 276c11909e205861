// The log of this process: made with its first record, whole at any instant, silently absent when it cannot be made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tap/lock.h"
#include "tap/log_format.h"

namespace tensorwire::tap {

/// Nanoseconds of CLOCK_MONOTONIC.
std::uint64_t monotonic();

/// While it lives, what this thread notes bears the time at which it was made: that at which a call began, so that
/// nothing which the call caused in another process seems to have come before it.
class Began {
 public:
  explicit Began(bool wanted);
  ~Began();
  Began(const Began&) = delete;
  Began& operator=(const Began&) = delete;

 private:
  std::uint64_t before_;
};

class Log {
 public:
  /// Names the directory of the logs; without it, or when it is too long, nothing is ever recorded.
  void set_directory(const char* path, std::uint64_t capacity);

  /// The child of a fork writes a log of its own; the parent's stays as it is.
  void begin_again();

  /// 0 while somebody has paused the recording, and another number after each pause.
  std::uint32_t awake() const;

  /// Counts bytes that were sent, also while the recording is paused.
  void count(std::uint64_t bytes);

  /// Whether the tap is to take its own time.
  bool timed() const;

  /// Adds what one call took, with the reading of the clock at its end.
  void spent(std::uint64_t ns);

  /// Appends a record: `fixed` and then `rest`, padded.
  void append(Type type, std::uint32_t connection, std::span<const std::byte> fixed, std::span<const std::byte> rest);

  /// Appends what was sent, or what was to be encrypted: the first `taken` bytes of the buffers.
  template <typename Sizes>
  void append_send(Type type, std::uint32_t connection, std::uint64_t taken, const Sizes& sizes) {
    std::uint32_t buffers = 0;
    for (std::uint64_t left = taken; left > 0 && buffers < sizes.size(); ++buffers) left -= clip(sizes[buffers], left);
    std::byte* body = reserve(type, connection, sizeof(Send) + buffers * sizeof(std::uint64_t));
    if (body == nullptr) return;
    *reinterpret_cast<Send*>(body) = {.bytes = taken, .buffers = buffers, .pad = 0};
    auto* clipped = reinterpret_cast<std::uint64_t*>(body + sizeof(Send));
    std::uint64_t left = taken;
    for (std::uint32_t i = 0; i < buffers; ++i) {
      clipped[i] = clip(sizes[i], left);
      left -= clipped[i];
    }
    commit();
  }

 private:
  static std::uint64_t clip(std::uint64_t size, std::uint64_t left) { return size < left ? size : left; }

  /// Where the body of the next record goes, the log being locked until `commit`; null, and not locked, without room.
  std::byte* reserve(Type type, std::uint32_t connection, std::size_t body_bytes);
  void commit();
  bool make();
  bool give_up();
  bool back(std::uint64_t bytes);
  int open_file(int flags) const;
  Header* header() const { return __atomic_load_n(&header_, __ATOMIC_ACQUIRE); }

  char directory_[3072] = {};
  char path_[3200] = {};
  std::uint64_t capacity_ = 0;
  SpinLock lock_;
  Header* header_ = nullptr;
  std::uint64_t backed_ = 0;  // bytes of the file that have space on its disk
  std::uint64_t next_ = 0;
  std::uint32_t epoch_ = 1;  // another one in the child of a fork
  bool absent_ = true;
};

}  // namespace tensorwire::tap

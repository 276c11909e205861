// A payload on its way out: its messages as UCX is given them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "channels/ucx_worker.h"

namespace tensorwire::ucx {

/// Memory that is there, all of it, before the clock starts, and that UCX knows of.
class Memory {
 public:
  /// Throws std::bad_alloc, or ChannelError when it cannot be registered.
  Memory(const std::shared_ptr<const Context>& context, std::uint64_t size);

  std::byte* at(std::uint64_t offset) const { return memory_.get() + offset; }

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
  Mapping mapping_;
};

/// So many stretches of the same length, on lines of their own.
class Stretches {
 public:
  Stretches(const std::shared_ptr<const Context>& context, std::size_t count, std::uint64_t size);

  std::byte* operator[](std::size_t i) const { return memory_.at(i * step_); }

 private:
  std::uint64_t step_;
  Memory memory_;
};

/// One payload, over its own memory.
class Outgoing {
 public:
  Outgoing(const Payload& payload, const Options& options);

  const Packing& packing() const { return packing_; }
  std::uint64_t staged() const { return stages_ ? packing_.messages.front().size : 0; }  // bytes packed for each call

  /// A message, packed into `staging` where it has to be.
  Parcel parcel(std::size_t message, std::byte* staging) const;

 private:
  const Payload& payload_;
  Packing packing_;
  bool stages_;
  std::vector<Parcel> parcels_;
  std::vector<ucp_dt_iov_t> iovecs_;
};

/// The payloads of one `prepare` or `answer_with`.
class Outgoings {
 public:
  Outgoings(const std::shared_ptr<const Context>& context, std::span<const Payload> payloads);

  std::size_t size() const { return all_.size(); }
  const Outgoing& operator[](std::size_t i) const { return all_[i]; }

  std::uint64_t most_staged() const;
  std::uint64_t most_room() const;
  std::size_t most_messages() const;

 private:
  std::vector<Outgoing> all_;
  Mapping mapping_;
};

}  // namespace tensorwire::ucx

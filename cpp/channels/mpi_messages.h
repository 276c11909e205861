// Payloads as MPI messages: what goes out, where what comes in lies, and the memory for both.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "channels/coalescing.h"
#include "channels/mpi_options.h"
#include "channels/mpi_world.h"
#include "core/channel.h"

namespace tensorwire::mpi {

/// What a request says where its tags do not.
struct Header {
  std::uint32_t payload = 0;
  std::uint32_t answer = 0;
  Reply reply = Reply::echo;
  std::uint8_t reserved[7] = {};
};
static_assert(sizeof(Header) == 16);

/// What is packed with a header begins on a line, and the header ends there.
constexpr std::uint64_t kHeaderRoom = 64;
constexpr std::uint64_t kHeaderAt = kHeaderRoom - sizeof(Header);

/// A stretch of bytes as MPI is given them.
struct Piece {
  const void* buffer = nullptr;
  int count = 0;
  MPI_Datatype type = MPI_BYTE;
};

/// Throws ChannelError for more than one message of MPI may be.
int as_count(std::uint64_t size);

/// Memory that is there, all of it, before the clock starts. With a window it can be reached from other ranks.
class Memory {
 public:
  Memory(std::uint64_t size, MPI_Win window);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  std::byte* at(std::uint64_t offset) const { return memory_.get() + offset; }
  /// What other ranks call it.
  std::uint64_t address() const;

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
  MPI_Win window_;
};

/// Where messages land: the first of any payload here, the second there. Both ends know it from the sizes.
class Layout {
 public:
  explicit Layout(std::span<const Packing> packings, std::span<const Packing> more = {}, std::uint64_t least = 0);

  std::size_t messages() const { return most_.size(); }  // one at least
  std::uint64_t offset(std::size_t message) const { return offsets_[message]; }
  std::uint64_t most(std::size_t message) const { return most_[message]; }
  std::uint64_t step() const { return step_; }  // from one place to the next

 private:
  std::vector<std::uint64_t> most_;
  std::vector<std::uint64_t> offsets_;
  std::uint64_t step_ = 0;
};

/// A payload's messages, from its own memory.
class Outgoing {
 public:
  /// `packs`: the first message is copied together for each call.
  Outgoing(const Payload& payload, const Packing& packing, bool packs);
  ~Outgoing();
  Outgoing(Outgoing&& other) noexcept;
  Outgoing(const Outgoing&) = delete;
  Outgoing& operator=(const Outgoing&) = delete;
  Outgoing& operator=(Outgoing&&) = delete;

  std::uint64_t packed_size() const { return packs_ ? packing_->messages[0].size : 0; }
  void pack(std::byte* into) const {
    if (packs_) gather(packing_->messages[0], *payload_, into);
  }
  const Packing& packing() const { return *packing_; }

  /// `packed` is where the first message is packed to, if it is.
  Piece piece(std::size_t message, const std::byte* packed) const;

 private:
  const Payload* payload_;
  const Packing* packing_;
  bool packs_;
  std::vector<Piece> pieces_;
};

/// The payloads of one `prepare` or `answer_with`, and how they are packed.
class Outgoings {
 public:
  /// `labelled`: a header goes in front of each.
  Outgoings(std::span<const Payload> payloads, const Options& options, bool labelled);

  std::size_t size() const { return all_.size(); }
  const Outgoing& operator[](std::size_t i) const { return all_[i]; }
  std::span<const Packing> packings() const { return packings_; }
  std::uint64_t most_packed() const;

 private:
  std::vector<Packing> packings_;
  std::vector<Outgoing> all_;
};

std::vector<Packing> packings_of(std::span<const std::vector<std::uint64_t>> sizes, const Options& options);

/// Whether the first message of a payload, of small buffers, travels behind the header of its request.
bool leads(const Packing& packing, const Options& options);

/// Puts `size` bytes at an address of another rank.
void put(MPI_Win window, const Piece& piece, std::uint64_t size, int rank, std::uint64_t address);

/// Sends in rows and columns, which MPI knows of before the clock starts. Where they would be too many, or are not to
/// be persistent, each is told when it starts.
class Sends {
 public:
  struct Way {
    int rank;
    int tag;
  };

  /// For `rows` times `columns` sends.
  Sends(World& world, std::size_t rows, std::size_t columns, bool persistent);
  ~Sends();
  Sends(const Sends&) = delete;
  Sends& operator=(const Sends&) = delete;

  void prepare(std::size_t row, std::size_t column, const Piece& piece, const Way& way);

  /// Starts one, the same as was prepared; returns what to test.
  MPI_Request start(std::size_t row, std::size_t column, const Piece& piece, const Way& way);

 private:
  World& world_;
  std::size_t columns_;
  std::vector<MPI_Request> requests_;  // none where they are not persistent
};

}  // namespace tensorwire::mpi

#include "channels/mpi_messages.h"

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "core/errors.h"

namespace tensorwire::mpi {
namespace {

constexpr std::uint64_t kLine = 64;
constexpr std::uint64_t kPage = 4096;
constexpr std::size_t kMostPersistent = 1 << 16;

std::uint64_t rounded(std::uint64_t size, std::uint64_t to) { return (size + to - 1) / to * to; }

/// The buffers of a message, gathered by MPI itself from where they lie.
MPI_Datatype gathered(const Packing::Message& message, const Payload& payload) {
  std::vector<int> lengths;
  std::vector<MPI_Aint> places;
  for (const std::uint32_t i : message.buffers) {
    MPI_Aint& place = places.emplace_back();
    check(MPI_Get_address(payload.buffers[i].data(), &place), "take an address");
    lengths.push_back(as_count(payload.buffers[i].size()));
  }
  MPI_Datatype type = MPI_DATATYPE_NULL;
  check(MPI_Type_create_hindexed(static_cast<int>(lengths.size()), lengths.data(), places.data(), MPI_BYTE, &type),
        "make a datatype");
  check(MPI_Type_commit(&type), "make a datatype");
  return type;
}

}  // namespace

int as_count(std::uint64_t size) {
  if (size <= INT_MAX) return static_cast<int>(size);
  throw ChannelError("a message of " + std::to_string(size) + " B is more than MPI counts; the most is " +
                     std::to_string(INT_MAX) + " B");
}

void Memory::Free::operator()(std::byte* memory) const { std::free(memory); }

Memory::Memory(std::uint64_t size, MPI_Win window) : window_(window) {
  const std::uint64_t whole = std::max(rounded(size, kPage), kPage);
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kPage, whole)));
  if (!memory_) throw std::bad_alloc();
  std::memset(memory_.get(), 0, whole);
  if (window_ == MPI_WIN_NULL) return;
  check(MPI_Win_attach(window_, memory_.get(), static_cast<MPI_Aint>(whole)), "open memory to other ranks");
}

Memory::~Memory() {
  if (window_ != MPI_WIN_NULL) MPI_Win_detach(window_, memory_.get());
}

std::uint64_t Memory::address() const {
  MPI_Aint address = 0;
  check(MPI_Get_address(memory_.get(), &address), "take an address");
  return static_cast<std::uint64_t>(address);
}

Layout::Layout(std::span<const Packing> packings, std::span<const Packing> more, std::uint64_t least)
    : most_(1, least) {
  for (const std::span<const Packing> all : {packings, more}) {
    for (const Packing& packing : all) {
      most_.resize(std::max(most_.size(), packing.messages.size()), 0);
      for (std::size_t i = 0; i < packing.messages.size(); ++i) most_[i] = std::max(most_[i], packing.messages[i].size);
    }
  }
  for (const std::uint64_t size : most_) {
    as_count(size);
    offsets_.push_back(rounded(step_, size >= kPage ? kPage : kLine));
    step_ = offsets_.back() + size;
  }
  step_ = rounded(step_, step_ >= kPage ? kPage : kLine);
}

Outgoing::Outgoing(const Payload& payload, const Packing& packing, bool packs)
    : payload_(&payload), packing_(&packing), packs_(packs) {
  for (const Packing::Message& message : packing.messages) {
    const bool packed = packs && pieces_.empty();
    Piece& piece = pieces_.emplace_back();
    if (packed || message.buffers.empty()) {
      piece.count = as_count(message.size);
    } else if (message.buffers.size() == 1) {
      piece = {payload.buffers[message.buffers[0]].data(), as_count(message.size), MPI_BYTE};
    } else {
      piece = {MPI_BOTTOM, 1, gathered(message, payload)};
    }
  }
}

Outgoing::~Outgoing() {
  for (Piece& piece : pieces_) {
    if (piece.type != MPI_BYTE) MPI_Type_free(&piece.type);
  }
}

Outgoing::Outgoing(Outgoing&& other) noexcept
    : payload_(other.payload_), packing_(other.packing_), packs_(other.packs_), pieces_(std::move(other.pieces_)) {
  other.pieces_.clear();
}

Piece Outgoing::piece(std::size_t message, const std::byte* packed) const {
  Piece piece = pieces_[message];
  if (message == 0 && packs_) piece.buffer = packed;
  return piece;
}

Outgoings::Outgoings(std::span<const Payload> payloads, const Options& options, bool labelled) {
  std::vector<std::vector<std::uint64_t>> sizes;
  for (const Payload& payload : payloads) sizes.push_back(sizes_of(payload));
  packings_ = packings_of(sizes, options);
  all_.reserve(payloads.size());
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    const bool several = packings_[i].messages[0].buffers.size() > 1;
    const bool packs =
        (several && options.strategy == Strategy::coalesce) || (labelled && leads(packings_[i], options));
    all_.emplace_back(payloads[i], packings_[i], packs);
  }
}

std::uint64_t Outgoings::most_packed() const {
  std::uint64_t most = 0;
  for (const Outgoing& each : all_) most = std::max(most, each.packed_size());
  return most;
}

std::vector<Packing> packings_of(std::span<const std::vector<std::uint64_t>> sizes, const Options& options) {
  std::vector<Packing> packings;
  for (const auto& each : sizes) packings.push_back(packing_of(each, options.strategy, options.coalesce_below));
  return packings;
}

bool leads(const Packing& packing, const Options& options) {
  if (options.strategy != Strategy::coalesce || options.one_sided) return false;
  const std::vector<std::uint32_t>& buffers = packing.messages[0].buffers;
  return buffers.size() != 1 || packing.messages[0].size < options.coalesce_below;
}

void put(MPI_Win window, const Piece& piece, std::uint64_t size, int rank, std::uint64_t address) {
  if (size == 0) return;
  check(MPI_Put(piece.buffer, piece.count, piece.type, rank, static_cast<MPI_Aint>(address), as_count(size), MPI_BYTE,
                window),
        "put a message");
}

Sends::Sends(World& world, std::size_t rows, std::size_t columns, bool persistent) : world_(world), columns_(columns) {
  if (persistent && rows * columns <= kMostPersistent) requests_.assign(rows * columns, MPI_REQUEST_NULL);
}

Sends::~Sends() {
  for (MPI_Request& each : requests_) {
    if (each != MPI_REQUEST_NULL) MPI_Request_free(&each);
  }
}

void Sends::prepare(std::size_t row, std::size_t column, const Piece& piece, const Way& way) {
  if (requests_.empty()) return;
  check(MPI_Send_init(piece.buffer, piece.count, piece.type, way.rank, way.tag, world_.comm(),
                      &requests_[row * columns_ + column]),
        "prepare a message");
}

MPI_Request Sends::start(std::size_t row, std::size_t column, const Piece& piece, const Way& way) {
  MPI_Request request = MPI_REQUEST_NULL;
  if (requests_.empty()) {
    check(MPI_Isend(piece.buffer, piece.count, piece.type, way.rank, way.tag, world_.comm(), &request),
          "send a message");
  } else {
    request = requests_[row * columns_ + column];
    check(MPI_Start(&request), "send a message");
  }
  return request;
}

}  // namespace tensorwire::mpi

#include "channels/ucx_outgoing.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace tensorwire::ucx {
namespace {

constexpr std::size_t kPage = 4096;

std::uint64_t whole_pages(std::uint64_t size) { return std::max<std::uint64_t>(1, (size + kPage - 1) / kPage) * kPage; }

std::byte* allocate(std::uint64_t size) {
  const std::uint64_t pages = whole_pages(size);
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(kPage, pages));
  if (memory == nullptr) throw std::bad_alloc();
  std::memset(memory, 0, pages);
  return memory;
}

/// From the first byte of any buffer to the last: they lie in one piece of memory.
std::span<const std::byte> around(std::span<const Payload> payloads) {
  const std::byte* begin = nullptr;
  const std::byte* end = nullptr;
  for (const Payload& payload : payloads) {
    for (const Bytes buffer : payload.buffers) {
      if (buffer.empty()) continue;
      if (begin == nullptr || buffer.data() < begin) begin = buffer.data();
      if (end == nullptr || buffer.data() + buffer.size() > end) end = buffer.data() + buffer.size();
    }
  }
  return {begin, end};
}

}  // namespace

Memory::Memory(const std::shared_ptr<const Context>& context, std::uint64_t size)
    : memory_(allocate(size)), mapping_(context, {memory_.get(), whole_pages(size)}) {}

void Memory::Free::operator()(std::byte* memory) const { std::free(memory); }

Stretches::Stretches(const std::shared_ptr<const Context>& context, std::size_t count, std::uint64_t size)
    : step_(size < kPage ? (size + 63) / 64 * 64 : whole_pages(size)), memory_(context, count * step_) {}

Outgoing::Outgoing(const Payload& payload, const Options& options)
    : payload_(payload), packing_(packing_of(sizes_of(payload), options.strategy, options.coalesce_below)) {
  stages_ = options.strategy == Strategy::coalesce && packing_.messages.front().buffers.size() > 1;
  for (const Bytes buffer : payload.buffers) {
    iovecs_.push_back({.buffer = const_cast<std::byte*>(buffer.data()), .length = buffer.size()});
  }
  for (const Packing::Message& message : packing_.messages) {
    Parcel& parcel = parcels_.emplace_back();
    if (message.buffers.size() == 1) {
      parcel.buffer = payload.buffers[message.buffers.front()].data();
      parcel.count = message.size;
    } else if (message.buffers.size() > 1 && !stages_) {
      parcel = {.buffer = iovecs_.data(), .count = iovecs_.size(), .type = UCP_DATATYPE_IOV};
    } else {
      parcel.count = message.size;
    }
  }
}

Parcel Outgoing::parcel(std::size_t message, std::byte* staging) const {
  Parcel parcel = parcels_[message];
  if (stages_ && message == 0) {
    gather(packing_.messages.front(), payload_, staging);
    parcel.buffer = staging;
  }
  return parcel;
}

Outgoings::Outgoings(const std::shared_ptr<const Context>& context, std::span<const Payload> payloads)
    : mapping_(context, around(payloads)) {
  all_.reserve(payloads.size());
  for (const Payload& payload : payloads) all_.emplace_back(payload, context->options());
}

std::uint64_t Outgoings::most_staged() const {
  std::uint64_t most = 0;
  for (const Outgoing& each : all_) most = std::max(most, each.staged());
  return most;
}

std::uint64_t Outgoings::most_room() const {
  std::uint64_t most = 0;
  for (const Outgoing& each : all_) most = std::max(most, each.packing().room);
  return most;
}

std::size_t Outgoings::most_messages() const {
  std::size_t most = 1;
  for (const Outgoing& each : all_) most = std::max(most, each.packing().messages.size());
  return most;
}

}  // namespace tensorwire::ucx

#include "core/check.h"

#include <algorithm>
#include <string>

#include "core/errors.h"

namespace tensorwire {
namespace {

/// Compares a reply, which comes in any pieces, with the payload's buffers end to end.
class Comparison {
 public:
  explicit Comparison(const Payload& sent) : sent_(sent) {}

  void take(Bytes piece) {
    while (!piece.empty()) {
      while (buffer_ < sent_.buffers.size() && offset_ == sent_.buffers[buffer_].size()) {
        ++buffer_;
        offset_ = 0;
      }
      if (buffer_ == sent_.buffers.size()) throw WrongBytes("the echo is longer than the " + total() + " sent");
      const Bytes expected = sent_.buffers[buffer_].subspan(offset_);
      const std::size_t n = std::min(piece.size(), expected.size());
      if (const auto [at, _] =
              std::mismatch(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(n), expected.begin());
          at != piece.begin() + static_cast<std::ptrdiff_t>(n)) {
        const auto offset = offset_ + static_cast<std::size_t>(at - piece.begin());
        throw WrongBytes("byte " + std::to_string(offset) + " of buffer " + std::to_string(buffer_) +
                         " came back changed");
      }
      offset_ += n;
      seen_ += n;
      piece = piece.subspan(n);
    }
  }

  void finish() const {
    if (seen_ != sent_.size)
      throw WrongBytes("the echo ends after " + std::to_string(seen_) + " B of the " + total() + " sent");
  }

 private:
  std::string total() const { return std::to_string(sent_.size) + " B"; }

  const Payload& sent_;
  std::size_t buffer_ = 0;
  std::size_t offset_ = 0;
  std::uint64_t seen_ = 0;
};

}  // namespace

void check(Caller& caller, std::span<const Payload> payloads, std::uint32_t slots, Nanoseconds timeout) {
  const auto echo = [&](std::uint32_t slot, std::uint32_t payload) {
    caller.call({slot, payload, Reply::echo});
    Completion done{};
    if (caller.wait({&done, 1}, timeout) == 0) {
      throw TransferTimeout("no reply to the check of the bytes within " +
                            std::to_string(static_cast<double>(timeout) / 1e9) + " s");
    }
    Comparison comparison(payloads[payload]);
    caller.reply(slot, [&](Bytes piece) { comparison.take(piece); });
    comparison.finish();
  };
  const auto count = static_cast<std::uint32_t>(payloads.size());
  for (std::uint32_t payload = 1; payload < count; ++payload) echo(0, payload);
  for (std::uint32_t slot = 0; slot < slots; ++slot) echo(slot, slot % count);
}

}  // namespace tensorwire

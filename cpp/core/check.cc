#include "core/check.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "core/errors.h"

namespace tensorwire {
namespace {

/// Compares a reply, which comes in any pieces, with the buffers that it should bring, end to end.
class Comparison {
 public:
  Comparison(const Payload& expected, Reply reply) : expected_(expected), recorded_(reply == Reply::recorded) {}

  void take(Bytes piece) {
    while (!piece.empty()) {
      while (buffer_ < expected_.buffers.size() && offset_ == expected_.buffers[buffer_].size()) {
        ++buffer_;
        offset_ = 0;
      }
      if (buffer_ == expected_.buffers.size()) throw WrongBytes(what() + " is longer than the " + total());
      const Bytes wanted = expected_.buffers[buffer_].subspan(offset_);
      const std::size_t n = std::min(piece.size(), wanted.size());
      if (const auto [at, _] =
              std::mismatch(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(n), wanted.begin());
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
    if (seen_ != expected_.size)
      throw WrongBytes(what() + " ends after " + std::to_string(seen_) + " B of the " + total());
  }

 private:
  std::string what() const { return recorded_ ? "a recorded reply" : "the echo"; }
  std::string total() const { return std::to_string(expected_.size) + " B" + (recorded_ ? " asked for" : " sent"); }

  const Payload& expected_;
  bool recorded_;
  std::size_t buffer_ = 0;
  std::size_t offset_ = 0;
  std::uint64_t seen_ = 0;
};

/// Throws TransferTimeout when the one call that is in flight is not over.
void wait_for(Caller& caller, Nanoseconds timeout) {
  Completion done{};
  if (caller.wait({&done, 1}, timeout) > 0) return;
  throw TransferTimeout("no reply to the check of the bytes within " +
                        std::to_string(static_cast<double>(timeout) / 1e9) + " s");
}

}  // namespace

void check(Caller& caller, std::span<const Payload> payloads, std::span<const Payload> answers, std::uint32_t slots,
           Nanoseconds timeout) {
  const auto compare = [&](const Call& call, const Payload& expected) {
    caller.call(call);
    wait_for(caller, timeout);
    Comparison comparison(expected, call.reply);
    caller.reply(call.slot, [&](Bytes piece) { comparison.take(piece); });
    comparison.finish();
  };
  const auto echo = [&](std::uint32_t slot, std::uint32_t payload) {
    compare({slot, payload, Reply::echo}, payloads[payload]);
  };
  const auto count = static_cast<std::uint32_t>(payloads.size());
  for (std::uint32_t payload = 1; payload < count; ++payload) echo(0, payload);
  for (std::uint32_t slot = 0; slot < slots; ++slot) echo(slot, slot % count);
  const auto answered = static_cast<std::uint32_t>(answers.size());
  for (std::uint32_t n = 0; answered > 0 && n < std::max(answered, slots); ++n) {
    const std::uint32_t answer = n % answered;
    compare({n % slots, n % count, Reply::recorded, answer}, answers[answer]);
  }
}

void check_collective(Caller& caller, std::span<const float> wanted, Nanoseconds timeout) {
  caller.call({.slot = 0, .payload = 0, .reply = Reply::recorded, .answer = 0});
  wait_for(caller, timeout);
  std::vector<std::byte> seen;
  caller.reply(0, [&](Bytes piece) { seen.insert(seen.end(), piece.begin(), piece.end()); });
  std::vector<float> elements(seen.size() / sizeof(float));
  std::memcpy(elements.data(), seen.data(), elements.size() * sizeof(float));
  compare(wanted, elements);
}

}  // namespace tensorwire

// What a message says of itself, in 64 bits: its tag, or the first half of an active message's header.
#pragma once

#include <cstdint>

#include "core/channel.h"

namespace tensorwire::ucx {

/// In a request, which connection of the server it belongs to, the place in flight that it takes, and what it asks for.
/// In a reply, which lane of the caller it belongs to, and the place; the rest is 0.
struct Label {
  static constexpr unsigned kAnswerBits = 17;
  static constexpr unsigned kPayloadBits = 18;
  static constexpr unsigned kReplyBits = 2;
  static constexpr unsigned kPlaceBits = 12;
  static constexpr unsigned kConnectionBits = 14;

  std::uint32_t connection = 0;
  std::uint32_t place = 0;
  bool tells = false;  // the fields below are meant; with tags, only the first message of a request tells
  Reply reply = Reply::echo;
  std::uint32_t payload = 0;
  std::uint32_t answer = 0;

  constexpr std::uint64_t word() const {
    std::uint64_t word = connection;
    word = word << kPlaceBits | place;
    word = word << 1 | (tells ? 1 : 0);
    word = word << kReplyBits | static_cast<std::uint64_t>(reply);
    word = word << kPayloadBits | payload;
    return word << kAnswerBits | answer;
  }

  static constexpr Label of(std::uint64_t word) {
    const auto take = [&word](unsigned bits) {
      const auto low = static_cast<std::uint32_t>(word & ((std::uint64_t{1} << bits) - 1));
      word >>= bits;
      return low;
    };
    Label label;
    label.answer = take(kAnswerBits);
    label.payload = take(kPayloadBits);
    label.reply = static_cast<Reply>(take(kReplyBits));
    label.tells = take(1) != 0;
    label.place = take(kPlaceBits);
    label.connection = take(kConnectionBits);
    return label;
  }

  /// What of a word must match for a message to be the first of a request on a place.
  static constexpr std::uint64_t kFirstOfPlace = ~((std::uint64_t{1} << (kAnswerBits + kPayloadBits + kReplyBits)) - 1);

  bool operator==(const Label&) const = default;
};
static_assert(Label::kAnswerBits + Label::kPayloadBits + Label::kReplyBits + 1 + Label::kPlaceBits +
                  Label::kConnectionBits ==
              64);

}  // namespace tensorwire::ucx

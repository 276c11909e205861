// What a loop sends, and what may come back.
#pragma once

#include <cstdint>
#include <span>

#include "core/channel.h"

namespace tensorwire {

/// One message to send: which payload it carries, and which answer it asks for.
struct Message {
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  std::uint32_t payload = 0;
  std::uint32_t answer = kNone;  // none: the reply is that of the load
};

/// The payloads and answers of a caller, and the messages that it sends. The spans outlive whoever is given them.
class Traffic {
 public:
  /// Without `messages` every slot sends all payloads in turn, and asks for no answer.
  Traffic(std::span<const Payload> payloads, std::span<const Payload> answers = {},
          std::span<const Message> messages = {})
      : payloads_(payloads), answers_(answers), messages_(messages) {}

  std::span<const Payload> payloads() const { return payloads_; }
  std::span<const Payload> answers() const { return answers_; }
  std::span<const Message> messages() const { return messages_; }

  std::uint64_t sent(const Message& message) const { return payloads_[message.payload].size; }

  /// What `Completion::received` must be.
  std::uint64_t expected(const Message& message) const {
    return message.answer == Message::kNone ? sent(message) : answers_[message.answer].size;
  }

  /// The payload bytes that come back.
  std::uint64_t brought(const Message& message, Reply otherwise) const {
    return message.answer == Message::kNone && otherwise == Reply::acknowledge ? 0 : expected(message);
  }

  static Call call(std::uint32_t slot, const Message& message, Reply otherwise) {
    if (message.answer == Message::kNone) return {slot, message.payload, otherwise};
    return {slot, message.payload, Reply::recorded, message.answer};
  }

 private:
  std::span<const Payload> payloads_;
  std::span<const Payload> answers_;
  std::span<const Message> messages_;
};

}  // namespace tensorwire

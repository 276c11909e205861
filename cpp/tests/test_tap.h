// Makes HTTP/2 bytes, and holds what the tap's parser found in bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tap/parser.h"

namespace tensorwire::tap::test {

inline const std::string kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

inline std::string big_endian(std::uint64_t value, int bytes) {
  std::string made;
  for (int i = bytes - 1; i >= 0; --i) made += static_cast<char>(value >> (8 * i) & 0xff);
  return made;
}

inline std::string head(std::uint32_t type, std::uint32_t flags, std::uint32_t stream, std::uint32_t length) {
  return big_endian(length, 3) + big_endian(type, 1) + big_endian(flags, 1) + big_endian(stream, 4);
}

inline std::string frame(std::uint32_t type, std::uint32_t flags, std::uint32_t stream, const std::string& content) {
  return head(type, flags, stream, static_cast<std::uint32_t>(content.size())) + content;
}

inline std::string data(std::uint32_t stream, const std::string& content) { return frame(0, 0, stream, content); }

/// A gRPC message with its prefix.
inline std::string message(std::size_t bytes) {
  return big_endian(0, 1) + big_endian(bytes, 4) + std::string(bytes, 'm');
}

struct Seen {
  std::uint32_t stream;
  std::uint32_t flags;
  std::uint64_t bytes;
  std::vector<std::uint64_t> slices;
  std::uint32_t what = 0;
  bool operator==(const Seen&) const = default;
};

struct Block {
  std::uint32_t stream;
  std::uint32_t flags;
  std::string bytes;
  bool operator==(const Block&) const = default;
};

class Found final : public Sink {
 public:
  Found() : own_(new Parser), parser_(own_.get()) {}  // its streams not initialized, as in the tap

  /// By a parser that followed another connection before.
  explicit Found(Parser& parser) : parser_(&parser) { parser.reset(); }

  std::vector<Protocol> protocols;
  std::vector<Seen> messages;
  std::vector<Block> blocks;

  void protocol(Protocol which) override { protocols.push_back(which); }
  void headers(std::uint32_t stream, std::uint32_t flags, std::span<const std::byte> fragment) override {
    blocks.push_back({stream, flags, {reinterpret_cast<const char*>(fragment.data()), fragment.size()}});
  }
  void message(const Message& one, std::span<const std::uint64_t> slices) override {
    messages.push_back({one.stream, one.flags, one.bytes, {slices.begin(), slices.end()}, one.what});
  }

  void feed_in_place(std::string_view bytes) {
    parser_->feed(std::as_bytes(std::span(bytes)), *this);
    note_raw();
  }

  void skip(std::uint64_t bytes) {
    parser_->skip(bytes, *this);
    note_raw();
  }

  const Parser& parser() const { return *parser_; }
  Parser& parser() { return *parser_; }

  /// From memory of its very size, so that a read beyond it is seen.
  void feed(std::string_view bytes) {
    const auto copy = std::make_unique<char[]>(bytes.size());
    bytes.copy(copy.get(), bytes.size());
    feed_in_place({copy.get(), bytes.size()});
  }

 private:
  void note_raw() {
    const bool raw = parser_->protocol() == Protocol::raw;
    if (raw && (protocols.empty() || protocols.back() != Protocol::raw)) protocols.push_back(Protocol::raw);
  }

  std::unique_ptr<Parser> own_;
  Parser* parser_;
};

inline void feed(Found& found, const std::string& bytes) { found.feed(bytes); }

}  // namespace tensorwire::tap::test

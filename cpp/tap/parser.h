// Finds out what a connection speaks from the first bytes that it sends, and follows it.
#pragma once

#include <array>

#include "tap/framing.h"
#include "tap/gloo.h"
#include "tap/http2.h"
#include "tap/tcp.h"
#include "tap/tls.h"

namespace tensorwire::tap {

class Parser {
 public:
  using Bytes = Framing::Bytes;

  /// As if nothing had been sent.
  void reset();

  /// What began cannot be followed further.
  void give_up() { protocol_ = Protocol::raw; }

  /// Raw is what is of no protocol that is known, and what could be followed no further.
  Protocol protocol() const { return protocol_; }
  bool begun() const { return protocol_ != Protocol::unknown || seen_ > 0; }

  /// The next bytes of the connection, where they lie: pieces of a message that touch in memory are one slice.
  void feed(Bytes bytes, Sink& sink);

  /// As many bytes that nobody sees.
  void skip(std::uint64_t bytes, Sink& sink);

  /// Bytes were missed. True when it goes on with these, by which a system call begins; false when it must be asked
  /// again with those of the next. What was not known before is raw.
  bool resume(Bytes bytes);

  /// When it is raw: how many of the bytes until it was given up are in nothing that was told.
  std::uint64_t unread() const { return unread_; }

 private:
  Bytes detect(Bytes bytes, Sink& sink);
  void choose(Framing& framing, Protocol which, Sink& sink);
  void lose(std::uint64_t rest);

  Protocol protocol_ = Protocol::unknown;
  Framing* chosen_ = nullptr;
  std::uint64_t unread_ = 0;
  std::uint32_t seen_ = 0;
  std::array<std::byte, Framing::kHead> head_{};
  Tcp tcp_;
  Gloo gloo_;
  Tls tls_;
  Http2 http2_;
};

}  // namespace tensorwire::tap

#include "tap/parser.h"

namespace tensorwire::tap {

void Parser::reset() {
  protocol_ = Protocol::unknown;
  chosen_ = nullptr;
  unread_ = 0;
  seen_ = 0;
}

void Parser::feed(Bytes bytes, Sink& sink) {
  while (!bytes.empty() && protocol_ == Protocol::unknown) bytes = detect(bytes, sink);
  if (protocol_ == Protocol::raw) {
    unread_ += bytes.size();
  } else if (!bytes.empty() && !chosen_->feed(bytes, sink)) {
    lose(bytes.size());
  }
}

void Parser::skip(std::uint64_t bytes, Sink& sink) {
  if (protocol_ == Protocol::raw) {
    unread_ += bytes;
  } else if (protocol_ == Protocol::unknown) {
    unread_ = seen_;
    protocol_ = Protocol::raw;
    unread_ += bytes;
  } else if (!chosen_->skip(bytes, sink)) {
    lose(bytes);
  }
}

bool Parser::resume(Bytes bytes) {
  if (protocol_ == Protocol::unknown) give_up();
  if (protocol_ == Protocol::raw) return true;
  return chosen_->resume(bytes);
}

void Parser::lose(std::uint64_t rest) {
  unread_ = chosen_->held() + rest;
  protocol_ = Protocol::raw;
}

/// One byte more, so that a framing begins to follow at the first byte that it did not need to be known by.
Parser::Bytes Parser::detect(Bytes bytes, Sink& sink) {
  head_[seen_++] = bytes[0];
  bool possible = false;
  for (Framing* framing : {static_cast<Framing*>(&http2_), static_cast<Framing*>(&tls_), static_cast<Framing*>(&tcp_),
                           static_cast<Framing*>(&gloo_)}) {
    const Protocol guess = framing->guess(Bytes(head_).first(seen_));
    if (guess == Protocol::unknown) possible = true;
    if (guess <= Protocol::raw) continue;
    choose(*framing, guess, sink);
    return bytes.subspan(1);
  }
  if (!possible) {
    unread_ = seen_;
    protocol_ = Protocol::raw;
  }
  return bytes.subspan(1);
}

void Parser::choose(Framing& framing, Protocol which, Sink& sink) {
  protocol_ = which;
  chosen_ = &framing;
  sink.protocol(which);
  framing.begin(which);
  Bytes head = Bytes(head_).first(seen_);
  if (!framing.feed(head, sink)) lose(head.size());
}

}  // namespace tensorwire::tap

#include "channels/tcp_caller.h"

#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "core/errors.h"

namespace tensorwire::tcp {
namespace {

Bytes bytes_of(const Header& header) { return std::as_bytes(std::span(&header, 1)); }

/// A call that has the connection to itself is sent by one blocking call, which is given up where the peer does not
/// read for so long: `wait` goes on then, and keeps its own time.
constexpr Nanoseconds kSendPatience = 1_s;

std::vector<std::vector<iovec>> messages_of(std::span<const Payload> payloads, const Header& header) {
  std::vector<std::vector<iovec>> messages;
  for (const Payload& payload : payloads) messages.push_back(as_message(bytes_of(header), payload));
  return messages;
}

void limit(const Socket& socket, int direction, Nanoseconds timeout) {
  const timeval value{.tv_sec = timeout / 1_s, .tv_usec = std::max<Nanoseconds>(1, timeout % 1_s / 1000)};
  setsockopt(socket.fd(), SOL_SOCKET, direction, &value, sizeof value);
}

}  // namespace

Lane::Lane(std::uint32_t rank, Invitation invitation, std::size_t slots, Nanoseconds timeout, bool alone)
    : rank_(rank),
      invitation_(std::move(invitation)),
      connect_within_(timeout),
      alone_(alone),
      ring_(slots),
      acknowledgements_(slots) {}

std::string Lane::peer() const { return "rank " + std::to_string(rank_) + " at " + invitation_.address; }

template <class Move>
std::size_t Lane::moved(Move move) const {
  ssize_t n = 0;
  do {
    n = move();
  } while (n < 0 && errno == EINTR);
  if (n > 0) return static_cast<std::size_t>(n);
  if (n < 0 && errno == EAGAIN) return 0;
  throw PeerLost(peer() + (n == 0 ? " closed the connection" : " is lost: " + error_text(errno)));
}

void Lane::prepare(std::span<const Payload> payloads, std::span<const Payload> answers) {
  socket_ = connect_to(invitation_.address, connect_within_);
  timeout_ = 0;
  waiting_ = unsent_ = acknowledged_bytes_ = 0;
  sending_ = receiving_ = false;

  const Sizes sizes = sizes_of(payloads);
  agree(sizes);
  echoes_ = std::make_unique<PayloadSet>(sizes, Fill::zeros, 0);
  answers_ = std::make_unique<PayloadSet>(sizes_of(answers), Fill::zeros, 0);
  requests_ = messages_of(payloads, outgoing_);
  echo_messages_ = messages_of(echoes_->payloads(), incoming_);
  answer_messages_ = messages_of(answers_->payloads(), incoming_);
}

void Lane::agree(const Sizes& sizes) {
  limit(socket_, SO_SNDTIMEO, connect_within_);
  set_timeout(connect_within_);
  const std::vector<std::uint64_t> layout = layout_of(sizes);
  const Bytes body = std::as_bytes(std::span(layout));
  const Header header{Kind::layout, static_cast<std::uint32_t>(sizes.size()), body.size(), invitation_.ticket};
  const iovec parts[] = {as_iovec(bytes_of(header)), as_iovec(body)};
  for (send_.restart(parts); !send_.finished();) {
    msghdr next = send_.next();
    const std::size_t n = moved([&] { return sendmsg(fd(), &next, MSG_NOSIGNAL); });
    if (n == 0) throw PeerLost(peer() + " does not answer");
    send_.advance(n);
  }
  if (moved([&] { return recv(fd(), &incoming_, sizeof incoming_, MSG_WAITALL); }) != sizeof incoming_) {
    throw PeerLost(peer() + " does not answer");
  }
  if (incoming_.kind == Kind::refused) throw ChannelError(peer() + " could not get the memory for the payloads");
  if (incoming_ != header) throw ChannelError(peer() + " is not a rank of this run");
  limit(socket_, SO_SNDTIMEO, kSendPatience);
}

const Payload& Lane::landing(const Call& call) const {
  return call.reply == Reply::recorded ? answers_->payloads()[call.answer] : echoes_->payloads()[call.payload];
}

void Lane::set_timeout(Nanoseconds timeout) {
  if (timeout == timeout_) return;
  timeout_ = timeout;
  limit(socket_, SO_RCVTIMEO, timeout);
}

void Lane::start(Call call) {
  entry(waiting_) = {call, {kind_of(call.reply), call.payload, echoes_->payloads()[call.payload].size, call.answer}};
  ++waiting_;
  ++unsent_;
  if (!sending_) {
    begin_send();
    flush(alone_);
  }
}

void Lane::begin_send() {
  const Entry& next = entry(waiting_ - unsent_);
  outgoing_ = next.header;
  send_.restart(requests_[next.call.payload]);
  sending_ = true;
}

void Lane::flush(bool block) {
  for (; sending_; block = false) {
    msghdr next = send_.next();
    const std::size_t n = moved([&] { return sendmsg(fd(), &next, MSG_NOSIGNAL | (block ? 0 : MSG_DONTWAIT)); });
    if (n == 0) return;
    send_.advance(n);
    if (!send_.finished()) continue;
    --unsent_;
    sending_ = false;
    if (unsent_ > 0) begin_send();
  }
}

std::size_t Lane::receive(std::span<Completion> done, bool block) {
  if (waiting_ == unsent_) return 0;
  return entry(0).call.reply == Reply::acknowledge ? receive_acknowledgements(done, block)
                                                   : receive_payload(done, block);
}

std::size_t Lane::receive_payload(std::span<Completion> done, bool block) {
  if (!receiving_) {
    const Call& call = entry(0).call;
    receive_.restart(call.reply == Reply::echo ? echo_messages_[call.payload] : answer_messages_[call.answer]);
    receiving_ = true;
  }
  for (; !receive_.finished(); block = false) {
    msghdr next = receive_.next();
    const std::size_t n = moved([&] { return recvmsg(fd(), &next, block ? MSG_WAITALL : MSG_DONTWAIT); });
    if (n == 0) return 0;
    receive_.advance(n);
  }
  receiving_ = false;
  done[0] = finish(incoming_);
  return 1;
}

std::size_t Lane::receive_acknowledgements(std::span<Completion> done, bool block) {
  std::size_t expected = 0;
  while (expected < std::min(waiting_ - unsent_, done.size()) && entry(expected).call.reply == Reply::acknowledge)
    ++expected;
  auto* into = reinterpret_cast<std::byte*>(acknowledgements_.data());
  for (; acknowledged_bytes_ < sizeof(Header); block = false) {
    const std::size_t n = moved([&] {
      return recv(fd(), into + acknowledged_bytes_, expected * sizeof(Header) - acknowledged_bytes_,
                  block ? 0 : MSG_DONTWAIT);
    });
    if (n == 0) return 0;
    acknowledged_bytes_ += n;
  }
  const std::size_t whole = acknowledged_bytes_ / sizeof(Header);
  for (std::size_t i = 0; i < whole; ++i) done[i] = finish(acknowledgements_[i]);
  acknowledged_bytes_ -= whole * sizeof(Header);
  std::copy_n(into + whole * sizeof(Header), acknowledged_bytes_, into);
  return whole;
}

Completion Lane::finish(const Header& header) {
  const Call call = entry(0).call;
  first_ = (first_ + 1) % ring_.size();
  --waiting_;
  return {call.slot, header.bytes};
}

TcpCaller::TcpCaller(std::span<const std::uint32_t> slots, std::span<const std::string> invitations,
                     Nanoseconds timeout)
    : calls_(slots.size()) {
  std::map<std::uint32_t, std::size_t> in_flight;
  for (const std::uint32_t rank : slots) ++in_flight[rank];
  std::map<std::uint32_t, Lane*> lanes;
  for (const auto& [rank, count] : in_flight)
    lanes[rank] = &lanes_.emplace_back(rank, read_invitation(invitations[rank]), count, timeout, slots.size() == 1);
  for (const std::uint32_t rank : slots) lane_of_.push_back(lanes[rank]);
  polled_.resize(lanes_.size());
}

void TcpCaller::prepare(std::span<const Payload> payloads, std::span<const Payload> answers) {
  for (Lane& lane : lanes_) lane.prepare(payloads, answers);
}

void TcpCaller::call(Call call) {
  calls_[call.slot] = call;
  lane_of_[call.slot]->start(call);
}

std::size_t TcpCaller::wait(std::span<Completion> done, Nanoseconds timeout) {
  const SteadyClock clock;
  const Nanoseconds deadline = timeout == 0 ? 0 : clock.now() + timeout;
  // One connection with nothing left to send: one blocking read does it all, as a rule.
  if (Lane& only = lanes_.front(); lanes_.size() == 1 && timeout > 0 && !only.sending() && !only.idle()) {
    only.set_timeout(timeout);
    if (const std::size_t finished = only.receive(done, true); finished > 0) return finished;
  }
  for (;;) {
    if (const std::size_t finished = collect(done); finished > 0) return finished;
    const Nanoseconds left = timeout == 0 ? 0 : deadline - clock.now();
    if (left <= 0) return 0;
    poll_lanes(left);
  }
}

std::size_t TcpCaller::collect(std::span<Completion> done) {
  std::size_t finished = 0;
  for (Lane& lane : lanes_) {
    if (lane.sending()) lane.flush(false);
    if (finished < done.size()) finished += lane.receive(done.subspan(finished), false);
  }
  return finished;
}

void TcpCaller::poll_lanes(Nanoseconds timeout) {
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const Lane& lane = lanes_[i];
    const int events = POLLIN | (lane.sending() ? POLLOUT : 0);
    // A lane without calls is left out: poll would tell at once that its peer is gone, and nobody here would listen.
    polled_[i] = {.fd = lane.idle() ? -1 : lane.fd(), .events = static_cast<short>(events), .revents = 0};
  }
  const timespec limit{.tv_sec = timeout / 1_s, .tv_nsec = timeout % 1_s};
  ppoll(polled_.data(), polled_.size(), &limit, nullptr);
}

void TcpCaller::reply(std::uint32_t slot, const Sink& sink) {
  for (const Bytes buffer : lane_of_[slot]->landing(calls_[slot]).buffers) sink(buffer);
}

}  // namespace tensorwire::tcp

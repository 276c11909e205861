// The calling side of plain sockets: one connection to each peer, requests pipelined, replies in order.
#pragma once

#include <poll.h>

#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "channels/iovecs.h"
#include "channels/socket.h"
#include "channels/tcp_wire.h"
#include "core/channel.h"

namespace tensorwire::tcp {

/// One connection, and the calls that are on their way over it.
class Lane {
 public:
  /// `alone`: the caller has no other slot.
  Lane(std::uint32_t rank, Invitation invitation, std::size_t slots, Nanoseconds timeout, bool alone);

  /// Connects anew, has the peer make room for the payloads, and makes room for them and the answers here.
  void prepare(std::span<const Payload> payloads, std::span<const Payload> answers);
  void start(Call call);
  bool idle() const { return waiting_ == 0; }
  bool sending() const { return sending_; }
  int fd() const { return socket_.fd(); }

  /// Where the reply to a call lands.
  const Payload& landing(const Call& call) const;

  /// Sends what the socket takes; `block` lets the first system call wait for room.
  void flush(bool block);

  /// Receives replies into `done`; `block` lets the first system call wait, for the socket's timeout at most.
  std::size_t receive(std::span<Completion> done, bool block);

  void set_timeout(Nanoseconds timeout);

 private:
  struct Entry {
    Call call;
    Header header;
  };

  std::string peer() const;
  void agree(const Sizes& sizes);
  Entry& entry(std::size_t ahead) { return ring_[(first_ + ahead) % ring_.size()]; }
  void begin_send();
  std::size_t receive_payload(std::span<Completion> done, bool block);
  std::size_t receive_acknowledgements(std::span<Completion> done, bool block);
  Completion finish(const Header& header);

  /// The bytes that one system call moved; 0 when it would have blocked. Throws PeerLost.
  template <class Move>
  std::size_t moved(Move move) const;

  std::uint32_t rank_;
  Invitation invitation_;
  Socket socket_;
  Nanoseconds connect_within_;
  bool alone_;               // no other call can be under way: its reply cannot come before it is sent
  Nanoseconds timeout_ = 0;  // of the socket

  std::vector<Entry> ring_;  // calls in order; `unsent_` of the last ones are not fully sent yet
  std::size_t first_ = 0;
  std::size_t waiting_ = 0;
  std::size_t unsent_ = 0;
  bool sending_ = false;

  Header outgoing_{};
  std::vector<std::vector<iovec>> requests_;
  Cursor send_;

  Header incoming_{};
  std::unique_ptr<PayloadSet> echoes_;
  std::unique_ptr<PayloadSet> answers_;
  std::vector<std::vector<iovec>> echo_messages_;
  std::vector<std::vector<iovec>> answer_messages_;
  Cursor receive_;
  bool receiving_ = false;
  std::vector<Header> acknowledgements_;
  std::size_t acknowledged_bytes_ = 0;
};

class TcpCaller final : public Caller {
 public:
  /// Slot `i` talks to rank `slots[i]`, which invited to `invitations[slots[i]]` and is connected to within `timeout`.
  TcpCaller(std::span<const std::uint32_t> slots, std::span<const std::string> invitations, Nanoseconds timeout);

  void prepare(std::span<const Payload> payloads, std::span<const Payload> answers) override;
  void call(Call call) override;
  std::size_t wait(std::span<Completion> done, Nanoseconds timeout) override;
  void reply(std::uint32_t slot, const Sink& sink) override;

 private:
  std::size_t collect(std::span<Completion> done);
  void poll_lanes(Nanoseconds timeout);

  std::deque<Lane> lanes_;
  std::vector<Lane*> lane_of_;
  std::vector<Call> calls_;
  std::vector<pollfd> polled_;
};

}  // namespace tensorwire::tcp

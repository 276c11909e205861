// All that a caller has, and that MPI may refer to.
#pragma once

#include <poll.h>

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "channels/mpi_caller.h"
#include "channels/mpi_messages.h"
#include "channels/mpi_terms.h"

namespace tensorwire::mpi {

class Calls {
 public:
  explicit Calls(const Setting& setting) : setting_(setting) {}

  void connect(std::span<const std::uint32_t> ranks, std::span<const std::string> addresses);
  void prepare(std::span<const Payload> payloads, std::span<const Payload> answers);
  void call(const Call& call);
  std::size_t wait(std::span<Completion> done, Nanoseconds timeout);
  void reply(std::uint32_t slot, const Caller::Sink& sink);

  /// Waits for the calls in flight and takes leave. False when MPI still has something of a peer that is gone.
  bool leave();

 private:
  /// One peer.
  struct Lane {
    Lane(std::uint32_t to, Socket socket) : rank(to), control(std::move(socket)) {}

    std::uint32_t rank;
    Control control;
    int mpi_rank = 0;
    std::uint32_t places = 0;
    std::uint32_t in_flight = 0;
    int reply_tag = 0;              // the first
    std::optional<Memory> landing;  // of replies, by place
    Accepted server;                // where requests go
  };

  struct Slot {
    Lane* lane = nullptr;
    std::uint32_t place = 0;  // in its lane
    Call asked{};
    std::size_t missing = 0;  // messages of the reply
    std::uint64_t bytes = 0;  // that came
    std::uint64_t told = 0;   // by a notification, where replies are put
    std::vector<MPI_Request> sends;
  };

  /// What one `prepare` made; the next makes another.
  struct Prepared {
    Prepared(const Setting& setting, std::span<const Payload> payloads, std::span<const Payload> given,
             std::size_t slots);

    bool labelled;
    Outgoings outgoing;
    Outgoings answers;
    Layout requests;
    Layout replies;
    std::uint64_t staging_step;
    Memory staging;  // by slot: a header, and what is packed behind it
    Sends sends;     // by slot and payload; a column for each tag
  };

  Lane& open(std::uint32_t rank, const std::string& address);
  void release();
  void agree(Lane& lane, std::span<const Payload> payloads);
  Frame hear(Lane& lane);
  void post(std::uint32_t slot);
  void prepare_sends(std::uint32_t slot);

  std::byte* staging(std::uint32_t slot) const { return made_->staging.at(slot * made_->staging_step); }
  std::byte* landing(const Slot& slot) const { return slot.lane->landing->at(slot.place * made_->replies.step()); }
  Piece piece(std::uint32_t slot, std::uint32_t payload, std::size_t column) const;
  Sends::Way way(const Slot& slot, std::size_t column) const;
  const Packing& brought(const Call& call) const;
  std::size_t width() const { return setting_.options.one_sided ? 1 : made_->replies.messages(); }

  void send(std::uint32_t slot, std::uint32_t payload, std::size_t column);
  void send_all(std::uint32_t slot, const Call& call);
  void put_all(std::uint32_t slot, const Call& call);
  bool sent(Slot& slot);
  void finish_sends(Slot& slot);

  void look();
  void arrived(std::size_t receive, const MPI_Status& status);
  std::size_t take(std::span<Completion> done);
  void check_lanes();
  void pause(Nanoseconds timeout);
  void part_from(Lane& lane, Nanoseconds deadline);
  [[noreturn]] void lost(const Lane& lane, const std::string& why) const;

  Setting setting_;
  std::deque<Lane> lanes_;
  std::vector<Slot> slots_;
  std::optional<Prepared> made_;
  std::vector<MPI_Request> receives_;  // by slot and message
  std::vector<int> indices_;
  std::vector<MPI_Status> statuses_;
  std::vector<Completion> finished_;
  std::vector<pollfd> polled_;
  Backoff backoff_;
  std::uint32_t looks_ = 0;
};

}  // namespace tensorwire::mpi

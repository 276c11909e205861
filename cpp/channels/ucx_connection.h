// One caller, as the server has it.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "channels/ucx_control.h"
#include "channels/ucx_outgoing.h"
#include "channels/ucx_worker.h"

namespace tensorwire::ucx {

class Connection {
 public:
  Connection(std::shared_ptr<const Context> context, Worker& worker, Socket socket);

  Control& control() { return control_; }
  Endpoint& endpoint() { return endpoint_; }

  /// Connects back. Throws ChannelError when there is no way back, after it said so.
  void greet(std::uint32_t number, const std::string& address);
  bool greeted() const { return endpoint_.handle != nullptr; }

  /// Makes room for these payloads and waits for them. Throws std::bad_alloc when there is no memory for them, and
  /// ChannelError when they are more than it can take.
  void expect(const Layout& layout, std::shared_ptr<const Outgoings> answers);

  /// The place that a request is for, begun; nullptr when it is of no layout.
  Place* place_of(const Label& label) noexcept;

  /// Whether the request that lies in a place asks for something that can be had.
  bool can_answer(const Place& place) const noexcept;

  /// Sends what it asks for, and waits for the next.
  void answer(Place& place) noexcept;

  /// Gives up what it waits for; what UCX does not end at once stays `under_way`.
  void cancel();
  bool under_way() const { return endpoint_.open > 0; }
  void close();

 private:
  struct Seat {
    std::unique_ptr<Place> place;
    std::vector<Header> headers;
    std::uint64_t told = 0;
  };

  void post(Seat& seat) noexcept;
  void send(Seat& seat, std::size_t message, const Parcel& parcel) noexcept;
  void echo(Seat& seat) noexcept;
  void send_recorded(Seat& seat, const Outgoing& answer) noexcept;

  std::shared_ptr<const Context> context_;
  Worker& worker_;
  Control control_;
  Endpoint endpoint_;
  std::uint32_t number_ = 0;
  std::uint32_t lane_ = 0;
  std::vector<Packing> packings_;
  std::uint64_t widest_first_ = 0;
  std::shared_ptr<const Outgoings> answers_;
  std::deque<Seat> seats_;
  std::optional<Stretches> landing_;  // by place
  std::optional<Stretches> staging_;  // by place
};

}  // namespace tensorwire::ucx

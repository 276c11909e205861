// Messages between two ends, by either of UCX's interfaces: what goes out, and where what comes in lies.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "channels/coalescing.h"
#include "channels/ucx_context.h"
#include "channels/ucx_label.h"

namespace tensorwire::ucx {

/// The way to one peer, and what is under way on it.
struct Endpoint {
  ucp_ep_h handle = nullptr;
  std::uint32_t open = 0;         // operations that UCX has not ended yet
  ucs_status_t failure = UCS_OK;  // of any of them
};

/// What a message says; it stays where it is until the message is sent.
struct Header {
  std::uint64_t label = 0;
  std::uint64_t message = 0;  // which of its payload's
};

/// The bytes of a message, as UCX is given them.
struct Parcel {
  const void* buffer = nullptr;
  std::size_t count = 0;
  ucp_datatype_t type = ucp_dt_make_contig(1);
  void* held = nullptr;  // UCX's own memory that it lies in, to be given back when it is sent
};

/// What UCX keeps for us with a message that it has not sent yet.
struct Notes {
  Endpoint* endpoint;
  void* held;
};

class Worker;

/// Where the messages of one call land: a place in flight, at either end.
class Place {
 public:
  /// One of the messages.
  struct Part {
    Place* place = nullptr;
    std::byte* landing = nullptr;     // where it is to lie, unless UCX hands over memory of its own
    const std::byte* data = nullptr;  // where it lies
    void* held = nullptr;             // UCX's memory, to be given back
    std::uint32_t posts = 0;          // receives that were posted so far
    bool posted = false;              // the last of them is under way
    void* request = nullptr;          // which, once UCX said so
  };

  /// `number` is the place's in its caller or connection; it takes up to `parts` messages.
  Place(Worker& worker, Endpoint& endpoint, std::uint32_t number, std::size_t parts);

  /// Waits for the messages of `packing`, to land from `base` on. Without `keep`, they need not lie anywhere.
  void begin(const Packing& packing, std::byte* base, bool keep);

  /// Takes note of a message; true when it was the last one.
  bool took(std::uint64_t bytes);

  std::span<Part> parts() { return {parts_.data(), packing_ == nullptr ? 0 : packing_->messages.size()}; }
  std::span<Part> all_parts() { return parts_; }
  Part& part(std::size_t message) { return parts_[message]; }
  const Packing& packing() const { return *packing_; }
  std::uint64_t bytes() const { return bytes_; }  // that came
  std::uint32_t number() const { return number_; }
  Worker& worker() { return worker_; }
  Endpoint& endpoint() { return endpoint_; }
  bool begun() const { return begun_; }
  bool keeps() const { return keep_; }

  Label label;  // of the request, at the server

 private:
  Worker& worker_;
  Endpoint& endpoint_;
  std::uint32_t number_;
  std::vector<Part> parts_;
  const Packing* packing_ = nullptr;
  std::size_t missing_ = 0;
  std::uint64_t bytes_ = 0;
  bool begun_ = false;
  bool keep_ = false;
};

/// Who is told of what comes. UCX calls from C: nothing may throw.
class Receiver {
 public:
  virtual ~Receiver() = default;
  /// The place that a message is for, which has begun; nullptr for what is nobody's.
  virtual Place* place_of(const Label& label) noexcept = 0;
  /// All messages of a place are there.
  virtual void arrived(Place& place) noexcept = 0;
};

/// One thread's own part of UCX.
class Worker {
 public:
  /// Throws ChannelUnavailable when UCX cannot make one.
  Worker(std::shared_ptr<const Context> context, Receiver& receiver);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  std::string address() const;
  /// Readable when there is something to do, once `arm` has returned true; -1 for a worker that only polls.
  int event_fd() const { return event_fd_; }
  bool arm() const;
  /// Does what there is to do; false when there was nothing.
  bool progress() const { return library_->worker_progress(handle_) != 0; }

  /// Throws ChannelError when UCX has no transport that leads to the address.
  void connect(Endpoint& endpoint, const std::string& address) const;
  /// Ends what was begun on an endpoint before; to be called again until it returns true.
  bool flushed(Endpoint& endpoint) const;
  void close(Endpoint& endpoint) const;
  Route route(const Endpoint& endpoint) const;

  void send(Endpoint& endpoint, const Header& header, const Parcel& parcel);
  /// With tags: posts a receive for a message of up to `room` bytes whose label matches. Nothing to do with active
  /// messages, which come without being asked for.
  void post(Place::Part& part, std::uint64_t room, std::uint64_t label, std::uint64_t mask = ~std::uint64_t{0});
  void cancel(Place& place) const;
  /// Gives back what of UCX's memory a place has.
  void release(Place& place) const;

  bool uses_tags() const { return context_->options().api == Api::tags; }

 private:
  static ucs_status_t on_message(void* self, const void* header, std::size_t header_size, void* data, std::size_t size,
                                 const ucp_am_recv_param_t* how);
  static void on_sent(void* request, ucs_status_t status, void* self);
  static void on_fetched(void* request, ucs_status_t status, std::size_t size, void* part);
  static void on_tagged(void* request, ucs_status_t status, const ucp_tag_recv_info_t* info, void* part);

  ucs_status_t take(const Header& header, void* data, std::size_t size, std::uint64_t how);
  void fetch(Place::Part& part, void* descriptor, std::size_t size);
  void landed(Place::Part& part, std::uint64_t size);
  void tagged(Place::Part& part, const ucp_tag_recv_info_t& info);
  void give_back(void* held);
  void make();

  std::shared_ptr<const Context> context_;
  const Library& library_;
  Receiver& receiver_;
  ucp_worker_h handle_ = nullptr;
  int event_fd_ = -1;
  void* in_hand_ = nullptr;  // UCX's memory whose message is just being handed over
};

/// Keeps what UCX may still refer to until the process ends: UCX cannot end operations with a peer that is gone, and
/// ends the process when it is made to forget them.
void keep_for_good(std::shared_ptr<void> what);

}  // namespace tensorwire::ucx

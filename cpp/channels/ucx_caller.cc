#include "channels/ucx_caller.h"

#include <poll.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "channels/ucx_control.h"
#include "channels/ucx_outgoing.h"
#include "channels/ucx_worker.h"
#include "core/errors.h"

namespace tensorwire::ucx {
namespace {

constexpr std::uint32_t kMostLanes = 1u << Label::kConnectionBits;
constexpr std::uint32_t kMostPlaces = 1u << Label::kPlaceBits;
constexpr std::uint32_t kLooksPerCheck = 4096;  // while polling: a look takes well under a microsecond
constexpr Nanoseconds kLeavingPatience = 5_s;

/// One peer, as one caller has it.
struct Lane {
  Lane(std::uint32_t to, std::uint32_t index, Socket socket) : rank(to), number(index), control(std::move(socket)) {}

  std::uint32_t rank;
  std::uint32_t number;
  std::uint32_t places = 0;
  std::uint32_t connection = 0;
  std::uint32_t in_flight = 0;
  Control control;
  Endpoint endpoint;
};

struct Slot {
  Lane* lane = nullptr;
  std::uint32_t place = 0;  // in its lane
  std::unique_ptr<Place> reply;
  std::uint64_t told = 0;  // an acknowledgement
  Reply asked = Reply::echo;
  std::vector<Header> headers;
};

/// All that a caller has, and that UCX may refer to.
class Calls final : public Receiver {
 public:
  Calls(std::shared_ptr<const Context> context, Nanoseconds timeout);

  void connect(std::span<const std::uint32_t> ranks, std::span<const Address> addresses);
  void prepare(std::span<const Payload> payloads, std::span<const Payload> answers, Routes& routes);
  void call(const Call& call);
  std::size_t wait(std::span<Completion> done, Nanoseconds timeout);
  void reply(std::uint32_t slot, const Caller::Sink& sink);

  /// Waits for the calls in flight and takes leave. False when UCX still has something of a peer that is gone.
  bool leave();

  Place* place_of(const Label& label) noexcept override;
  void arrived(Place& place) noexcept override;

 private:
  Lane& open(std::uint32_t rank, std::uint32_t number, const Address& address);
  void agree(Lane& lane, std::span<const Payload> payloads, Routes& routes);
  void settle(Lane& lane);
  void make_room();
  std::size_t take(std::span<Completion> done);
  const Packing& expected(const Call& call) const;
  void check_lanes();
  bool pause(Nanoseconds timeout);
  void part_from(Lane& lane, Nanoseconds deadline);
  [[noreturn]] void refused(const Lane& lane, const Frame& frame) const;
  [[noreturn]] void lost(const Lane& lane, const std::string& why) const;

  std::shared_ptr<const Context> context_;
  const Nanoseconds timeout_;
  std::deque<Lane> lanes_;
  std::vector<Slot> slots_;
  std::vector<std::vector<std::uint32_t>> slot_of_;  // by lane and place
  std::vector<Completion> finished_;
  std::vector<pollfd> polled_;
  std::uint32_t looks_ = 0;
  const Packing acknowledgement_ = packing_of_bytes(sizeof(std::uint64_t));
  std::optional<Outgoings> payloads_;
  std::optional<Outgoings> answers_;
  std::optional<Stretches> landing_;  // by slot
  std::optional<Stretches> staging_;  // by slot
  Worker worker_;                     // goes first: what it moves must be there until then
};

Calls::Calls(std::shared_ptr<const Context> context, Nanoseconds timeout)
    : context_(std::move(context)), timeout_(timeout), worker_(context_, *this) {}

void Calls::lost(const Lane& lane, const std::string& why) const {
  throw PeerLost("rank " + std::to_string(lane.rank) + " is lost: " + why);
}

void Calls::refused(const Lane& lane, const Frame& frame) const {
  throw ChannelError("rank " + std::to_string(lane.rank) + " refuses: " + frame.body);
}

void Calls::connect(std::span<const std::uint32_t> ranks, std::span<const Address> addresses) {
  std::map<std::uint32_t, Lane*> lanes;
  slots_.resize(ranks.size());
  for (std::uint32_t i = 0; i < ranks.size(); ++i) {
    Lane*& lane = lanes[ranks[i]];
    if (lane == nullptr) lane = &open(ranks[i], static_cast<std::uint32_t>(lanes_.size()), addresses[ranks[i]]);
    slots_[i].lane = lane;
    slots_[i].place = lane->places++;
    slot_of_[lane->number].push_back(i);
    if (lane->places > kMostPlaces) throw ChannelError("channel ucx has no more than 4096 calls in flight to a peer");
  }
  finished_.reserve(ranks.size());
  polled_.resize(lanes_.size() + 1);
}

Lane& Calls::open(std::uint32_t rank, std::uint32_t number, const Address& address) {
  if (number >= kMostLanes) throw ChannelError("channel ucx calls no more than 16384 peers from one thread");
  Lane& lane = lanes_.emplace_back(rank, number, connect_to(address.control, timeout_));
  slot_of_.emplace_back();
  try {
    lane.control.say(Word::hello, worker_.address());
    const Frame frame = lane.control.hear(timeout_);
    const auto connection = read_number(frame.body);
    if (frame.word == Word::refused) refused(lane, frame);
    if (frame.word != Word::welcome || !connection) lost(lane, "it does not speak like a rank of this run");
    lane.connection = static_cast<std::uint32_t>(*connection);
    worker_.connect(lane.endpoint, address.worker);
  } catch (const PeerLost& wrong) {
    lost(lane, wrong.what());
  }
  return lane;
}

void Calls::prepare(std::span<const Payload> payloads, std::span<const Payload> answers, Routes& routes) {
  if (payloads.size() > 1u << Label::kPayloadBits || answers.size() > 1u << Label::kAnswerBits) {
    throw ChannelError("channel ucx takes up to 262144 different payloads and 131072 recorded replies");
  }
  payloads_.emplace(context_, payloads);
  answers_.emplace(context_, answers);
  make_room();
  for (Lane& lane : lanes_) {
    try {
      agree(lane, payloads, routes);
    } catch (const PeerLost& wrong) {
      lost(lane, wrong.what());
    }
  }
}

void Calls::make_room() {
  const std::size_t sent = payloads_->most_messages();
  const std::size_t received = std::max(sent, answers_->most_messages());
  for (Slot& slot : slots_) {
    slot.reply.reset();
    slot.headers.assign(sent, {});
    const std::uint32_t number = static_cast<std::uint32_t>(&slot - slots_.data());
    slot.reply = std::make_unique<Place>(worker_, slot.lane->endpoint, number, received);
  }
  landing_.emplace(context_, slots_.size(), std::max(payloads_->most_room(), answers_->most_room()));
  staging_.emplace(context_, slots_.size(), payloads_->most_staged());
}

void Calls::agree(Lane& lane, std::span<const Payload> payloads, Routes& routes) {
  Layout layout{.lane = lane.number, .places = lane.places, .sizes = {}};
  for (const Payload& payload : payloads) layout.sizes.push_back(sizes_of(payload));
  lane.control.say(Word::layout, layout.body());
  const Frame frame = lane.control.hear(timeout_);
  if (frame.word == Word::refused) refused(lane, frame);
  settle(lane);
  const Route route = worker_.route(lane.endpoint);
  routes.add(route);
  lane.control.say(Word::route, written(route));
  lane.control.hear(timeout_);
}

/// UCX chooses its ways when they are first used; here they are before the clock starts.
void Calls::settle(Lane& lane) {
  const SteadyClock clock;
  const Nanoseconds deadline = clock.now() + timeout_;
  while (!worker_.flushed(lane.endpoint)) {
    while (worker_.progress()) {
    }
    if (lane.control.ended()) lost(lane, "it closed the control connection");
    if (clock.now() > deadline) lost(lane, "UCX does not reach it over " + context_->options().transport);
    pause(1_ms);
  }
  if (lane.endpoint.failure != UCS_OK) lost(lane, context_->library()->status_string(lane.endpoint.failure));
}

const Packing& Calls::expected(const Call& call) const {
  switch (call.reply) {
    case Reply::acknowledge:
      return acknowledgement_;
    case Reply::recorded:
      return (*answers_)[call.answer].packing();
    case Reply::echo:
      break;
  }
  return (*payloads_)[call.payload].packing();
}

void Calls::call(const Call& call) {
  Slot& slot = slots_[call.slot];
  Lane& lane = *slot.lane;
  worker_.release(*slot.reply);
  slot.asked = call.reply;
  const bool acknowledged = call.reply == Reply::acknowledge;
  slot.reply->begin(expected(call), acknowledged ? reinterpret_cast<std::byte*>(&slot.told) : (*landing_)[call.slot],
                    true);
  ++lane.in_flight;

  const Outgoing& payload = (*payloads_)[call.payload];
  const Label whole{lane.connection, slot.place, true, call.reply, call.payload, call.answer};
  const Label rest{.connection = lane.connection, .place = slot.place};
  const std::size_t messages = payload.packing().messages.size();
  for (std::size_t i = 0; i < messages; ++i) {
    const bool tells = i == 0 || !worker_.uses_tags();
    slot.headers[i] = {.label = (tells ? whole : rest).word(), .message = i};
    worker_.send(lane.endpoint, slot.headers[i], payload.parcel(i, (*staging_)[call.slot]));
  }
  const std::uint64_t label = Label{.connection = lane.number, .place = slot.place}.word();
  for (Place::Part& part : slot.reply->parts()) {
    worker_.post(part, slot.reply->packing().messages[static_cast<std::size_t>(&part - &slot.reply->part(0))].size,
                 label);
  }
}

Place* Calls::place_of(const Label& label) noexcept {
  if (label.connection >= slot_of_.size() || label.place >= slot_of_[label.connection].size()) return nullptr;
  Place* place = slots_[slot_of_[label.connection][label.place]].reply.get();
  return place != nullptr && place->begun() ? place : nullptr;
}

void Calls::arrived(Place& place) noexcept {
  Slot& slot = slots_[place.number()];
  --slot.lane->in_flight;
  finished_.push_back({place.number(), slot.asked == Reply::acknowledge ? slot.told : place.bytes()});
}

std::size_t Calls::take(std::span<Completion> done) {
  const std::size_t n = std::min(done.size(), finished_.size());
  if (n == 0) return 0;
  std::copy_n(finished_.begin(), n, done.begin());
  finished_.erase(finished_.begin(), finished_.begin() + static_cast<std::ptrdiff_t>(n));
  return n;
}

std::size_t Calls::wait(std::span<Completion> done, Nanoseconds timeout) {
  const SteadyClock clock;
  const Nanoseconds deadline = timeout == 0 ? 0 : clock.now() + timeout;
  for (;;) {
    if (const std::size_t finished = take(done); finished > 0) return finished;
    if (worker_.progress()) {
      if (timeout > 0 || !finished_.empty()) continue;
    }
    if (++looks_ % kLooksPerCheck == 0) check_lanes();
    if (timeout == 0) return 0;
    if (context_->spins() && looks_ % 64 != 0) continue;
    const Nanoseconds left = deadline - clock.now();
    if (left <= 0) return 0;
    if (pause(left)) check_lanes();
  }
}

/// Waits for UCX or for a lane with calls in flight; true when there may be something on a control connection.
bool Calls::pause(Nanoseconds timeout) {
  if (context_->spins() || !worker_.arm()) return false;
  polled_[0] = {.fd = worker_.event_fd(), .events = POLLIN, .revents = 0};
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (lanes_[i].endpoint.failure != UCS_OK) return true;
    polled_[i + 1] = {.fd = lanes_[i].in_flight > 0 ? lanes_[i].control.fd() : -1, .events = POLLIN, .revents = 0};
  }
  const timespec limit{.tv_sec = timeout / 1_s, .tv_nsec = timeout % 1_s};
  ppoll(polled_.data(), polled_.size(), &limit, nullptr);
  return std::any_of(polled_.begin() + 1, polled_.end(), [](const pollfd& each) { return each.revents != 0; });
}

void Calls::check_lanes() {
  for (const Lane& lane : lanes_) {
    if (lane.in_flight == 0) continue;
    if (lane.endpoint.failure != UCS_OK) lost(lane, context_->library()->status_string(lane.endpoint.failure));
    if (lane.control.ended()) lost(lane, "it closed the control connection");
  }
}

void Calls::reply(std::uint32_t index, const Caller::Sink& sink) {
  Slot& slot = slots_[index];
  if (slot.asked == Reply::acknowledge) return sink(std::as_bytes(std::span(&slot.told, 1)));
  for (const Packing::Stretch& buffer : slot.reply->packing().buffers) {
    if (buffer.size > 0) sink({slot.reply->part(buffer.message).data + buffer.offset, buffer.size});
  }
}

bool Calls::leave() {
  const SteadyClock clock;
  const Nanoseconds deadline = clock.now() + std::min(timeout_, kLeavingPatience);
  try {
    std::vector<Completion> done(slots_.size() + 1);
    const auto busy = [&] {
      return std::any_of(lanes_.begin(), lanes_.end(), [](auto& lane) { return lane.in_flight > 0; });
    };
    while (busy() && clock.now() < deadline) wait(done, 10_ms);
    for (Lane& lane : lanes_) part_from(lane, deadline);
  } catch (const ChannelError&) {  // it is gone already
  }
  for (Slot& slot : slots_) {
    if (slot.reply) worker_.release(*slot.reply), worker_.cancel(*slot.reply);
  }
  for (int i = 0; i < 1000 && worker_.progress(); ++i) {
  }
  return std::all_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.endpoint.open == 0; });
}

/// The server may need this end's help to end what is under way.
void Calls::part_from(Lane& lane, Nanoseconds deadline) {
  const SteadyClock clock;
  lane.control.say(Word::bye);
  while (clock.now() < deadline) {
    while (worker_.progress()) {
    }
    if (const auto frame = lane.control.heard(); frame && frame->word == Word::closed) break;
    pollfd waiting{.fd = lane.control.fd(), .events = POLLIN, .revents = 0};
    poll(&waiting, 1, 1);
  }
  if (lane.endpoint.handle != nullptr && lane.endpoint.open == 0) worker_.close(lane.endpoint);
}

class UcxCaller final : public Caller {
 public:
  UcxCaller(std::shared_ptr<Calls> calls, Routes& routes) : calls_(std::move(calls)), routes_(routes) {}
  ~UcxCaller() override {
    if (!calls_->leave()) keep_for_good(std::move(calls_));
  }

  void prepare(std::span<const Payload> payloads, std::span<const Payload> answers) override {
    calls_->prepare(payloads, answers, routes_);
  }
  void call(Call call) override { calls_->call(call); }
  std::size_t wait(std::span<Completion> done, Nanoseconds timeout) override { return calls_->wait(done, timeout); }
  void reply(std::uint32_t slot, const Sink& sink) override { calls_->reply(slot, sink); }

 private:
  std::shared_ptr<Calls> calls_;
  Routes& routes_;
};

}  // namespace

std::string Address::blob() const { return control + "\n" + worker; }

Address Address::read(const std::string& blob) {
  const std::size_t end = blob.find('\n');
  return {.control = blob.substr(0, end), .worker = end == std::string::npos ? "" : blob.substr(end + 1)};
}

void Routes::add(const Route& route) {
  const std::lock_guard lock(mutex_);
  route_.add(route);
}

Route Routes::all() const {
  const std::lock_guard lock(mutex_);
  return route_;
}

std::unique_ptr<Caller> caller(std::shared_ptr<const Context> context, std::span<const std::uint32_t> slots,
                               std::span<const Address> addresses, Nanoseconds timeout, Routes& routes) {
  auto calls = std::make_shared<Calls>(std::move(context), timeout);
  calls->connect(slots, addresses);
  return std::make_unique<UcxCaller>(std::move(calls), routes);
}

}  // namespace tensorwire::ucx

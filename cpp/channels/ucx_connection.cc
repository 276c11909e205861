#include "channels/ucx_connection.h"

#include <unistd.h>

#include <algorithm>
#include <new>
#include <utility>

#include "core/errors.h"

namespace tensorwire::ucx {
namespace {

/// The kernel may promise more than there is, and kill whoever touches it; the sums must not wrap either.
void check_fits(const Layout& layout) {
  const auto memory =
      static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  for (const auto& payload : layout.sizes) {
    std::uint64_t left = memory / std::max<std::uint64_t>(1, layout.places);
    for (const std::uint64_t size : payload) {
      if (size > left) throw std::bad_alloc();
      left -= size;
    }
  }
}

}  // namespace

Connection::Connection(std::shared_ptr<const Context> context, Worker& worker, Socket socket)
    : context_(std::move(context)), worker_(worker), control_(std::move(socket)) {}

void Connection::greet(std::uint32_t number, const std::string& address) {
  try {
    worker_.connect(endpoint_, address);
  } catch (const ChannelError& wrong) {
    control_.say(Word::refused, wrong.what());
    throw;
  }
  number_ = number;
  control_.say(Word::welcome, number_body(number));
}

void Connection::expect(const Layout& layout, std::shared_ptr<const Outgoings> answers) {
  if (layout.places > 1u << Label::kPlaceBits || layout.lane > 1u << Label::kConnectionBits) {
    throw ChannelError("these are more calls in flight than it can take");
  }
  check_fits(layout);
  answers_ = std::move(answers);
  lane_ = static_cast<std::uint32_t>(layout.lane);
  seats_.clear();
  packings_.clear();
  const Options& options = context_->options();
  std::size_t messages = 1;
  std::uint64_t room = 0;
  widest_first_ = 0;
  for (const auto& sizes : layout.sizes) {
    const Packing& packing = packings_.emplace_back(packing_of(sizes, options.strategy, options.coalesce_below));
    messages = std::max(messages, packing.messages.size());
    room = std::max(room, packing.room);
    widest_first_ = std::max(widest_first_, packing.messages.front().size);
  }
  landing_.emplace(context_, layout.places, room);
  staging_.emplace(context_, layout.places, answers_ ? answers_->most_staged() : 0);
  const std::size_t sent = std::max(messages, answers_ ? answers_->most_messages() : 1);
  for (std::uint32_t i = 0; i < layout.places; ++i) {
    Seat& seat = seats_.emplace_back();
    seat.place = std::make_unique<Place>(worker_, endpoint_, i, messages);
    seat.headers.resize(sent);
    post(seat);
  }
}

/// With one payload all its messages are known, and received where they belong; of several, the first message tells
/// which one it is.
void Connection::post(Seat& seat) noexcept {
  if (!worker_.uses_tags() || packings_.empty()) return;
  Place& place = *seat.place;
  const Label first{.connection = number_, .place = place.number(), .tells = true};
  std::byte* base = (*landing_)[place.number()];
  if (packings_.size() > 1) {
    place.part(0).landing = base;
  } else {
    place.begin(packings_.front(), base, true);
    const Label rest{.connection = number_, .place = place.number()};
    for (std::size_t i = 1; i < place.parts().size(); ++i) {
      worker_.post(place.part(i), packings_.front().messages[i].size, rest.word());
    }
  }
  worker_.post(place.part(0), widest_first_, first.word(), Label::kFirstOfPlace);
}

Place* Connection::place_of(const Label& label) noexcept {
  if (label.place >= seats_.size()) return nullptr;
  Place& place = *seats_[label.place].place;
  if (!label.tells) return place.begun() ? &place : nullptr;
  if (label.payload >= packings_.size()) return nullptr;
  place.label = label;
  if (place.begun()) return &place;
  const Packing& packing = packings_[label.payload];
  place.begin(packing, (*landing_)[label.place], label.reply == Reply::echo || worker_.uses_tags());
  if (!worker_.uses_tags()) return &place;
  const Label rest{.connection = number_, .place = label.place};
  for (std::size_t i = 1; i < packing.messages.size(); ++i) {
    worker_.post(place.part(i), packing.messages[i].size, rest.word());
  }
  return &place;
}

bool Connection::can_answer(const Place& place) const noexcept {
  if (place.label.reply != Reply::recorded) return place.label.reply <= Reply::recorded;
  return answers_ != nullptr && place.label.answer < answers_->size();
}

void Connection::answer(Place& place) noexcept {
  Seat& seat = seats_[place.number()];
  switch (place.label.reply) {
    case Reply::echo:
      echo(seat);
      break;
    case Reply::acknowledge:
      seat.told = place.bytes();
      send(seat, 0, {.buffer = &seat.told, .count = sizeof seat.told});
      break;
    case Reply::recorded:
      send_recorded(seat, (*answers_)[place.label.answer]);
  }
  post(seat);
}

void Connection::send(Seat& seat, std::size_t message, const Parcel& parcel) noexcept {
  const Label label{.connection = lane_, .place = seat.place->number()};
  seat.headers[message] = {.label = label.word(), .message = message};
  worker_.send(endpoint_, seat.headers[message], parcel);
}

/// From where it lies.
void Connection::echo(Seat& seat) noexcept {
  const auto& messages = seat.place->packing().messages;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    Place::Part& part = seat.place->part(i);
    send(seat, i, {.buffer = part.data, .count = messages[i].size, .held = std::exchange(part.held, nullptr)});
  }
}

void Connection::send_recorded(Seat& seat, const Outgoing& answer) noexcept {
  for (std::size_t i = 0; i < answer.packing().messages.size(); ++i) {
    send(seat, i, answer.parcel(i, (*staging_)[seat.place->number()]));
  }
}

void Connection::cancel() {
  for (Seat& seat : seats_) {
    worker_.cancel(*seat.place);
    worker_.release(*seat.place);
  }
}

void Connection::close() {
  if (endpoint_.handle != nullptr) worker_.close(endpoint_);
}

}  // namespace tensorwire::ucx

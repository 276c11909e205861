#include "channels/mpi_connection.h"

#include <algorithm>
#include <cstring>

#include "core/errors.h"

namespace tensorwire::mpi {
namespace {

constexpr Nanoseconds kEndingPatience = 1_s;

PeerLost nonsense() { return PeerLost("what came is no request of a rank of this run"); }

std::uint64_t rounded(std::uint64_t size) { return (size + kHeaderRoom - 1) / kHeaderRoom * kHeaderRoom; }

std::uint64_t total(const Packing& packing) {
  std::uint64_t size = 0;
  for (const Packing::Message& message : packing.messages) size += message.size;
  return size;
}

/// Bytes behind the header of any request.
std::uint64_t most_behind(std::span<const Packing> packings, const Options& options) {
  std::uint64_t most = 0;
  for (const Packing& packing : packings) {
    if (leads(packing, options)) most = std::max(most, packing.messages[0].size);
  }
  return most;
}

}  // namespace

Connection::Made::Made(const Setting& setting, const Terms& given, std::shared_ptr<const Outgoings> replies)
    : terms(given),
      answers(std::move(replies)),
      packings(packings_of(given.sizes, setting.options)),
      requests(packings),
      head_step(rounded(kHeaderRoom + most_behind(packings, setting.options))),
      staging_step(rounded(answers->most_packed())),
      heads(given.places * head_step, MPI_WIN_NULL),
      landing(given.places * requests.step(), setting.window),
      staging(given.places * staging_step, MPI_WIN_NULL),
      counted(given.labelled ? 0 : requests.step(), MPI_WIN_NULL),
      echoes(setting.world, given.places * packings.size(), given.offsets.size(), setting.options.persistent),
      brought(setting.world, given.places * answers->size(), given.offsets.size(), setting.options.persistent),
      notes(setting.world, given.places, 1, setting.options.persistent),
      columns(column_of(requests.messages())) {}

Accepted Connection::expect(const Terms& terms, std::shared_ptr<const Outgoings> answers) {
  if (!end()) throw PeerLost("it prepares while calls are in flight");
  made_.reset();
  if (terms.rank >= static_cast<std::uint64_t>(setting_.world.size())) throw nonsense();
  made_.emplace(setting_, terms, std::move(answers));
  places_.assign(terms.places, Place());
  const std::size_t receives = terms.places * made_->columns;
  const int tag = setting_.world.take_tags(receives);
  receives_.assign(receives, MPI_REQUEST_NULL);
  indices_.resize(receives);
  statuses_.resize(receives);
  first_tag_ = tag;
  for (std::size_t place = 0; place < terms.places; ++place) {
    for (std::size_t column = 0; column < made_->columns; ++column) {
      if (column == kHead || !setting_.options.one_sided) post(place, column);
    }
    prepare_sends(place);
  }
  return {.tag = static_cast<std::uint64_t>(tag), .opened = {made_->landing.address(), made_->requests.step()}};
}

void Connection::post(std::size_t place, std::size_t column) {
  std::byte* into = head(place) + kHeaderAt;
  std::uint64_t room = made_->head_step - kHeaderAt;
  if (!made_->terms.labelled || column != kHead) {
    const std::size_t message = column == kHead ? 0 : column - 1;
    // What is only acknowledged is only counted: it lands where that of every other place does.
    const bool counted = !made_->terms.labelled && column == kAcknowledged;
    into = (counted ? made_->counted.at(0) : landing(place)) + made_->requests.offset(message);
    room = made_->requests.most(message);
  }
  const std::size_t i = place * made_->columns + column;
  check(MPI_Recv_init(into, as_count(room), MPI_BYTE, static_cast<int>(made_->terms.rank),
                      first_tag_ + static_cast<int>(i), setting_.world.comm(), &receives_[i]),
        "prepare a receive");
  check(MPI_Start(&receives_[i]), "start a receive");
}

void Connection::prepare_sends(std::size_t place) {
  const std::size_t most = made_->terms.offsets.size();
  made_->notes.prepare(place, 0, {&places_[place].told, sizeof(std::uint64_t), MPI_BYTE}, way(place, 0));
  if (setting_.options.one_sided) return;
  for (std::uint32_t payload = 0; payload < made_->packings.size(); ++payload) {
    const std::size_t messages = std::min(made_->packings[payload].messages.size(), most);
    for (std::size_t i = 0; i < messages; ++i) {
      made_->echoes.prepare(place * made_->packings.size() + payload, i, landed(place, payload, i), way(place, i));
    }
  }
  for (std::size_t answer = 0; answer < made_->answers->size(); ++answer) {
    const Outgoing& outgoing = (*made_->answers)[answer];
    const std::size_t messages = std::min(outgoing.packing().messages.size(), most);
    for (std::size_t i = 0; i < messages; ++i) {
      made_->brought.prepare(place * made_->answers->size() + answer, i, outgoing.piece(i, staging(place)),
                             way(place, i));
    }
  }
}

Piece Connection::landed(std::size_t place, std::uint32_t payload, std::size_t message) const {
  const Packing& packing = made_->packings[payload];
  const bool behind = message == 0 && made_->terms.labelled && leads(packing, setting_.options);
  const std::byte* at = behind ? head(place) + kHeaderRoom : landing(place) + made_->requests.offset(message);
  return {at, as_count(packing.messages[message].size), MPI_BYTE};
}

Sends::Way Connection::way(std::size_t place, std::size_t message) const {
  const std::size_t width = setting_.options.one_sided ? 1 : made_->terms.offsets.size();
  return {static_cast<int>(made_->terms.rank), static_cast<int>(made_->terms.tag + place * width + message)};
}

bool Connection::progress() {
  if (!made_) return false;
  std::erase_if(sending_, [this](std::size_t place) { return settle(place); });
  return look();
}

bool Connection::look() {
  int count = 0;
  check(MPI_Testsome(static_cast<int>(receives_.size()), receives_.data(), &count, indices_.data(), statuses_.data()),
        "receive");
  for (int i = 0; i < count; ++i) {  // none for MPI_UNDEFINED, which is negative
    take(static_cast<std::size_t>(indices_[static_cast<std::size_t>(i)]), statuses_[static_cast<std::size_t>(i)]);
  }
  return count > 0;
}

void Connection::take(std::size_t receive, const MPI_Status& status) {
  const std::size_t index = receive / made_->columns;
  const std::size_t column = receive % made_->columns;
  Place& place = places_[index];
  int count = 0;
  MPI_Get_count(&status, MPI_BYTE, &count);
  place.bytes += static_cast<std::uint64_t>(count);
  place.used.push_back(receive);
  ++place.came;
  if (column == kHead || (column == kAcknowledged && !made_->terms.labelled)) understand(index, column);
  if (complete(place)) answer(index);
}

/// The first message of a request says what it is.
void Connection::understand(std::size_t index, std::size_t column) {
  Place& place = places_[index];
  if (place.known) throw nonsense();
  place.known = true;
  if (!made_->terms.labelled) {
    place.header = {.reply = column == kAcknowledged ? Reply::acknowledge : Reply::echo};
    return;
  }
  if (place.bytes < sizeof(Header)) throw nonsense();
  std::memcpy(&place.header, head(index) + kHeaderAt, sizeof(Header));
  place.bytes -= sizeof(Header);
  if (place.header.payload >= made_->packings.size()) throw nonsense();
  if (setting_.options.one_sided) place.bytes = total(made_->packings[place.header.payload]);  // it was put
}

bool Connection::complete(const Place& place) const {
  if (!place.known) return false;
  if (setting_.options.one_sided) return true;
  const Packing& packing = made_->packings[place.header.payload];
  const bool alone = made_->terms.labelled && !leads(packing, setting_.options);  // the header is
  return place.came == packing.messages.size() + (alone ? 1 : 0);
}

void Connection::answer(std::size_t index) {
  Place& place = places_[index];
  if (place.bytes != total(made_->packings[place.header.payload])) throw nonsense();
  if (place.header.reply == Reply::recorded && place.header.answer >= made_->answers->size()) throw nonsense();
  tally_.count(place.bytes);
  switch (place.header.reply) {
    case Reply::echo:
      echo(index);
      break;
    case Reply::recorded:
      bring(index);
      break;
    case Reply::acknowledge:
      note(index, place.bytes);
      break;
    default:
      throw nonsense();
  }
  // Of the next request all but the first message may come before this reply has left.
  place.known = false;
  place.came = place.bytes = 0;
  place.resting.insert(place.resting.end(), place.used.begin(), place.used.end());
  place.used.clear();
  if (!settle(index)) sending_.push_back(index);
}

/// From where it landed.
void Connection::echo(std::size_t index) {
  const std::uint32_t payload = places_[index].header.payload;
  const Packing& packing = made_->packings[payload];
  const std::size_t row = index * made_->packings.size() + payload;
  send_back(index, packing, [&](std::size_t i) { return std::pair(landed(index, payload, i), row); }, made_->echoes);
}

void Connection::bring(std::size_t index) {
  const std::uint32_t number = places_[index].header.answer;
  const Outgoing& answer = (*made_->answers)[number];
  answer.pack(staging(index));
  const std::size_t row = index * made_->answers->size() + number;
  send_back(
      index, answer.packing(), [&](std::size_t i) { return std::pair(answer.piece(i, staging(index)), row); },
      made_->brought);
}

/// The messages of a reply, or where they are put, those and a notification.
template <class PieceOf>
void Connection::send_back(std::size_t index, const Packing& packing, PieceOf piece_of, Sends& sends) {
  Place& place = places_[index];
  const Terms& terms = made_->terms;
  if (packing.messages.size() > terms.offsets.size()) throw nonsense();
  for (std::size_t i = 0; i < packing.messages.size(); ++i) {
    const auto [piece, row] = piece_of(i);
    if (setting_.options.one_sided) {
      put(setting_.window, piece, packing.messages[i].size, static_cast<int>(terms.rank),
          terms.opened.address + index * terms.opened.step + terms.offsets[i]);
    } else {
      place.sends.push_back(sends.start(row, i, piece, way(index, i)));
    }
  }
  if (!setting_.options.one_sided) return;
  check(MPI_Win_flush(static_cast<int>(terms.rank), setting_.window), "put a message");
  note(index, total(packing));
}

void Connection::note(std::size_t index, std::uint64_t bytes) {
  Place& place = places_[index];
  place.told = bytes;
  const Piece piece{&place.told, sizeof place.told, MPI_BYTE};
  place.sends.push_back(made_->notes.start(index, 0, piece, way(index, 0)));
}

/// A place is free again when its reply has left: the next request may land where that lay.
bool Connection::settle(std::size_t index) {
  Place& place = places_[index];
  int done = 0;
  check(MPI_Testall(static_cast<int>(place.sends.size()), place.sends.data(), &done, MPI_STATUSES_IGNORE), "send");
  if (done == 0) return false;
  place.sends.clear();
  for (const std::size_t receive : place.resting) check(MPI_Start(&receives_[receive]), "start a receive");
  place.resting.clear();
  return true;
}

bool Connection::end() {
  const SteadyClock clock;
  const Nanoseconds deadline = clock.now() + kEndingPatience;
  bool all = true;
  for (Place& place : places_) {
    int done = place.sends.empty() ? 1 : 0;
    while (done == 0 && clock.now() < deadline) {
      const int count = static_cast<int>(place.sends.size());
      if (MPI_Testall(count, place.sends.data(), &done, MPI_STATUSES_IGNORE) != MPI_SUCCESS) break;
    }
    all = all && done != 0;
    if (done != 0) place.sends.clear();
  }
  if (!cancel(receives_) || !all) return false;
  receives_.clear();
  sending_.clear();
  places_.clear();
  return true;
}

}  // namespace tensorwire::mpi

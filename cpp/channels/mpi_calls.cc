#include "channels/mpi_calls.h"

#include <sched.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "core/errors.h"

namespace tensorwire::mpi {
namespace {

constexpr std::uint32_t kLooksPerCheck = 4096;  // while polling: a look takes well under a microsecond
constexpr Nanoseconds kLeavingPatience = 5_s;

std::uint64_t rounded(std::uint64_t size) { return (size + kHeaderRoom - 1) / kHeaderRoom * kHeaderRoom; }

}  // namespace

Calls::Prepared::Prepared(const Setting& setting, std::span<const Payload> payloads, std::span<const Payload> given,
                          std::size_t slots)
    : labelled(payloads.size() > 1 || !given.empty() || setting.options.one_sided),
      outgoing(payloads, setting.options, labelled),
      answers(given, setting.options, false),
      requests(outgoing.packings()),
      replies(outgoing.packings(), answers.packings(), sizeof(std::uint64_t)),
      staging_step(rounded(kHeaderRoom + outgoing.most_packed())),
      staging(slots * staging_step, MPI_WIN_NULL),
      sends(setting.world, slots * payloads.size(), column_of(requests.messages()), setting.options.persistent) {}

void Calls::lost(const Lane& lane, const std::string& why) const {
  throw PeerLost("rank " + std::to_string(lane.rank) + " is lost: " + why);
}

void Calls::connect(std::span<const std::uint32_t> ranks, std::span<const std::string> addresses) {
  std::map<std::uint32_t, Lane*> lanes;
  slots_.resize(ranks.size());
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    Lane*& lane = lanes[ranks[i]];
    if (lane == nullptr) lane = &open(ranks[i], addresses[ranks[i]]);
    slots_[i].lane = lane;
    slots_[i].place = lane->places++;
  }
  finished_.reserve(ranks.size());
  polled_.resize(lanes_.size());
}

Calls::Lane& Calls::open(std::uint32_t rank, const std::string& address) {
  Lane& lane = lanes_.emplace_back(rank, connect_to(address, setting_.timeout));
  lane.control.say(Word::hello);
  const Frame frame = hear(lane);
  const auto mpi_rank = ucx::read_number(frame.body);
  if (frame.word != Word::welcome || !mpi_rank) lost(lane, frame.body);
  lane.mpi_rank = static_cast<int>(*mpi_rank);
  return lane;
}

Frame Calls::hear(Lane& lane) {
  try {
    return lane.control.hear(setting_.timeout);
  } catch (const PeerLost& wrong) {
    lost(lane, wrong.what());
  }
}

/// Nothing is in flight. A reply that was given up may still come to where it was to land.
void Calls::release() {
  for (Slot& slot : slots_) finish_sends(slot);
  if (!cancel(receives_)) throw ChannelError("MPI does not end a receive that nothing comes for");
  receives_.clear();
  made_.reset();
  for (Lane& lane : lanes_) lane.landing.reset();
}

void Calls::prepare(std::span<const Payload> payloads, std::span<const Payload> answers) {
  release();
  made_.emplace(setting_, payloads, answers, slots_.size());
  for (Lane& lane : lanes_) {
    lane.landing.emplace(lane.places * made_->replies.step(), setting_.window);
    lane.reply_tag = setting_.world.take_tags(lane.places * width());
  }
  receives_.assign(slots_.size() * width(), MPI_REQUEST_NULL);
  indices_.resize(receives_.size());
  statuses_.resize(receives_.size());
  for (std::uint32_t i = 0; i < slots_.size(); ++i) post(i);
  for (Lane& lane : lanes_) agree(lane, payloads);
  for (std::uint32_t i = 0; i < slots_.size(); ++i) prepare_sends(i);
}

void Calls::agree(Lane& lane, std::span<const Payload> payloads) {
  Terms terms{.rank = static_cast<std::uint64_t>(setting_.world.rank()),
              .tag = static_cast<std::uint64_t>(lane.reply_tag),
              .places = lane.places,
              .labelled = made_->labelled,
              .opened = {lane.landing->address(), made_->replies.step()},
              .offsets = {},
              .sizes = {}};
  for (std::size_t i = 0; i < made_->replies.messages(); ++i) terms.offsets.push_back(made_->replies.offset(i));
  for (const Payload& payload : payloads) terms.sizes.push_back(sizes_of(payload));
  lane.control.say(Word::layout, terms.body());
  const Frame frame = hear(lane);
  if (frame.word == Word::refused) throw ChannelError("rank " + std::to_string(lane.rank) + " " + frame.body);
  const auto accepted = Accepted::read(frame.body);
  if (frame.word != Word::ready || !accepted) lost(lane, "it does not answer as a server does");
  lane.server = *accepted;
}

void Calls::post(std::uint32_t index) {
  Slot& slot = slots_[index];
  for (std::size_t i = 0; i < width(); ++i) {
    const int tag = slot.lane->reply_tag + static_cast<int>(slot.place * width() + i);
    void* into = landing(slot) + made_->replies.offset(i);
    std::uint64_t room = made_->replies.most(i);
    if (setting_.options.one_sided) into = &slot.told, room = sizeof slot.told;
    check(MPI_Recv_init(into, as_count(room), MPI_BYTE, slot.lane->mpi_rank, tag, setting_.world.comm(),
                        &receives_[index * width() + i]),
          "prepare a receive");
  }
}

void Calls::prepare_sends(std::uint32_t index) {
  const Slot& slot = slots_[index];
  for (std::uint32_t payload = 0; payload < made_->outgoing.size(); ++payload) {
    const std::size_t row = index * made_->outgoing.size() + payload;
    const std::size_t columns = column_of(made_->outgoing[payload].packing().messages.size());
    for (std::size_t column = 0; column < columns; ++column) {
      if (setting_.options.one_sided && column != kHead) continue;
      made_->sends.prepare(row, column, piece(index, payload, column), way(slot, column));
    }
  }
}

/// What goes out with a tag: without headers, the first two are for the same message.
Piece Calls::piece(std::uint32_t index, std::uint32_t payload, std::size_t column) const {
  const Outgoing& outgoing = made_->outgoing[payload];
  const std::byte* packed = staging(index) + kHeaderRoom;
  if (!made_->labelled) return outgoing.piece(column < 2 ? 0 : column - 1, packed);
  if (column != kHead) return outgoing.piece(column - 1, packed);
  const std::uint64_t behind = leads(outgoing.packing(), setting_.options) ? outgoing.packing().messages[0].size : 0;
  return {staging(index) + kHeaderAt, as_count(sizeof(Header) + behind), MPI_BYTE};
}

Sends::Way Calls::way(const Slot& slot, std::size_t column) const {
  const std::size_t width = column_of(made_->requests.messages());
  return {slot.lane->mpi_rank, static_cast<int>(slot.lane->server.tag + slot.place * width + column)};
}

/// What a reply with a payload brings.
const Packing& Calls::brought(const Call& call) const {
  return call.reply == Reply::recorded ? made_->answers[call.answer].packing()
                                       : made_->outgoing[call.payload].packing();
}

void Calls::call(const Call& call) {
  Slot& slot = slots_[call.slot];
  if (!slot.sends.empty()) finish_sends(slot);
  slot.asked = call;
  slot.bytes = 0;
  const bool notified = call.reply == Reply::acknowledge || setting_.options.one_sided;
  slot.missing = notified ? 1 : brought(call).messages.size();
  ++slot.lane->in_flight;
  if (made_->labelled) {
    const Header header{.payload = call.payload, .answer = call.answer, .reply = call.reply};
    std::memcpy(staging(call.slot) + kHeaderAt, &header, sizeof header);
  }
  made_->outgoing[call.payload].pack(staging(call.slot) + kHeaderRoom);
  setting_.options.one_sided ? put_all(call.slot, call) : send_all(call.slot, call);
  // Last, while the request is on its way.
  const std::size_t first = call.slot * width();
  for (std::size_t i = 0; i < slot.missing; ++i) check(MPI_Start(&receives_[first + i]), "start a receive");
}

void Calls::send(std::uint32_t slot, std::uint32_t payload, std::size_t column) {
  const std::size_t row = slot * made_->outgoing.size() + payload;
  slots_[slot].sends.push_back(
      made_->sends.start(row, column, piece(slot, payload, column), way(slots_[slot], column)));
}

void Calls::send_all(std::uint32_t slot, const Call& call) {
  const Packing& packing = made_->outgoing[call.payload].packing();
  std::size_t message = 0;
  if (made_->labelled) {
    send(slot, call.payload, kHead);
    message = leads(packing, setting_.options) ? 1 : 0;
  } else {
    send(slot, call.payload, call.reply == Reply::acknowledge ? kAcknowledged : kHead);
    message = 1;
  }
  for (; message < packing.messages.size(); ++message) send(slot, call.payload, column_of(message));
}

/// The notification goes when the bytes are there: MPI orders nothing between a put and a message.
void Calls::put_all(std::uint32_t index, const Call& call) {
  const Slot& slot = slots_[index];
  const Outgoing& outgoing = made_->outgoing[call.payload];
  const std::uint64_t base = slot.lane->server.opened.address + slot.place * slot.lane->server.opened.step;
  for (std::size_t i = 0; i < outgoing.packing().messages.size(); ++i) {
    const Piece piece = outgoing.piece(i, staging(index) + kHeaderRoom);
    put(setting_.window, piece, outgoing.packing().messages[i].size, slot.lane->mpi_rank,
        base + made_->requests.offset(i));
  }
  check(MPI_Win_flush(slot.lane->mpi_rank, setting_.window), "put a message");
  send(index, call.payload, kHead);
}

bool Calls::sent(Slot& slot) {
  int done = 1;
  check(MPI_Testall(static_cast<int>(slot.sends.size()), slot.sends.data(), &done, MPI_STATUSES_IGNORE), "send");
  if (done != 0) slot.sends.clear();
  return done != 0;
}

/// They are done as a rule, when the reply to what they carried is here.
void Calls::finish_sends(Slot& slot) {
  for (std::uint32_t looks = 1; !sent(slot); ++looks) {
    if (looks % kLooksPerCheck == 0 && slot.lane->control.ended()) lost(*slot.lane, "it closed the control connection");
  }
}

void Calls::arrived(std::size_t receive, const MPI_Status& status) {
  Slot& slot = slots_[receive / width()];
  int bytes = 0;
  MPI_Get_count(&status, MPI_BYTE, &bytes);
  slot.bytes += static_cast<std::uint64_t>(bytes);
  if (--slot.missing > 0) return;
  if (setting_.options.one_sided) {
    slot.bytes = slot.told;
  } else if (slot.asked.reply == Reply::acknowledge) {
    std::memcpy(&slot.bytes, landing(slot), sizeof slot.bytes);
  }
  --slot.lane->in_flight;
  finished_.push_back({slot.asked.slot, slot.bytes});
}

void Calls::look() {
  if (receives_.size() == 1) {
    int done = 0;
    check(MPI_Test(receives_.data(), &done, statuses_.data()), "receive");
    if (done != 0 && slots_[0].missing > 0) arrived(0, statuses_[0]);
    return;
  }
  int count = 0;
  check(MPI_Testsome(static_cast<int>(receives_.size()), receives_.data(), &count, indices_.data(), statuses_.data()),
        "receive");
  for (int i = 0; i < count; ++i) {  // none for MPI_UNDEFINED, which is negative
    arrived(static_cast<std::size_t>(indices_[static_cast<std::size_t>(i)]), statuses_[static_cast<std::size_t>(i)]);
  }
}

std::size_t Calls::take(std::span<Completion> done) {
  const std::size_t n = std::min(done.size(), finished_.size());
  if (n == 0) return 0;
  std::copy_n(finished_.begin(), n, done.begin());
  finished_.erase(finished_.begin(), finished_.begin() + static_cast<std::ptrdiff_t>(n));
  return n;
}

std::size_t Calls::wait(std::span<Completion> done, Nanoseconds timeout) {
  if (finished_.empty()) look();
  if (const std::size_t finished = take(done); finished > 0) return finished;
  if (++looks_ % kLooksPerCheck == 0) check_lanes();
  if (timeout == 0) return 0;
  const SteadyClock clock;
  const Nanoseconds deadline = clock.now() + timeout;
  for (backoff_.reset();;) {
    look();
    if (const std::size_t finished = take(done); finished > 0) return finished;
    const Nanoseconds left = deadline - clock.now();
    if (left <= 0) return 0;
    pause(std::min(left, setting_.spins ? 0 : backoff_.next()));
  }
}

/// Sleeps for so long, or until something is on a control connection: that tells of an end.
void Calls::pause(Nanoseconds time) {
  if (time == 0) {
    if (++looks_ % kLooksPerCheck == 0) check_lanes();
    if (!setting_.spins) sched_yield();
    return;
  }
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    polled_[i] = {.fd = lanes_[i].in_flight > 0 ? lanes_[i].control.fd() : -1, .events = POLLIN, .revents = 0};
  }
  const timespec limit{.tv_sec = time / 1_s, .tv_nsec = time % 1_s};
  if (ppoll(polled_.data(), polled_.size(), &limit, nullptr) > 0) check_lanes();
}

void Calls::check_lanes() {
  for (const Lane& lane : lanes_) {
    if (lane.in_flight > 0 && lane.control.ended()) lost(lane, "it closed the control connection");
  }
}

void Calls::reply(std::uint32_t index, const Caller::Sink& sink) {
  const Slot& slot = slots_[index];
  const Call& asked = slot.asked;
  if (asked.reply == Reply::acknowledge) return sink(std::as_bytes(std::span(&slot.bytes, 1)));
  const Packing& packing = brought(asked);
  for (const Packing::Stretch& buffer : packing.buffers) {
    if (buffer.size > 0) sink({landing(slot) + made_->replies.offset(buffer.message) + buffer.offset, buffer.size});
  }
}

bool Calls::leave() {
  const SteadyClock clock;
  const Nanoseconds deadline = clock.now() + std::min(setting_.timeout, kLeavingPatience);
  try {
    std::vector<Completion> done(slots_.size() + 1);
    const auto busy = [&] {
      return std::any_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.in_flight > 0; });
    };
    while (busy() && clock.now() < deadline) wait(done, 10_ms);
    for (Slot& slot : slots_) {
      while (!sent(slot) && clock.now() < deadline) check_lanes();
    }
    for (Lane& lane : lanes_) part_from(lane, deadline);
  } catch (const ChannelError&) {  // it is gone already
  }
  bool settled = cancel(receives_);
  for (const Slot& slot : slots_) settled = settled && slot.sends.empty() && slot.lane->in_flight == 0;
  return settled;
}

/// The server may need this end's help to end what is under way.
void Calls::part_from(Lane& lane, Nanoseconds deadline) {
  const SteadyClock clock;
  lane.control.say(Word::bye);
  while (clock.now() < deadline) {
    look();
    if (const auto frame = lane.control.heard(); frame && frame->word == Word::closed) break;
    pollfd waiting{.fd = lane.control.fd(), .events = POLLIN, .revents = 0};
    poll(&waiting, 1, 1);
  }
}

}  // namespace tensorwire::mpi

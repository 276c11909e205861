#include "channels/ucx_server.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "channels/ucx_connection.h"
#include "core/errors.h"

namespace tensorwire::ucx {
namespace {

constexpr std::uint32_t kMostConnections = 1u << Label::kConnectionBits;
constexpr std::uint32_t kTurnsPerLook = 1024;  // while there is something to do, or where it polls
constexpr Nanoseconds kEndingPatience = 1_s;

// What an event is about; below these, it is the number of a connection.
constexpr std::uint64_t kWorker = ~std::uint64_t{0};
constexpr std::uint64_t kListening = kWorker - 1;
constexpr std::uint64_t kStop = kWorker - 2;

}  // namespace

/// All that the serving thread has, and that UCX may refer to.
class Service final : public Receiver {
 public:
  Service(std::shared_ptr<const Context> context, const Opening& opening, Routes& routes);

  void run();
  void stop() const;
  /// Ends what is under way. False when UCX still has something of a peer that is gone.
  bool leave();

  const Address& address() const { return address_; }
  Served served() const;
  void answer_with(std::span<const Payload> answers);

  Place* place_of(const Label& label) noexcept override;
  void arrived(Place& place) noexcept override;

 private:
  void watch(int fd, std::uint64_t what) const;
  void look(int timeout_ms);
  void admit();
  void attend(std::uint32_t number);
  void hear(std::uint32_t number, const Frame& frame);
  void agree(Connection& connection, const std::string& body);
  bool settled(Connection& connection);
  void part_from(std::uint32_t number);
  void drop(std::uint32_t number);
  void drop_failed();
  std::shared_ptr<const Outgoings> answers() const;

  std::shared_ptr<const Context> context_;
  Routes& routes_;
  Socket listening_;
  Address address_;
  Socket stop_;
  Socket events_;
  bool stopping_ = false;
  std::atomic<std::uint64_t> calls_ = 0;
  std::atomic<std::uint64_t> bytes_ = 0;
  mutable std::mutex mutex_;  // guards `answers_`
  std::shared_ptr<const Outgoings> answers_;
  std::vector<std::unique_ptr<Connection>> connections_;  // by number; null where it is free
  std::vector<std::unique_ptr<Connection>> gone_;         // of which UCX still has something
  Worker worker_;                                         // goes first: what it moves must be there until then
};

Service::Service(std::shared_ptr<const Context> context, const Opening& opening, Routes& routes)
    : context_(std::move(context)),
      routes_(routes),
      listening_(listen_at(address_of(opening.host, opening.port, opening.rank))),
      stop_(eventfd(0, EFD_CLOEXEC)),
      events_(epoll_create1(EPOLL_CLOEXEC)),
      worker_(context_, *this) {
  address_ = {.control = bound_address(listening_, address_of(opening.host, opening.port, opening.rank)),
              .worker = worker_.address()};
  watch(stop_.fd(), kStop);
  watch(listening_.fd(), kListening);
  if (worker_.event_fd() >= 0) watch(worker_.event_fd(), kWorker);
}

void Service::watch(int fd, std::uint64_t what) const {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = what}};
  if (epoll_ctl(events_.fd(), EPOLL_CTL_ADD, fd, &event) != 0) {
    throw ChannelError("cannot wait for a file: " + error_text(errno));
  }
}

void Service::stop() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(stop_.fd(), &one, sizeof one);
}

void Service::run() {
  for (std::uint32_t turn = 1; !stopping_; ++turn) {
    const bool busy = worker_.progress();
    if (turn % kTurnsPerLook == 0) {
      look(0);
    } else if (!busy && !context_->spins() && worker_.arm()) {
      look(-1);
    }
  }
}

void Service::look(int timeout_ms) {
  std::array<epoll_event, 64> events;
  const int n = epoll_wait(events_.fd(), events.data(), static_cast<int>(events.size()), timeout_ms);
  for (int i = 0; i < n; ++i) {
    const std::uint64_t what = events[static_cast<std::size_t>(i)].data.u64;
    if (what == kStop) {
      stopping_ = true;
    } else if (what == kListening) {
      admit();
    } else if (what != kWorker) {
      attend(static_cast<std::uint32_t>(what));
    }
  }
  drop_failed();
}

void Service::admit() {
  Socket socket(accept4(listening_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  if (socket.fd() < 0) {
    if (errno == EINTR || errno == ECONNABORTED) return;
    return listening_.shut_down();  // out of descriptors or memory: who comes next is turned away, not left waiting
  }
  const auto free = std::find(connections_.begin(), connections_.end(), nullptr);
  const auto number = static_cast<std::uint32_t>(free - connections_.begin());
  if (number >= kMostConnections) return;
  if (free == connections_.end()) connections_.emplace_back();
  const int fd = socket.fd();
  connections_[number] = std::make_unique<Connection>(context_, worker_, std::move(socket));
  watch(fd, number);
}

void Service::attend(std::uint32_t number) {
  if (number >= connections_.size() || !connections_[number]) return;
  try {
    while (connections_[number]) {
      const auto frame = connections_[number]->control().heard();
      if (!frame) return;
      hear(number, *frame);
    }
  } catch (const ChannelError&) {  // it is gone, or is none of ours
    drop(number);
  }
}

void Service::hear(std::uint32_t number, const Frame& frame) {
  Connection& connection = *connections_[number];
  if (connection.greeted() == (frame.word == Word::hello)) throw PeerLost("it says things in another order");
  switch (frame.word) {
    case Word::hello:
      return connection.greet(number, frame.body);
    case Word::layout:
      return agree(connection, frame.body);
    case Word::route:
      routes_.add(read_written(frame.body));
      return connection.control().say(Word::noted);
    case Word::bye:
      return part_from(number);
    default:
      throw PeerLost("it says what only a server says");
  }
}

void Service::agree(Connection& connection, const std::string& body) {
  const auto layout = Layout::read(body);
  if (!layout) throw PeerLost("it tells no layout");
  connection.cancel();
  if (!settled(connection)) throw PeerLost("it prepares while calls are in flight");
  try {
    connection.expect(*layout, answers());
  } catch (const std::bad_alloc&) {
    return connection.control().say(Word::refused, "it could not get the memory for the payloads");
  } catch (const ChannelError& wrong) {
    return connection.control().say(Word::refused, wrong.what());
  }
  connection.control().say(Word::ready);
}

/// Waits for what is under way with a caller, who helps.
bool Service::settled(Connection& connection) {
  const SteadyClock clock;
  const Nanoseconds deadline = clock.now() + kEndingPatience;
  while (connection.under_way()) {
    if (!worker_.progress() && clock.now() > deadline) return false;
  }
  return true;
}

void Service::part_from(std::uint32_t number) {
  Connection& connection = *connections_[number];
  connection.cancel();
  if (!settled(connection)) throw PeerLost("it leaves with calls in flight");
  connection.close();
  connection.control().say(Word::closed);
  connections_[number].reset();
}

/// Without taking leave, of somebody who did not either. What UCX still has of it stays until all ends.
void Service::drop(std::uint32_t number) {
  std::unique_ptr<Connection> connection = std::move(connections_[number]);
  epoll_ctl(events_.fd(), EPOLL_CTL_DEL, connection->control().fd(), nullptr);
  connection->control().shut_down();
  connection->cancel();
  gone_.push_back(std::move(connection));
}

void Service::drop_failed() {
  for (std::uint32_t number = 0; number < connections_.size(); ++number) {
    if (connections_[number] && connections_[number]->endpoint().failure != UCS_OK) drop(number);
  }
}

Place* Service::place_of(const Label& label) noexcept {
  if (label.connection >= connections_.size() || !connections_[label.connection]) return nullptr;
  return connections_[label.connection]->place_of(label);
}

void Service::arrived(Place& place) noexcept {
  Connection& connection = *connections_[place.label.connection];
  if (!connection.can_answer(place)) {
    place.endpoint().failure = UCS_ERR_INVALID_PARAM;
    connection.control().shut_down();  // wakes this thread, which then drops it
    return;
  }
  // Only this thread counts: others read.
  calls_.store(calls_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  bytes_.store(bytes_.load(std::memory_order_relaxed) + place.bytes(), std::memory_order_relaxed);
  connection.answer(place);
}

Served Service::served() const {
  return {
      .calls = calls_.load(std::memory_order_relaxed), .bytes = bytes_.load(std::memory_order_relaxed), .spent = {}};
}

void Service::answer_with(std::span<const Payload> answers) {
  auto given = std::make_shared<const Outgoings>(context_, answers);
  const std::lock_guard lock(mutex_);
  answers_ = std::move(given);
}

std::shared_ptr<const Outgoings> Service::answers() const {
  const std::lock_guard lock(mutex_);
  return answers_;
}

bool Service::leave() {
  for (std::uint32_t number = 0; number < connections_.size(); ++number) {
    if (connections_[number]) drop(number);
  }
  const SteadyClock clock;
  const Nanoseconds deadline = clock.now() + kEndingPatience;
  const auto busy = [&] {
    return std::any_of(gone_.begin(), gone_.end(), [](const auto& each) { return each->under_way(); });
  };
  while (busy() && clock.now() < deadline) worker_.progress();
  return !busy();
}

Server::Server(std::shared_ptr<const Context> context, const Opening& opening, Routes& routes)
    : service_(std::make_shared<Service>(std::move(context), opening, routes)),
      thread_([service = service_.get()] { service->run(); }) {}

Server::~Server() {
  service_->stop();
  thread_.join();
  if (!service_->leave()) keep_for_good(std::move(service_));
}

Address Server::address() const { return service_->address(); }
Served Server::served() const { return service_->served(); }
void Server::answer_with(std::span<const Payload> answers) { service_->answer_with(answers); }

}  // namespace tensorwire::ucx

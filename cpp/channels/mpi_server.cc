#include "channels/mpi_server.h"

#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <list>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "channels/mpi_connection.h"
#include "core/errors.h"

namespace tensorwire::mpi {
namespace {

// While there is something to do, or where it polls, sockets are looked at now and then.
constexpr std::uint32_t kTurnsPerGlance = 64;
constexpr Nanoseconds kBetweenLooks = 1_ms;
constexpr Nanoseconds kForever = -1;

}  // namespace

/// All that the serving thread has, and that MPI may refer to.
class Service final : public Tally {
 public:
  Service(const Setting& setting, Socket listening)
      : setting_(setting), listening_(std::move(listening)), stop_(eventfd(0, EFD_CLOEXEC)) {}

  void run();
  void stop() const;
  /// Ends what is under way. False when MPI still has something of a peer that is gone.
  bool leave();

  Served served() const;
  void answer_with(std::span<const Payload> answers);
  void count(std::uint64_t bytes) override;

 private:
  bool progress();
  void look(Nanoseconds timeout);
  void admit();
  enum class Guest { stays, left, lost };
  Guest attend(Connection& connection);
  void hear(Connection& connection, const Frame& frame);
  void agree(Connection& connection, const std::string& body);
  void drop(std::list<Connection>::iterator connection);
  std::shared_ptr<const Outgoings> answers() const;

  Setting setting_;
  Socket listening_;
  Socket stop_;
  bool stopping_ = false;
  Backoff backoff_;
  std::atomic<std::uint64_t> calls_ = 0;
  std::atomic<std::uint64_t> bytes_ = 0;
  mutable std::mutex mutex_;  // guards `answers_`
  std::shared_ptr<const Outgoings> answers_;
  std::list<Connection> connections_;
  std::list<Connection> gone_;  // of which MPI still has something
  std::vector<pollfd> polled_;
};

void Service::stop() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(stop_.fd(), &one, sizeof one);
}

void Service::run() {
  prctl(PR_SET_TIMERSLACK, 1000UL);  // short sleeps are to be as short as they are meant
  const SteadyClock clock;
  Nanoseconds looked = 0;
  for (std::uint32_t turn = 1; !stopping_; ++turn) {
    if (progress()) {
      backoff_.reset();
    } else if (connections_.empty()) {
      look(kForever);
      continue;
    } else if (!setting_.spins) {
      if (const Nanoseconds sleep = backoff_.next(); sleep > 0) {
        look(sleep);
        continue;
      }
      sched_yield();
    }
    if (turn % kTurnsPerGlance == 0 && clock.now() > looked + kBetweenLooks) {
      look(0);
      looked = clock.now();
    }
  }
}

bool Service::progress() {
  bool any = false;
  for (auto each = connections_.begin(); each != connections_.end();) {
    const auto connection = each++;
    try {
      any |= connection->progress();
    } catch (const ChannelError&) {  // it is none of ours, or MPI cannot go on with it
      drop(connection);
    }
  }
  return any;
}

void Service::look(Nanoseconds timeout) {
  polled_.clear();
  polled_.push_back({.fd = stop_.fd(), .events = POLLIN, .revents = 0});
  polled_.push_back({.fd = listening_.fd(), .events = POLLIN, .revents = 0});
  for (Connection& each : connections_) polled_.push_back({.fd = each.control().fd(), .events = POLLIN, .revents = 0});
  const timespec limit{.tv_sec = timeout / 1_s, .tv_nsec = timeout % 1_s};
  if (ppoll(polled_.data(), polled_.size(), timeout == kForever ? nullptr : &limit, nullptr) <= 0) return;
  stopping_ = polled_[0].revents != 0;
  auto each = connections_.begin();
  for (std::size_t i = 2; i < polled_.size(); ++i) {
    const auto connection = each++;
    if (polled_[i].revents == 0) continue;
    const Guest now = attend(*connection);
    if (now == Guest::left) connections_.erase(connection);
    if (now == Guest::lost) drop(connection);
  }
  if (polled_[1].revents != 0) admit();
}

void Service::admit() {
  Socket socket(accept4(listening_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  if (socket.fd() < 0) {
    if (errno == EINTR || errno == ECONNABORTED) return;
    listening_ = Socket();  // out of descriptors or memory: who comes next is turned away, not left waiting
    return;
  }
  connections_.emplace_back(setting_, *this, std::move(socket));
}

/// What has become of a caller that said something. One that is none of ours is lost.
Service::Guest Service::attend(Connection& connection) {
  try {
    while (const auto frame = connection.control().heard()) {
      if (frame->word != Word::bye) {
        hear(connection, *frame);
        continue;
      }
      if (!connection.end()) return Guest::lost;
      connection.control().say(Word::closed);
      return Guest::left;
    }
  } catch (const ChannelError&) {
    return Guest::lost;
  }
  return Guest::stays;
}

void Service::hear(Connection& connection, const Frame& frame) {
  switch (frame.word) {
    case Word::hello:
      return connection.control().say(Word::welcome,
                                      ucx::number_body(static_cast<std::uint64_t>(setting_.world.rank())));
    case Word::layout:
      return agree(connection, frame.body);
    default:
      throw PeerLost("it says what only a server says");
  }
}

void Service::agree(Connection& connection, const std::string& body) {
  const auto terms = Terms::read(body);
  if (!terms) throw PeerLost("it tells no terms");
  try {
    connection.control().say(Word::ready, connection.expect(*terms, answers()).body());
  } catch (const std::bad_alloc&) {
    connection.control().say(Word::refused, "could not get the memory for the payloads");
  } catch (const PeerLost&) {
    throw;
  } catch (const ChannelError& wrong) {
    connection.control().say(Word::refused, wrong.what());
  }
}

/// Without taking leave, of somebody who did not either.
void Service::drop(std::list<Connection>::iterator connection) {
  connection->control().shut_down();
  if (connection->end()) {
    connections_.erase(connection);
  } else {
    gone_.splice(gone_.end(), connections_, connection);
  }
}

void Service::count(std::uint64_t bytes) {
  calls_.fetch_add(1, std::memory_order_relaxed);
  bytes_.fetch_add(bytes, std::memory_order_relaxed);
}

Served Service::served() const {
  return {
      .calls = calls_.load(std::memory_order_relaxed), .bytes = bytes_.load(std::memory_order_relaxed), .spent = {}};
}

void Service::answer_with(std::span<const Payload> answers) {
  auto given = std::make_shared<const Outgoings>(answers, setting_.options, false);
  const std::lock_guard lock(mutex_);
  answers_ = std::move(given);
}

std::shared_ptr<const Outgoings> Service::answers() const {
  const std::lock_guard lock(mutex_);
  if (answers_) return answers_;
  return std::make_shared<const Outgoings>(std::span<const Payload>(), setting_.options, false);
}

bool Service::leave() {
  while (!connections_.empty()) drop(connections_.begin());
  return gone_.empty();
}

Server::Server(const Setting& setting, Socket listening)
    : setting_(setting), service_(std::make_shared<Service>(setting, std::move(listening))) {
  thread_ = std::thread([service = service_.get()] { service->run(); });
}

Server::~Server() {
  service_->stop();
  thread_.join();
  if (!service_->leave()) keep_for_good(setting_.world, std::move(service_));
}

Served Server::served() const { return service_->served(); }
void Server::answer_with(std::span<const Payload> answers) { service_->answer_with(answers); }

}  // namespace tensorwire::mpi

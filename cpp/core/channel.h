// The seam every stack under test is put behind. A channel moves bytes: it never warms up,
// repeats, times or prints.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "core/clock.h"
#include "core/collective.h"
#include "core/payload.h"

namespace tensorwire {

/// What the serving side sends back: the payload itself, the number of bytes it received, or one of the answers that
/// it was given.
enum class Reply : std::uint8_t { echo, acknowledge, recorded };

/// One call to start: the place in flight it takes, which prepared payload it carries, and
/// the reply it asks for.
struct Call {
  std::uint32_t slot;
  std::uint32_t payload;
  Reply reply;
  std::uint32_t answer = 0;  // which of the answers, where the reply is recorded
};

/// A call that came back. `received` is the payload bytes the peer echoed, or said that it
/// received; anything but the payload's size means that bytes were lost on the way. Of a recorded reply it is the
/// payload bytes that came back, which must be those of the answer.
struct Completion {
  std::uint32_t slot;
  std::uint64_t received;
};

/// Time spent turning buffers into a message and back, apart from moving it.
struct Serialization {
  Nanoseconds serialize = 0;
  Nanoseconds deserialize = 0;
};

/// What a rank has served since it opened its channel.
struct Served {
  std::uint64_t calls = 0;
  std::uint64_t bytes = 0;
  Serialization spent;
};

/// Effective settings and library versions, by name, as they turned out to be.
using Settings = std::map<std::string, std::string>;

/// Starts calls and collects replies for one thread. Slot `i` always talks to the peer it was
/// given when the caller was made, and has at most one call in flight.
class Caller {
 public:
  using Sink = std::function<void(std::span<const std::byte>)>;

  virtual ~Caller() = default;

  /// Makes everything that the payloads need before the clock starts: slices, registration,
  /// receive buffers at the peer. `answers` are what recorded replies may bring, with the bytes that every peer answers
  /// with; one may be empty, and none are given where no call asks for one. Both outlive the next `prepare`.
  virtual void prepare(std::span<const Payload> payloads, std::span<const Payload> answers) = 0;

  /// Starts a call; returns without waiting for the reply.
  virtual void call(Call call) = 0;

  /// Waits until at least one call came back, at most `timeout` (0: looks once). Writes up to
  /// `done.size()` completions and returns how many; 0 when the time is up.
  /// Throws PeerLost when a peer went away.
  virtual std::size_t wait(std::span<Completion> done, Nanoseconds timeout) = 0;

  /// Hands the payload bytes of the slot's last reply to `sink`, in order and in as many pieces as
  /// they lie in. Valid after the slot completed, until the next `call` or `wait`.
  virtual void reply(std::uint32_t slot, const Sink& sink) = 0;

  /// Cumulative time spent on serialization; zeros where there is none.
  virtual Serialization spent() const { return {}; }
};

/// One stack, open on one rank. It serves (where the plan says so) from when it is opened until
/// it is destroyed, on threads of its own.
class Channel {
 public:
  virtual ~Channel() = default;

  /// A caller whose slot `i` talks to rank `slots[i]`.
  virtual std::unique_ptr<Caller> caller(std::span<const std::uint32_t> slots) = 0;

  /// What calls that ask for a recorded reply are answered with, by index; they outlive the next `answer_with`, or the
  /// channel. Called on every rank before any caller prepares, when nothing is in flight. An index that is not there is
  /// a stranger's: it fails that call, and nothing else.
  virtual void answer_with(std::span<const Payload> answers) = 0;

  /// Cumulative counts of the serving side; zeros where the rank does not serve.
  virtual Served served() const = 0;

  virtual Settings settings() const = 0;

  /// A caller of one slot whose call is this rank's part in a collective operation, and whose recorded reply is what
  /// the rank finds when its part is over. It is prepared with one payload, what the rank brings, and one answer, what
  /// it must find. The first call after `prepare` brings the payload; where a stack works in place, later ones bring
  /// what the one before left. Every rank calls as often as the others, and waits for each call. A stack without
  /// collectives throws ChannelError; its settings have no `collective`, which else is native, or emulated and by what.
  virtual std::unique_ptr<Caller> collective(const Collective& part);
};

}  // namespace tensorwire

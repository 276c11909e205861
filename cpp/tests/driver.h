// The driver's side of a rendezvous, for one rank, without its deadlines.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <future>
#include <string>
#include <vector>

#include "channels/socket.h"

namespace tensorwire {

/// One rank's connection, as the driver sees it.
class Guest {
 public:
  explicit Guest(const Socket& listening) : socket_(accept(listening.fd(), nullptr, nullptr)) {
    say(std::string("C") + kChallenge);
    hello_ = hear();
    say("W");
  }

  static constexpr const char* kChallenge = "who are you?";

  /// What it answered.
  const std::string& hello() const { return hello_; }

  /// The next frame; empty when the rank is gone.
  std::string hear() const {
    std::uint32_t length = 0;
    if (recv(socket_.fd(), &length, sizeof length, MSG_WAITALL) != sizeof length) return "";
    std::string frame(length, '\0');
    recv(socket_.fd(), frame.data(), length, MSG_WAITALL);
    return frame;
  }

  void say(const std::string& frame) const { say_raw(length_of(frame) + frame); }
  void say_raw(const std::string& bytes) const { send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }

  void share(const std::vector<std::string>& blobs) const {
    std::string frame = "G";
    for (const std::string& blob : blobs) frame += length_of(blob) + blob;
    say(frame);
  }

  static std::string length_of(const std::string& bytes) {
    const auto length = static_cast<std::uint32_t>(bytes.size());
    std::string text(sizeof length, '\0');
    std::memcpy(text.data(), &length, sizeof length);
    return text;
  }

 private:
  Socket socket_;
  std::string hello_;
};

/// Listens, and does with the rank that comes as the script says. Returns what the script returns, once it is over.
class Driver {
 public:
  using Script = std::function<std::vector<std::string>(const Guest&)>;

  explicit Driver(Script script) : listening_(listen_at("127.0.0.1:0")) {
    heard_ = std::async(std::launch::async, [this, script = std::move(script)] {
      const Guest guest(listening_);
      return script(guest);
    });
  }

  std::string address() const { return bound_address(listening_, "127.0.0.1:0"); }
  std::vector<std::string> heard() { return heard_.get(); }

 private:
  Socket listening_;
  std::future<std::vector<std::string>> heard_;
};

}  // namespace tensorwire

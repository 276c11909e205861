#include "python/python_channel.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <utility>

#include "core/errors.h"

namespace nb = nanobind;

namespace tensorwire {
namespace {

/// Runs a step in Python, with the GIL, and turns what goes wrong into the core's exceptions.
template <class Step>
auto in_python(Step step) {
  const nb::gil_scoped_acquire gil;
  try {
    return step();
  } catch (const nb::python_error& error) {
    rethrow(error);
  } catch (const nb::cast_error&) {
    throw ChannelError("the channel's Python half returned something of another type than its seam has");
  }
}

/// Python objects must be let go with the GIL held.
class Held {
 public:
  explicit Held(nb::object object) : object_(std::move(object)) {}
  Held(Held&&) = default;
  Held& operator=(Held&&) = delete;
  ~Held() {
    const nb::gil_scoped_acquire gil;
    object_.reset();
  }
  nb::object get() const { return object_; }
  auto attr(const char* name) const { return object_.attr(name); }

 private:
  nb::object object_;
};

nb::object view(Bytes bytes) {
  return nb::steal(PyMemoryView_FromMemory(reinterpret_cast<char*>(const_cast<std::byte*>(bytes.data())),
                                           static_cast<Py_ssize_t>(bytes.size()), PyBUF_READ));
}

/// A list of payloads, each a list of its buffers.
nb::list views(std::span<const Payload> payloads) {
  nb::list all;
  for (const Payload& payload : payloads) {
    nb::list buffers;
    for (const Bytes buffer : payload.buffers) buffers.append(view(buffer));
    all.append(buffers);
  }
  return all;
}

/// As tensorwire.channels.python.Part has it.
nb::object describe(const Collective& part) {
  static constexpr const char* names[] = {"all-reduce", "all-gather",   "reduce-scatter",
                                          "all-to-all", "all-to-all-v", "broadcast"};
  nb::list to;
  nb::list from;
  for (std::uint32_t peer = 0; peer < part.size; ++peer) {
    to.append(part.to(peer));
    from.append(part.from(peer));
  }
  return nb::module_::import_("types").attr("SimpleNamespace")(
      nb::arg("operation") = names[static_cast<std::size_t>(part.operation)], nb::arg("rank") = part.rank,
      nb::arg("size") = part.size, nb::arg("sent") = part.sent(), nb::arg("received") = part.received(),
      nb::arg("to") = to, nb::arg("from_") = from);
}

class PythonCaller final : public Caller {
 public:
  PythonCaller(nb::object caller, std::size_t slots)
      : caller_(caller),
        call_(nb::object(caller.attr("call"))),
        wait_(nb::object(caller.attr("wait"))),
        echo_(nb::str("echo")),
        acknowledge_(nb::str("acknowledge")),
        slots_(slots) {}

  void prepare(std::span<const Payload> payloads, std::span<const Payload> answers) override {
    in_python([&] { caller_.attr("prepare")(views(payloads), views(answers)); });
  }

  void call(Call call) override {
    in_python([&] {
      switch (call.reply) {
        case Reply::echo:
          call_.get()(call.slot, call.payload, echo_.get());
          break;
        case Reply::acknowledge:
          call_.get()(call.slot, call.payload, acknowledge_.get());
          break;
        case Reply::recorded:
          call_.get()(call.slot, call.payload, call.answer);
      }
    });
  }

  std::size_t wait(std::span<Completion> done, Nanoseconds timeout) override {
    return in_python([&] {
      std::size_t n = 0;
      for (const nb::handle each : wait_.get()(done.size(), timeout)) {
        const auto [slot, received] = nb::cast<std::pair<std::uint32_t, std::uint64_t>>(each);
        if (n == done.size()) throw ChannelError("wait returned more completions than it was asked for");
        if (slot >= slots_) throw ChannelError("wait returned slot " + std::to_string(slot) + ", which is not there");
        done[n++] = {slot, received};
      }
      return n;
    });
  }

  void reply(std::uint32_t slot, const Sink& sink) override {
    in_python([&] {
      for (const nb::handle piece : caller_.attr("reply")(slot)) {
        const auto bytes = nb::cast<nb::bytes>(piece);
        sink({static_cast<const std::byte*>(bytes.data()), bytes.size()});
      }
    });
  }

 private:
  Held caller_;
  Held call_;
  Held wait_;
  Held echo_;
  Held acknowledge_;
  std::size_t slots_;
};

class PythonChannel final : public Channel {
 public:
  explicit PythonChannel(nb::object channel) : channel_(std::move(channel)) {}
  ~PythonChannel() override {
    const nb::gil_scoped_acquire gil;
    try {
      channel_.attr("close")();
    } catch (nb::python_error& error) {
      error.discard_as_unraisable("closing the channel");
    }
  }

  std::unique_ptr<Caller> caller(std::span<const std::uint32_t> slots) override {
    return in_python([&] {
      const std::vector<std::uint32_t> peers(slots.begin(), slots.end());
      return python_caller(nb::object(channel_.attr("caller")(peers)), peers.size());
    });
  }

  void answer_with(std::span<const Payload> answers) override {
    in_python([&] { channel_.attr("answer_with")(views(answers)); });
  }

  Served served() const override {
    const auto [calls, bytes] =
        in_python([&] { return nb::cast<std::pair<std::uint64_t, std::uint64_t>>(channel_.attr("served")()); });
    return {.calls = calls, .bytes = bytes, .spent = {}};
  }

  std::unique_ptr<Caller> collective(const Collective& part) override {
    return in_python([&] { return python_caller(nb::object(channel_.attr("collective")(describe(part))), 1); });
  }

  Settings settings() const override {
    return in_python([&] { return nb::cast<Settings>(channel_.attr("settings")()); });
  }

 private:
  Held channel_;
};

nb::object describe(const Opening& opening) {
  const nb::object options = nb::module_::import_("json").attr("loads")(opening.options.dump());
  return nb::module_::import_("types").attr("SimpleNamespace")(
      nb::arg("rank") = opening.rank, nb::arg("size") = opening.size, nb::arg("serves") = opening.serves,
      nb::arg("host") = opening.host, nb::arg("port") = opening.port, nb::arg("serialized") = opening.serialized,
      nb::arg("spin") = opening.spin, nb::arg("timeout_ns") = opening.timeout, nb::arg("options") = options);
}

}  // namespace

void rethrow(const nb::python_error& error) {
  if (!error.matches(PyExc_Exception)) throw error;
  const std::string type = nb::cast<std::string>(nb::str(error.type().attr("__name__")));
  const std::string what = nb::cast<std::string>(nb::str(error.value()));
  if (type == "PeerLost") throw PeerLost(what);
  if (type == "TransferTimeout") throw TransferTimeout(what);
  if (type == "WrongBytes") throw WrongBytes(what);
  if (type == "AddressInUse") throw AddressInUse(what);
  if (type == "ChannelUnavailable") throw ChannelUnavailable(what);
  throw ChannelError(type == "ChannelError" ? what : type + ": " + what);
}

std::unique_ptr<Channel> open_python(nb::handle open, const Opening& opening, Rendezvous& rendezvous) {
  return in_python([&] {
    const auto all_gather = [&rendezvous](const nb::bytes& blob) {
      const std::string_view bytes(blob.c_str(), blob.size());
      std::vector<std::string> blobs;
      {
        const nb::gil_scoped_release free;
        blobs = rendezvous.all_gather(bytes);
      }
      nb::list gathered;
      for (const std::string& each : blobs) gathered.append(nb::bytes(each.data(), each.size()));
      return gathered;
    };
    return std::make_unique<PythonChannel>(nb::object(open(describe(opening), nb::cpp_function(all_gather))));
  });
}

std::unique_ptr<Caller> python_caller(nb::object caller, std::size_t slots) {
  return std::make_unique<PythonCaller>(std::move(caller), slots);
}

}  // namespace tensorwire

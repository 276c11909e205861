// tensorwire._core: runs a rank whose channel is written in Python over the core's own loops.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <exception>
#include <string>

#include "channels/socket.h"
#include "core/errors.h"
#include "python/python_channel.h"
#include "rank/process.h"
#include "rank/rank.h"

namespace nb = nanobind;

namespace tensorwire {
namespace {

void run(const std::string& plan, std::uint32_t rank, const std::string& token, const nb::object& open,
         const nb::object& null_caller) {
  const nb::gil_scoped_release free;
  const Stack stack{
      .open = [&](const Opening& opening, Rendezvous& rendezvous) { return open_python(open, opening, rendezvous); },
      .null_caller =
          [&](std::uint32_t slots) {
            const nb::gil_scoped_acquire gil;
            return python_caller(nb::object(null_caller()), slots);
          },
  };
  run_rank(plan, rank, token, stack);
}

/// The core's exceptions become those of tensorwire.errors with the same names.
void translate(const std::exception_ptr& thrown, void*) {
  try {
    std::rethrow_exception(thrown);
  } catch (const ChannelError& error) {
    const nb::object type = nb::module_::import_("tensorwire.errors").attr(error.type());
    PyErr_SetString(type.ptr(), error.what());
  }
}

}  // namespace
}  // namespace tensorwire

NB_MODULE(_core, module) {
  nb::register_exception_translator(tensorwire::translate);
  module.def(
      "run_rank", &tensorwire::run, nb::arg("plan"), nb::arg("rank"), nb::arg("token"), nb::arg("open"),
      nb::arg("null_caller"),
      "Runs one rank of a plan file. `open(opening, all_gather)` opens its channel, `null_caller()` makes a caller "
      "that moves nothing. Raises ChannelError when the channel cannot be opened, PeerLost when the driver is gone.");
  module.def("interface_of", &tensorwire::interface_of, nb::arg("host"),
             "The network interface that has the address `host`, such as lo; None when none has.");
  module.def("die_with", &tensorwire::die_with, nb::arg("parent"),
             "Has the kernel end this process with its parent; False when the parent is not `parent` any more.");
}

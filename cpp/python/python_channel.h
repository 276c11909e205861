// A channel written in Python, behind the seam of the core: each call steps into Python and back.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>

#include "channels/open.h"

namespace tensorwire {

/// Opens a Python channel: `open(opening, all_gather)`. The GIL is held only inside the steps.
std::unique_ptr<Channel> open_python(nanobind::handle open, const Opening& opening, Rendezvous& rendezvous);

/// A Python caller of so many slots that was made already.
std::unique_ptr<Caller> python_caller(nanobind::object caller, std::size_t slots);

/// The core's name for a Python exception: the tree of tensorwire.errors is mirrored in core/errors.h. What is no error
/// of the channel, such as KeyboardInterrupt, is thrown on as it is.
[[noreturn]] void rethrow(const nanobind::python_error& error);

}  // namespace tensorwire

// What this process asks of the host before it opens a channel, and what it finds that it got.
#pragma once

#include <string>
#include <vector>

#include "core/channel.h"

namespace tensorwire {

/// Has the kernel kill this process when its parent ends. Returns false when the parent is not `parent` any more.
bool die_with(int parent);

/// Restricts all threads to these cores. Throws std::runtime_error when the host has not got them.
void pin_to(const std::vector<int>& cores);

/// Keeps freed memory instead of giving it back: with glibc's default thresholds a large slice is unmapped and
/// faulted in again for every message.
void tune_malloc();

/// Sets the congestion control of every TCP socket this process holds, whatever library opened it.
/// Throws ChannelError when the kernel does not know the name.
void set_congestion(const std::string& name);

/// The congestion control that its TCP sockets really use (several are joined by a comma), and their buffer sizes.
Settings socket_settings();

/// The cores it may run on.
std::vector<int> allowed_cores();

}  // namespace tensorwire

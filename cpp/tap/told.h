// What a process was told about its place in the job, for the head of its log: by its environment and its arguments.
#pragma once

#include <span>
#include <string_view>

namespace tensorwire::tap {

/// The text of the object "task" in a TF_CONFIG; empty when there is none.
std::string_view task_of(std::string_view config);

/// Appends the line NAME=VALUE to lines that `used` bytes of `told` hold, with every control character a space, and
/// returns how many are used then. A line that does not fit, with a 0 behind it, is left out.
std::size_t add_line(std::span<char> told, std::size_t used, std::string_view name, std::string_view value);

/// Fills in the lines of those variables that are set. Both need room that is all 0.
void note_environment(std::span<char> told);

/// Fills in the start of the command line, each argument ended by 0.
void note_arguments(std::span<char> arguments);

}  // namespace tensorwire::tap

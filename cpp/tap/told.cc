#include "tap/told.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace tensorwire::tap {
namespace {

constexpr const char* kVariables[] = {
    "TENSORWIRE_ROLE", "RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID", "JOB_NAME", "TASK_INDEX"};
constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kTask = "\"task\"";

/// Where the object that begins at `begin` ends; npos when it does not.
std::size_t object_end(std::string_view text, std::size_t begin) {
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t at = begin; at < text.size(); ++at) {
    const char letter = text[at];
    if (quoted && letter == '\\') {
      ++at;
    } else if (letter == '"') {
      quoted = !quoted;
    } else if (!quoted && letter == '{') {
      ++depth;
    } else if (!quoted && letter == '}' && --depth == 0) {
      return at + 1;
    }
  }
  return std::string_view::npos;
}

}  // namespace

std::string_view task_of(std::string_view config) {
  for (std::size_t at = config.find(kTask); at != std::string_view::npos; at = config.find(kTask, at + 1)) {
    const std::size_t colon = config.find_first_not_of(kSpace, at + kTask.size());
    if (colon == std::string_view::npos || config[colon] != ':') continue;
    const std::size_t begin = config.find_first_not_of(kSpace, colon + 1);
    if (begin == std::string_view::npos || config[begin] != '{') continue;
    const std::size_t end = object_end(config, begin);
    return end == std::string_view::npos ? std::string_view{} : config.substr(begin, end - begin);
  }
  return {};
}

std::size_t add_line(std::span<char> told, std::size_t used, std::string_view name, std::string_view value) {
  if (used + name.size() + value.size() + 3 > told.size()) return used;  // '=', '\n' and the 0
  char* at = std::copy(name.begin(), name.end(), told.data() + used);
  *at++ = '=';
  at = std::transform(value.begin(), value.end(), at,
                      [](char letter) { return static_cast<unsigned char>(letter) < ' ' ? ' ' : letter; });
  *at++ = '\n';
  return static_cast<std::size_t>(at - told.data());
}

void note_environment(std::span<char> told) {
  std::size_t used = 0;
  for (const char* name : kVariables) {
    if (const char* value = std::getenv(name)) used = add_line(told, used, name, value);
  }
  const char* config = std::getenv("TF_CONFIG");
  const std::string_view task = config == nullptr ? std::string_view{} : task_of(config);
  if (!task.empty()) add_line(told, used, "TF_TASK", task);
}

/// Not through read() and close(), which are watched.
void note_arguments(std::span<char> arguments) {
  const int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  std::size_t used = 0;
  while (used + 1 < arguments.size()) {
    const long taken = syscall(SYS_read, file, arguments.data() + used, arguments.size() - 1 - used);
    if (taken <= 0) break;
    used += static_cast<std::size_t>(taken);
  }
  syscall(SYS_close, file);
}

}  // namespace tensorwire::tap

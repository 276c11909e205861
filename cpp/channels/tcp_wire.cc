#include "channels/tcp_wire.h"

#include <sstream>

namespace tensorwire::tcp {

std::string text_of(const Invitation& invitation) {
  std::ostringstream text;
  text << invitation.address << ' ' << std::hex << invitation.ticket;
  return text.str();
}

Invitation read_invitation(const std::string& text) {
  const std::size_t space = text.rfind(' ');  // of a Unix-domain socket's path, which may have some, all the rest
  if (space == std::string::npos) return {text};
  Invitation read{text.substr(0, space)};
  std::istringstream(text.substr(space)) >> std::hex >> read.ticket;
  return read;
}

Sizes sizes_of(std::span<const Payload> payloads) {
  Sizes sizes;
  for (const Payload& payload : payloads) {
    auto& row = sizes.emplace_back();
    for (const Bytes buffer : payload.buffers) row.push_back(buffer.size());
  }
  return sizes;
}

std::vector<std::uint64_t> layout_of(const Sizes& sizes) {
  std::vector<std::uint64_t> words;
  for (const auto& row : sizes) {
    words.push_back(row.size());
    words.insert(words.end(), row.begin(), row.end());
  }
  return words;
}

std::optional<Sizes> read_layout(std::span<const std::uint64_t> words, std::size_t payloads) {
  Sizes sizes;
  while (!words.empty()) {
    const std::uint64_t buffers = words.front();
    words = words.subspan(1);
    if (buffers > words.size()) return std::nullopt;
    sizes.emplace_back(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(buffers));
    words = words.subspan(buffers);
  }
  if (sizes.size() != payloads) return std::nullopt;
  return sizes;
}

}  // namespace tensorwire::tcp

// Proving that one knows a secret without saying it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace tensorwire {

using Digest = std::array<std::uint8_t, 32>;

/// SHA-256 (FIPS 180-4).
Digest sha256(std::string_view bytes);

/// HMAC with SHA-256 (RFC 2104), in hexadecimal.
std::string hmac_sha256(std::string_view key, std::string_view message);

}  // namespace tensorwire

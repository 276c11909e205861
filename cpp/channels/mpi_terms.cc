#include "channels/mpi_terms.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "channels/tcp_wire.h"

namespace tensorwire::mpi {
namespace {

constexpr std::size_t kWords = 8;  // in front of the sizes
constexpr std::uint64_t kMost = std::uint64_t{1} << 31;

std::string as_body(std::span<const std::uint64_t> words) {
  return {reinterpret_cast<const char*>(words.data()), words.size_bytes()};
}

std::optional<std::vector<std::uint64_t>> as_words(std::string_view body) {
  if (body.size() % sizeof(std::uint64_t) != 0) return std::nullopt;
  std::vector<std::uint64_t> words(body.size() / sizeof(std::uint64_t));
  std::copy_n(body.data(), body.size(), reinterpret_cast<char*>(words.data()));
  return words;
}

}  // namespace

std::string Terms::body() const {
  std::vector<std::uint64_t> words{rank,           tag,         places,       std::uint64_t{labelled},
                                   opened.address, opened.step, sizes.size(), offsets.size()};
  words.insert(words.end(), offsets.begin(), offsets.end());
  const std::vector<std::uint64_t> all = tcp::layout_of(sizes);
  words.insert(words.end(), all.begin(), all.end());
  return as_body(words);
}

std::optional<Terms> Terms::read(std::string_view body) {
  const auto words = as_words(body);
  if (!words || words->size() < kWords) return std::nullopt;
  const auto& w = *words;
  if (w[0] >= kMost || w[1] >= kMost || w[2] == 0 || w[2] >= kMost) return std::nullopt;
  if (w[7] == 0 || w[7] > w.size() - kWords) return std::nullopt;
  const auto rest = std::span(w).subspan(kWords);
  const auto sizes = tcp::read_layout(rest.subspan(w[7]), w[6]);
  if (!sizes || sizes->empty()) return std::nullopt;
  return Terms{.rank = w[0],
               .tag = w[1],
               .places = w[2],
               .labelled = w[3] != 0,
               .opened = {w[4], w[5]},
               .offsets = {rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(w[7])},
               .sizes = *sizes};
}

std::string Accepted::body() const {
  const std::array<std::uint64_t, 3> words{tag, opened.address, opened.step};
  return as_body(words);
}

std::optional<Accepted> Accepted::read(std::string_view body) {
  const auto words = as_words(body);
  if (!words || words->size() != 3 || words->at(0) >= kMost) return std::nullopt;
  return Accepted{.tag = words->at(0), .opened = {words->at(1), words->at(2)}};
}

}  // namespace tensorwire::mpi

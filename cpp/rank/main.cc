// A native rank: tensorwire-rank-STACK PLAN RANK. The token of the rendezvous is in TENSORWIRE_TOKEN; a rank that
// is to die with its parent finds the parent's process id in TENSORWIRE_PARENT.
// Exit status: 0 done, 1 the channel or the rendezvous failed, 2 the request was wrong.
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "channels/null.h"
#include "core/errors.h"
#include "rank/process.h"
#include "rank/rank.h"

namespace tensorwire {
namespace {

/// The number that a word is. Throws std::invalid_argument.
template <class Number>
Number number(std::string_view word) {
  Number value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) {
    throw std::invalid_argument("'" + std::string(word) + "' is not a number that can be meant here");
  }
  return value;
}

int run(char** argv) {
  const char* parent = std::getenv("TENSORWIRE_PARENT");
  if (parent != nullptr && !die_with(number<int>(parent))) return 1;
  const char* token = std::getenv("TENSORWIRE_TOKEN");
  if (token == nullptr) throw std::invalid_argument("TENSORWIRE_TOKEN is not set");
  run_rank(argv[1], number<std::uint32_t>(argv[2]), token, {.open = open, .null_caller = null_caller});
  return 0;
}

}  // namespace
}  // namespace tensorwire

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " PLAN RANK\n";
    return 2;
  }
  try {
    return tensorwire::run(argv);
  } catch (const tensorwire::ChannelError& error) {
    std::cerr << argv[0] << ": " << error.what() << "\n";
    return 1;
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << "\n";
    return 2;
  }
}

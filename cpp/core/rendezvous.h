// Where ranks meet before any channel exists.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tensorwire {

/// One primitive: every rank brings a blob of bytes and leaves with all of them, in rank order.
class Rendezvous {
 public:
  virtual ~Rendezvous() = default;
  virtual std::vector<std::string> all_gather(std::string_view blob) = 0;
};

}  // namespace tensorwire

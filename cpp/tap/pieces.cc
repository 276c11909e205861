#include "tap/pieces.h"

namespace tensorwire::tap {

void Pieces::add(const std::byte* at, std::uint64_t bytes, bool same_slice) {
  const bool full = message.slices == kSlices;
  if (!same_slice && full) message.flags |= kSlicesCut;
  if ((same_slice && message.slices > 0) || full) {
    slices[message.slices - 1] += bytes;
  } else {
    slices[message.slices++] = bytes;
  }
  end = at == nullptr ? nullptr : at + bytes;
  left -= bytes;
}

}  // namespace tensorwire::tap

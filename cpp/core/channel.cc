#include "core/channel.h"

#include "core/errors.h"

namespace tensorwire {

std::unique_ptr<Caller> Channel::collective(const Collective&) {
  throw ChannelError("this channel has no collective operations");
}

}  // namespace tensorwire

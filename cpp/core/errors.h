// What can go wrong between two ranks. The names are those of the Python exceptions.
#pragma once

#include <stdexcept>
#include <string>

namespace tensorwire {

/// The stack under test could not do its part.
class ChannelError : public std::runtime_error {
 public:
  explicit ChannelError(const std::string& what) : ChannelError("ChannelError", what) {}
  /// The name of the Python exception that this becomes.
  const char* type() const { return type_; }

 protected:
  ChannelError(const char* type, const std::string& what) : std::runtime_error(what), type_(type) {}

 private:
  const char* type_;
};

/// The peer went away, or could not be reached.
class PeerLost : public ChannelError {
 public:
  explicit PeerLost(const std::string& what) : ChannelError("PeerLost", what) {}
};

/// No reply came before the deadline.
class TransferTimeout : public ChannelError {
 public:
  explicit TransferTimeout(const std::string& what) : ChannelError("TransferTimeout", what) {}
};

/// The bytes that arrived are not the bytes that were sent.
class WrongBytes : public ChannelError {
 public:
  explicit WrongBytes(const std::string& what) : ChannelError("WrongBytes", what) {}
};

/// The stack is not installed here, or cannot be used as it is.
class ChannelUnavailable : public ChannelError {
 public:
  explicit ChannelUnavailable(const std::string& what) : ChannelError("ChannelUnavailable", what) {}
};

/// The address asked for belongs to somebody else.
class AddressInUse : public ChannelError {
 public:
  explicit AddressInUse(const std::string& what) : ChannelError("AddressInUse", what) {}
};

}  // namespace tensorwire

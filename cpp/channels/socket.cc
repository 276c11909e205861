#include "channels/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include "core/errors.h"

namespace tensorwire {
namespace {

constexpr std::string_view kUnix = "unix:";

struct Endpoint {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

Endpoint unix_endpoint(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw ChannelError("the socket path " + path + " is too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  Endpoint endpoint;
  std::memcpy(&endpoint.storage, &address, sizeof address);
  endpoint.length = sizeof address;
  return endpoint;
}

Endpoint parse(const std::string& address) {
  if (address.starts_with(kUnix)) return unix_endpoint(address.substr(kUnix.size()));
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) throw ChannelError("'" + address + "' is not HOST:PORT");
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found); error != 0) {
    throw ChannelError("'" + address + "' is not an address: " + gai_strerror(error));
  }
  Endpoint endpoint;
  std::memcpy(&endpoint.storage, found->ai_addr, found->ai_addrlen);
  endpoint.length = found->ai_addrlen;
  freeaddrinfo(found);
  return endpoint;
}

void set_no_delay(const Socket& socket, int family) {
  const int on = 1;
  if (family != AF_UNIX) setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Socket new_socket(int family, int flags) {
  Socket socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (socket.fd() < 0) throw ChannelError("cannot open a socket: " + error_text(errno));
  return socket;
}

/// Waits for a connect under way; returns its error, 0 when connected.
int finish_connect(const Socket& socket, Nanoseconds timeout) {
  const SteadyClock clock;
  const Nanoseconds deadline = clock.now() + timeout;
  pollfd waiting{.fd = socket.fd(), .events = POLLOUT, .revents = 0};
  for (;;) {
    const Nanoseconds left = std::max<Nanoseconds>(0, deadline - clock.now());
    const timespec limit{.tv_sec = left / 1_s, .tv_nsec = left % 1_s};
    const int ready = ppoll(&waiting, 1, &limit, nullptr);
    if (ready > 0) break;
    if (ready == 0) return ETIMEDOUT;
    if (errno != EINTR) return errno;
  }
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &length);
  return error;
}

std::string numeric(const sockaddr* address) {
  char text[NI_MAXHOST] = "";
  const socklen_t length = address->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  getnameinfo(address, length, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  return text;
}

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

void Socket::shut_down() const {
  if (fd_ >= 0) shutdown(fd_, SHUT_RDWR);
}

std::string error_text(int error) { return std::generic_category().message(error); }

std::string address_of(const std::string& host, std::uint16_t port, std::uint32_t rank) {
  if (host.starts_with(kUnix)) return host + "/rank-" + std::to_string(rank) + ".sock";
  const bool six = host.find(':') != std::string::npos;
  return (six ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Socket listen_at(const std::string& address) {
  const Endpoint endpoint = parse(address);
  Socket socket = new_socket(endpoint.family(), 0);
  const int on = 1;
  setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  set_no_delay(socket, endpoint.family());
  if (bind(socket.fd(), endpoint.get(), endpoint.length) != 0 || listen(socket.fd(), SOMAXCONN) != 0) {
    if (errno == EADDRINUSE) throw AddressInUse(address + " is in use");
    throw ChannelError("cannot listen at " + address + ": " + error_text(errno));
  }
  return socket;
}

std::string bound_address(const Socket& listening, const std::string& asked) {
  if (asked.starts_with(kUnix)) return asked;
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  getsockname(listening.fd(), reinterpret_cast<sockaddr*>(&bound), &length);
  const auto port = bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(bound).sin6_port
                                                : reinterpret_cast<sockaddr_in&>(bound).sin_port;
  return asked.substr(0, asked.rfind(':') + 1) + std::to_string(ntohs(port));
}

Socket connect_to(const std::string& address, Nanoseconds timeout) {
  const Endpoint endpoint = parse(address);
  Socket socket = new_socket(endpoint.family(), SOCK_NONBLOCK);
  int error = connect(socket.fd(), endpoint.get(), endpoint.length) == 0 ? 0 : errno;
  if (error == EINPROGRESS) error = finish_connect(socket, timeout);
  if (error != 0) throw PeerLost("cannot connect to " + address + ": " + error_text(error));
  fcntl(socket.fd(), F_SETFL, fcntl(socket.fd(), F_GETFL) & ~O_NONBLOCK);
  set_no_delay(socket, endpoint.family());
  return socket;
}

std::optional<std::string> interface_of(const std::string& host) {
  if (host.starts_with("127.")) return "lo";
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return std::nullopt;
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, &freeifaddrs);
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
    const sockaddr* address = each->ifa_addr;
    if (address == nullptr || (address->sa_family != AF_INET && address->sa_family != AF_INET6)) continue;
    if (numeric(address) == host) return each->ifa_name;
  }
  return std::nullopt;
}

}  // namespace tensorwire

#include "channels/grpc_options.h"

#include <climits>
#include <fstream>
#include <sstream>

#include "core/errors.h"

namespace tensorwire::rpc {
namespace {

[[noreturn]] void refuse(const std::string& option, const nlohmann::json& value, const std::string& allowed) {
  throw ChannelError("grpc option " + option + " is " + value.dump() + "; it must be " + allowed);
}

std::string text(const nlohmann::json& given, const char* option, const char* otherwise) {
  const auto found = given.find(option);
  if (found == given.end() || found->is_null()) return otherwise;
  if (!found->is_string()) refuse(option, *found, "a text");
  return *found;
}

int whole(const nlohmann::json& given, const char* option, int otherwise, int least, int most) {
  const auto found = given.find(option);
  if (found == given.end() || found->is_null()) return otherwise;
  if (!found->is_number_integer() || *found < least || *found > most) {
    refuse(option, *found, "from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return *found;
}

bool flag(const nlohmann::json& given, const char* option, bool otherwise) {
  const auto found = given.find(option);
  if (found == given.end() || found->is_null()) return otherwise;
  if (!found->is_boolean()) refuse(option, *found, "true or false");
  return *found;
}

std::optional<Tls> tls(const nlohmann::json& given) {
  const Tls files{.certificate = text(given, "tls_certificate", ""),
                  .key = text(given, "tls_key", ""),
                  .authority = text(given, "tls_authority", "")};
  const int named = !files.certificate.empty() + !files.key.empty() + !files.authority.empty();
  if (named == 0) return std::nullopt;
  if (named != 3) throw ChannelError("grpc options tls_certificate, tls_key and tls_authority are given together");
  return files;
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream read;
  read << file.rdbuf();
  if (!file || read.str().empty()) throw ChannelError("cannot read the PEM file " + path);
  return read.str();
}

const char* on(bool set) { return set ? "true" : "false"; }

constexpr int kDefaultFrame = 1 << 20;  // 1 MiB messages cost 18 % less CPU than with HTTP/2's 16 KiB
constexpr int kSmallestFrame = 16384;   // RFC 9113, 4.2
constexpr int kLargestFrame = (1 << 24) - 1;

}  // namespace

Options::Options(const nlohmann::json& given)
    : connections(whole(given, "connections", 1, 1, 1024)),
      server_queues(whole(given, "server_queues", 1, 1, 1024)),
      server_threads(whole(given, "server_threads", server_queues, server_queues, 1024)),
      frame_size(whole(given, "frame_size", kDefaultFrame, kSmallestFrame, kLargestFrame)),
      zero_copy(flag(given, "zero_copy", false)),
      compression(text(given, "compression", "none")),
      tls(rpc::tls(given)) {
  const std::string call = text(given, "call", "unary");
  if (call != "unary" && call != "stream") refuse("call", call, "unary or stream");
  stream = call == "stream";
  algorithm();
}

grpc_compression_algorithm Options::algorithm() const {
  if (compression == "none") return GRPC_COMPRESS_NONE;
  if (compression == "gzip") return GRPC_COMPRESS_GZIP;
  if (compression == "deflate") return GRPC_COMPRESS_DEFLATE;
  refuse("compression", compression, "none, gzip or deflate");
}

std::vector<std::pair<std::string, int>> Options::shared_arguments() const {
  const bool compresses = compression != "none";  // if not, gRPC leaves its filters for it out
  return {{GRPC_ARG_HTTP2_MAX_FRAME_SIZE, frame_size},
          {GRPC_ARG_TCP_TX_ZEROCOPY_ENABLED, zero_copy},
          {GRPC_ARG_HTTP2_BDP_PROBE, 1},
          {GRPC_ARG_ENABLE_CHANNELZ, 0},
          {GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, compresses},
          {GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, compresses}};
}

grpc::ChannelArguments Options::client_arguments() const {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetCompressionAlgorithm(algorithm());
  for (const auto& [name, value] : shared_arguments()) arguments.SetInt(name, value);
  // Channels with equal arguments share their connections unless each has a pool of its own.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, INT_MAX);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  if (tls) arguments.SetSslTargetNameOverride("localhost");
  return arguments;
}

void Options::configure(grpc::ServerBuilder& builder) const {
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  builder.SetDefaultCompressionAlgorithm(algorithm());
  for (const auto& [name, value] : shared_arguments()) builder.AddChannelArgument(name, value);
  // Two servers on one port would share its calls and nobody would notice.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

std::shared_ptr<grpc::ChannelCredentials> Options::client_credentials() const {
  if (!tls) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions ssl;
  ssl.pem_root_certs = contents(tls->authority);
  return grpc::SslCredentials(ssl);
}

std::shared_ptr<grpc::ServerCredentials> Options::server_credentials() const {
  if (!tls) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions ssl;
  ssl.pem_key_cert_pairs.push_back({contents(tls->key), contents(tls->certificate)});
  return grpc::SslServerCredentials(ssl);
}

Settings Options::settings() const {
  return {{"call", stream ? "stream" : "unary"},
          {"connections", std::to_string(connections)},
          {"server_queues", std::to_string(server_queues)},
          {"server_threads", std::to_string(server_threads)},
          {"frame_size", std::to_string(frame_size)},
          {"zero_copy", on(zero_copy)},
          {"compression", compression},
          {"tls", on(tls.has_value())},
          {"bdp_probe", on(true)},
          {"channelz", on(false)},
          {"retries", on(false)},
          {"message_limit", "none"},
          {"grpc", grpc::Version()}};
}

}  // namespace tensorwire::rpc

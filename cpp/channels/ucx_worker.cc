#include "channels/ucx_worker.h"

#include <cstring>
#include <mutex>
#include <utility>

#include "core/errors.h"

namespace tensorwire::ucx {
namespace {

constexpr unsigned kMessage = 0;  // the id of all our active messages

void note(Endpoint& endpoint, ucs_status_t status) {
  if (endpoint.failure == UCS_OK) endpoint.failure = status;
}

void on_failure(void* endpoint, ucp_ep_h, ucs_status_t status) { note(*static_cast<Endpoint*>(endpoint), status); }

}  // namespace

Place::Place(Worker& worker, Endpoint& endpoint, std::uint32_t number, std::size_t parts)
    : worker_(worker), endpoint_(endpoint), number_(number), parts_(parts) {
  for (Part& part : parts_) part.place = this;
}

void Place::begin(const Packing& packing, std::byte* base, bool keep) {
  packing_ = &packing;
  missing_ = packing.messages.size();
  bytes_ = 0;
  begun_ = true;
  keep_ = keep;
  for (std::size_t i = 0; i < missing_; ++i) parts_[i].landing = base + packing.messages[i].offset;
}

bool Place::took(std::uint64_t bytes) {
  bytes_ += bytes;
  if (--missing_ > 0) return false;
  begun_ = false;
  return true;
}

Worker::Worker(std::shared_ptr<const Context> context, Receiver& receiver)
    : context_(std::move(context)), library_(context_->library()), receiver_(receiver) {
  make();
  if (!context_->spins() && library_->worker_get_efd(handle_, &event_fd_) != UCS_OK) {
    library_->worker_destroy(handle_);
    throw ChannelError("UCX cannot wait without polling over " + context_->options().transport + "; use --wait spin");
  }
  ucp_am_handler_param_t handler{};
  handler.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG;
  handler.id = kMessage;
  handler.cb = on_message;
  handler.arg = this;
  if (!uses_tags()) library_->worker_set_am_recv_handler(handle_, &handler);
}

Worker::~Worker() { library_->worker_destroy(handle_); }

void Worker::make() {
  ucp_worker_params_t parameters{};
  parameters.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  parameters.thread_mode = UCS_THREAD_MODE_SINGLE;
  const ucs_status_t status = library_->worker_create(context_->handle(), &parameters, &handle_);
  if (status == UCS_OK) return;
  throw ChannelUnavailable("UCX " + library_.version() + " cannot open transport " + context_->options().transport +
                           ": " + library_->status_string(status) +
                           "; see that there is room in /dev/shm (df /dev/shm) and memory that may be locked (ulimit "
                           "-l), or leave out what needs it, as with -o transport=tcp");
}

std::string Worker::address() const {
  ucp_address_t* address = nullptr;
  std::size_t size = 0;
  if (const ucs_status_t status = library_->worker_get_address(handle_, &address, &size); status != UCS_OK) {
    throw ChannelError("UCX has no address to be reached at: " + std::string(library_->status_string(status)));
  }
  std::string copy(reinterpret_cast<const char*>(address), size);
  library_->worker_release_address(handle_, address);
  return copy;
}

bool Worker::arm() const { return library_->worker_arm(handle_) == UCS_OK; }

/// Without error handling by UCX: it would do without shared memory. That a peer is gone, its control connection tells.
void Worker::connect(Endpoint& endpoint, const std::string& address) const {
  ucp_ep_params_t parameters{};
  parameters.field_mask =
      UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
  parameters.address = reinterpret_cast<const ucp_address_t*>(address.data());
  parameters.err_mode = UCP_ERR_HANDLING_MODE_NONE;
  parameters.err_handler = {.cb = on_failure, .arg = &endpoint};
  if (const ucs_status_t status = library_->ep_create(handle_, &parameters, &endpoint.handle); status != UCS_OK) {
    endpoint.handle = nullptr;
    throw ChannelError("UCX finds no way to the peer over transport " + context_->options().transport + ": " +
                       library_->status_string(status));
  }
}

bool Worker::flushed(Endpoint& endpoint) const {
  const ucp_request_param_t plain{};
  void* request = library_->ep_flush_nbx(endpoint.handle, &plain);
  if (request == nullptr) return true;
  if (UCS_PTR_IS_ERR(request)) {
    note(endpoint, UCS_PTR_STATUS(request));
    return true;
  }
  library_->request_free(request);  // it ends by itself
  return false;
}

void Worker::close(Endpoint& endpoint) const {
  const ucp_request_param_t plain{};
  void* request = library_->ep_close_nbx(std::exchange(endpoint.handle, nullptr), &plain);
  if (UCS_PTR_IS_PTR(request)) library_->request_free(request);
}

Route Worker::route(const Endpoint& endpoint) const {
  return read_route(Context::printed([&](std::FILE* file) { library_->ep_print_info(endpoint.handle, file); }));
}

void Worker::send(Endpoint& endpoint, const Header& header, const Parcel& parcel) {
  ucp_request_param_t how;
  how.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_DATATYPE;
  how.cb.send = on_sent;
  how.user_data = this;
  how.datatype = parcel.type;
  void* request = uses_tags() ? library_->tag_send_nbx(endpoint.handle, parcel.buffer, parcel.count, header.label, &how)
                              : library_->am_send_nbx(endpoint.handle, kMessage, &header, sizeof header, parcel.buffer,
                                                      parcel.count, &how);
  if (UCS_PTR_IS_PTR(request)) {
    ++endpoint.open;
    *static_cast<Notes*>(request) = {&endpoint, parcel.held};
    if (parcel.held == in_hand_) in_hand_ = nullptr;  // it is kept
    return;
  }
  if (request != nullptr) note(endpoint, UCS_PTR_STATUS(request));
  if (parcel.held != nullptr) give_back(parcel.held);
}

void Worker::on_sent(void* request, ucs_status_t status, void* self) {
  const Notes notes = *static_cast<Notes*>(request);
  Worker& worker = *static_cast<Worker*>(self);
  --notes.endpoint->open;
  if (status != UCS_OK) note(*notes.endpoint, status);
  if (notes.held != nullptr) worker.give_back(notes.held);
  worker.library_->request_free(request);
}

/// Memory that is just being handed over is given back by saying so to UCX.
void Worker::give_back(void* held) {
  if (held != in_hand_) library_->am_data_release(handle_, held);
}

ucs_status_t Worker::on_message(void* self, const void* header, std::size_t header_size, void* data, std::size_t size,
                                const ucp_am_recv_param_t* how) {
  Header read;
  if (header_size != sizeof read) return UCS_OK;
  std::memcpy(&read, header, sizeof read);
  return static_cast<Worker*>(self)->take(read, data, size, how->recv_attr);
}

ucs_status_t Worker::take(const Header& header, void* data, std::size_t size, std::uint64_t how) {
  Place* place = receiver_.place_of(Label::of(header.label));
  if (place == nullptr) return UCS_OK;
  const auto& messages = place->packing().messages;
  if (header.message >= messages.size() || size != messages[header.message].size) {
    note(place->endpoint(), UCS_ERR_MESSAGE_TRUNCATED);
    return UCS_OK;
  }
  Place::Part& part = place->parts()[header.message];
  if ((how & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0) {
    fetch(part, data, size);
    return UCS_INPROGRESS;
  }
  if (!place->keeps()) {
    landed(part, size);
    return UCS_OK;
  }
  if ((how & UCP_AM_RECV_ATTR_FLAG_DATA) == 0) {
    if (size > 0) std::memcpy(part.landing, data, size);
    part.data = part.landing;
    landed(part, size);
    return UCS_OK;
  }
  part.data = static_cast<const std::byte*>(data);
  part.held = in_hand_ = data;
  landed(part, size);
  const bool kept = part.held == data || in_hand_ == nullptr;
  in_hand_ = nullptr;
  return kept ? UCS_INPROGRESS : UCS_OK;
}

/// UCX may tell of the end before it returns.
void Worker::fetch(Place::Part& part, void* descriptor, std::size_t size) {
  Endpoint& endpoint = part.place->endpoint();
  ucp_request_param_t how;
  how.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  how.cb.recv_am = on_fetched;
  how.user_data = &part;
  part.data = part.landing;
  ++endpoint.open;
  void* request = library_->am_recv_data_nbx(handle_, descriptor, part.landing, size, &how);
  if (UCS_PTR_IS_PTR(request)) return;
  --endpoint.open;
  if (request == nullptr) return landed(part, size);
  note(endpoint, UCS_PTR_STATUS(request));
}

void Worker::on_fetched(void* request, ucs_status_t status, std::size_t size, void* which) {
  Place::Part& part = *static_cast<Place::Part*>(which);
  Worker& worker = part.place->worker();
  --part.place->endpoint().open;
  worker.library_->request_free(request);
  if (status == UCS_OK) return worker.landed(part, size);
  note(part.place->endpoint(), status);
}

void Worker::landed(Place::Part& part, std::uint64_t size) {
  if (part.place->took(size)) receiver_.arrived(*part.place);
}

void Worker::post(Place::Part& part, std::uint64_t room, std::uint64_t label, std::uint64_t mask) {
  if (!uses_tags()) return;
  ucp_tag_recv_info_t info{};
  ucp_request_param_t how;
  how.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_RECV_INFO;
  how.cb.recv = on_tagged;
  how.user_data = &part;
  how.recv_info.tag_info = &info;
  part.data = part.landing;
  part.posted = true;
  part.request = nullptr;
  const std::uint32_t mine = ++part.posts;
  ++part.place->endpoint().open;
  void* request = library_->tag_recv_nbx(handle_, part.landing, room, label, mask, &how);
  if (UCS_PTR_IS_PTR(request)) {
    // UCX may tell of the end before it returns, and the next receive may be posted by then.
    if (part.posted && part.posts == mine) part.request = request;
    return;
  }
  part.posted = false;
  --part.place->endpoint().open;
  if (request == nullptr) return tagged(part, info);
  note(part.place->endpoint(), UCS_PTR_STATUS(request));
}

void Worker::on_tagged(void* request, ucs_status_t status, const ucp_tag_recv_info_t* info, void* which) {
  Place::Part& part = *static_cast<Place::Part*>(which);
  Worker& worker = part.place->worker();
  part.posted = false;
  part.request = nullptr;
  --part.place->endpoint().open;
  const ucp_tag_recv_info_t came = status == UCS_OK ? *info : ucp_tag_recv_info_t{};
  worker.library_->request_free(request);
  if (status == UCS_OK) return worker.tagged(part, came);
  if (status != UCS_ERR_CANCELED) note(part.place->endpoint(), status);
}

void Worker::tagged(Place::Part& part, const ucp_tag_recv_info_t& info) {
  Place* place = receiver_.place_of(Label::of(info.sender_tag));
  if (place != part.place) return note(part.place->endpoint(), UCS_ERR_INVALID_PARAM);
  if (info.length != place->packing().messages[static_cast<std::size_t>(&part - &place->part(0))].size) {
    return note(place->endpoint(), UCS_ERR_MESSAGE_TRUNCATED);
  }
  landed(part, info.length);
}

void Worker::cancel(Place& place) const {
  for (Place::Part& part : place.all_parts()) {
    if (part.request != nullptr) library_->request_cancel(handle_, part.request);
  }
}

void Worker::release(Place& place) const {
  for (Place::Part& part : place.parts()) {
    if (void* held = std::exchange(part.held, nullptr)) library_->am_data_release(handle_, held);
  }
}

void keep_for_good(std::shared_ptr<void> what) {
  static std::mutex mutex;
  static auto& kept = *new std::vector<std::shared_ptr<void>>;  // never destroyed
  const std::lock_guard lock(mutex);
  kept.push_back(std::move(what));
}

}  // namespace tensorwire::ucx

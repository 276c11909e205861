// One caller, as the serving side has it.
#pragma once

#include <mpi.h>

#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "channels/mpi_caller.h"
#include "channels/mpi_messages.h"
#include "channels/mpi_terms.h"

namespace tensorwire::mpi {

/// Who counts what is served.
class Tally {
 public:
  virtual ~Tally() = default;
  virtual void count(std::uint64_t bytes) = 0;
};

class Connection {
 public:
  Connection(const Setting& setting, Tally& tally, Socket socket)
      : setting_(setting), tally_(tally), control_(std::move(socket)) {}

  Control& control() { return control_; }

  /// Makes everything for the calls to come, and waits for them. Throws ChannelError, std::bad_alloc.
  Accepted expect(const Terms& terms, std::shared_ptr<const Outgoings> answers);

  /// Takes what came, and answers it; false when there was nothing. Throws ChannelError for what is no request.
  bool progress();

  /// Ends what is under way. False when MPI still has something.
  bool end();

 private:
  struct Place {
    bool known = false;  // what was asked for
    Header header;
    std::size_t came = 0;              // messages of the request
    std::uint64_t bytes = 0;           // of its payload
    std::uint64_t told = 0;            // in a notification
    std::vector<std::size_t> used;     // receives of this request
    std::vector<std::size_t> resting;  // of those before, until their replies have left
    std::vector<MPI_Request> sends;
  };

  /// What one `expect` made; the next makes another.
  struct Made {
    Made(const Setting& setting, const Terms& given, std::shared_ptr<const Outgoings> replies);

    Terms terms;
    std::shared_ptr<const Outgoings> answers;
    std::vector<Packing> packings;
    Layout requests;
    std::uint64_t head_step;
    std::uint64_t staging_step;
    Memory heads;         // by place: a header, and what is packed behind it
    Memory landing;       // by place
    Memory staging;       // by place, of answers that are packed
    Memory counted;       // for all places: what is only acknowledged
    Sends echoes;         // by place and payload
    Sends brought;        // by place and answer
    Sends notes;          // by place
    std::size_t columns;  // receives of a place, by tag
  };

  std::byte* head(std::size_t place) const { return made_->heads.at(place * made_->head_step); }
  std::byte* landing(std::size_t place) const { return made_->landing.at(place * made_->requests.step()); }
  std::byte* staging(std::size_t place) const { return made_->staging.at(place * made_->staging_step); }
  Piece landed(std::size_t place, std::uint32_t payload, std::size_t message) const;
  Sends::Way way(std::size_t place, std::size_t message) const;

  void post(std::size_t place, std::size_t column);
  void prepare_sends(std::size_t place);
  bool look();
  void take(std::size_t receive, const MPI_Status& status);
  void understand(std::size_t place, std::size_t column);
  bool complete(const Place& place) const;
  void answer(std::size_t place);
  void echo(std::size_t place);
  void bring(std::size_t place);
  template <class PieceOf>
  void send_back(std::size_t place, const Packing& packing, PieceOf piece_of, Sends& sends);
  void note(std::size_t place, std::uint64_t bytes);
  bool settle(std::size_t place);

  Setting setting_;
  Tally& tally_;
  Control control_;
  std::optional<Made> made_;
  int first_tag_ = 0;
  std::vector<Place> places_;
  std::vector<MPI_Request> receives_;  // by place and column
  std::vector<int> indices_;
  std::vector<MPI_Status> statuses_;
  std::vector<std::size_t> sending_;  // places whose reply is still on its way out
};

}  // namespace tensorwire::mpi

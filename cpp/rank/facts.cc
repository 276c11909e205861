#include "rank/facts.h"

#include <map>

namespace tensorwire {
namespace {

using nlohmann::json;

json describe(const Histogram& histogram) {
  json buckets = json::array();
  for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
    if (const std::uint64_t n = histogram.counts()[i]; n > 0) buckets.push_back({i, n});
  }
  return {{"count", histogram.count()},
          {"sum_ns", histogram.sum()},
          {"min_ns", histogram.min()},
          {"max_ns", histogram.max()},
          {"buckets", buckets}};
}

json describe_series(const std::vector<Recording>& recordings) {
  std::vector<Interval> merged(Recording::kIntervals);
  for (const Recording& recording : recordings) {
    for (std::size_t i = 0; i < merged.size(); ++i) {
      merged[i].calls += recording.series()[i].calls;
      merged[i].bytes += recording.series()[i].bytes;
      merged[i].max_ns = std::max(merged[i].max_ns, recording.series()[i].max_ns);
    }
  }
  json series = {{"interval_ns", recordings.front().interval()}};
  for (const Interval& interval : merged) {
    series["calls"].push_back(interval.calls);
    series["bytes"].push_back(interval.bytes);
    series["max_ns"].push_back(interval.max_ns);
  }
  return series;
}

json describe_peers(const std::vector<Recording>& recordings, const Callers& callers) {
  std::map<std::uint32_t, SlotCount> by_peer;
  for (std::size_t thread = 0; thread < recordings.size(); ++thread) {
    const std::vector<SlotCount>& slots = recordings[thread].slots();
    for (std::size_t slot = 0; slot < slots.size(); ++slot) {
      SlotCount& count = by_peer[callers.peers(thread)[slot]];
      count.calls += slots[slot].calls;
      count.latency_ns += slots[slot].latency_ns;
    }
  }
  json peers = json::array();
  for (const auto& [rank, count] : by_peer) {
    peers.push_back({{"rank", rank}, {"calls", count.calls}, {"latency_ns", count.latency_ns}});
  }
  return peers;
}

}  // namespace

json describe(const std::vector<Recording>& recordings, const Callers& callers) {
  json calling = describe(recordings);
  calling["peers"] = describe_peers(recordings, callers);
  return calling;
}

json describe(const std::vector<Recording>& recordings) {
  Histogram latency;
  Moved moved;
  std::uint64_t missed = 0;
  Nanoseconds begin = recordings.front().begin();
  Nanoseconds end = begin;
  for (const Recording& recording : recordings) {
    latency.merge(recording.latency());
    moved += recording.moved();
    missed += recording.missed();
    begin = std::min(begin, recording.begin());
    end = std::max(end, recording.begin() + recording.elapsed());
  }
  return {{"calls", latency.count()},
          {"missed", missed},
          {"bytes", moved.sent},
          {"received", moved.received},
          {"begin_ns", begin},
          {"elapsed_ns", end - begin},
          {"latency", describe(latency)},
          {"series", describe_series(recordings)},
          {"peers", json::array()}};
}

json describe(const Serialization& spent) {
  return {{"serialize_ns", spent.serialize}, {"deserialize_ns", spent.deserialize}};
}

json describe(const Served& before, const Served& after) {
  return {{"calls", after.calls - before.calls},
          {"bytes", after.bytes - before.bytes},
          {"serialization", describe(after.spent - before.spent)}};
}

Serialization operator-(const Serialization& after, const Serialization& before) {
  return {.serialize = after.serialize - before.serialize, .deserialize = after.deserialize - before.deserialize};
}

}  // namespace tensorwire

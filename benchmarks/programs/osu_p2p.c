/* The loops of osu_latency and osu_bw (OSU Micro-Benchmarks), as short as they are there: a blocking send and a blocking
 * receive in turns, or a window of non-blocking ones that is answered when all of it is there. The reply of
 * osu_latency has the size that it is told; osu_bw's has 4 bytes.
 *     mpirun -np 2 osu_p2p latency|bandwidth SIZE REPLY_SIZE WINDOW WARMUP_S SECONDS CORE_OF_RANK_0 CORE_OF_RANK_1
 * Rank 0 serves, rank 1 calls and prints a line of JSON. Each round is timed, as tensorwire times each call. */
#define _GNU_SOURCE
#include <malloc.h>
#include <mpi.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kTag = 1, kMostWindow = 1024, kKept = 1 << 22 };

static uint32_t latencies[kKept];

static int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static char* memory(size_t size) {
  char* begin = aligned_alloc(4096, (size + 4096) / 4096 * 4096);
  memset(begin, 'a', size);
  return begin;
}

static void settle(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) MPI_Abort(MPI_COMM_WORLD, 1);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

static int ascending(const void* a, const void* b) {
  const uint32_t x = *(const uint32_t*)a, y = *(const uint32_t*)b;
  return (x > y) - (x < y);
}

struct Traffic {
  int size, reply, window;
  char *out, *in;
  MPI_Request requests[kMostWindow];
};

/* The last message of a phase is told by its tag. */
static void serve_latency(struct Traffic* t) {
  for (MPI_Status status = {0};;) {
    MPI_Recv(t->in, t->size, MPI_BYTE, 1, MPI_ANY_TAG, MPI_COMM_WORLD, &status);
    MPI_Send(t->out, t->reply, MPI_BYTE, 1, kTag, MPI_COMM_WORLD);
    if (status.MPI_TAG != kTag) return;
  }
}

static void call_latency(struct Traffic* t, int tag) {
  MPI_Send(t->out, t->size, MPI_BYTE, 0, tag, MPI_COMM_WORLD);
  MPI_Recv(t->in, t->reply, MPI_BYTE, 0, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

static void serve_bandwidth(struct Traffic* t) {
  static MPI_Status statuses[kMostWindow];
  for (;;) {
    for (int i = 0; i < t->window; ++i)
      MPI_Irecv(t->in, t->size, MPI_BYTE, 1, MPI_ANY_TAG, MPI_COMM_WORLD, &t->requests[i]);
    MPI_Waitall(t->window, t->requests, statuses);
    MPI_Send(t->out, 4, MPI_BYTE, 1, kTag, MPI_COMM_WORLD);
    if (statuses[0].MPI_TAG != kTag) return;
  }
}

static void call_bandwidth(struct Traffic* t, int tag) {
  for (int i = 0; i < t->window; ++i)
    MPI_Isend(t->out, t->size, MPI_BYTE, 0, tag, MPI_COMM_WORLD, &t->requests[i]);
  MPI_Waitall(t->window, t->requests, MPI_STATUSES_IGNORE);
  MPI_Recv(t->in, 4, MPI_BYTE, 0, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

/* Rounds until the time is up, and one more that says so. */
static int64_t call_for(struct Traffic* t, void (*call)(struct Traffic*, int), double seconds, int64_t* elapsed) {
  int64_t rounds = 0;
  const int64_t begin = now_ns(), end = begin + (int64_t)(seconds * 1e9);
  int64_t before = begin;
  while (before < end) {
    call(t, kTag);
    const int64_t now = now_ns();
    latencies[rounds++ % kKept] = (uint32_t)(now - before);
    before = now;
  }
  *elapsed = before - begin;
  call(t, kTag + 1);
  return rounds;
}

int main(int argc, char** argv) {
  if (argc != 9) return 2;
  int rank = 0;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  settle(atoi(argv[7 + rank]));
  const int streams = strcmp(argv[1], "bandwidth") == 0;
  struct Traffic traffic = {.size = atoi(argv[2]), .reply = atoi(argv[3]), .window = atoi(argv[4])};
  if (traffic.window > kMostWindow) MPI_Abort(MPI_COMM_WORLD, 2);
  const size_t most = (size_t)(traffic.size > traffic.reply ? traffic.size : traffic.reply) + 8;
  traffic.out = memory(most);
  traffic.in = memory(most);
  memset(latencies, 0, sizeof latencies);
  MPI_Barrier(MPI_COMM_WORLD);
  for (int phase = 5; phase <= 6; ++phase) {
    if (rank == 0) {
      streams ? serve_bandwidth(&traffic) : serve_latency(&traffic);
      continue;
    }
    int64_t elapsed = 0;
    const int64_t rounds = call_for(&traffic, streams ? call_bandwidth : call_latency, atof(argv[phase]), &elapsed);
    if (phase == 5) continue;
    const size_t kept = (size_t)(rounds < kKept ? rounds : kKept);
    qsort(latencies, kept, sizeof latencies[0], ascending);
    printf("{\"calls\": %lld, \"elapsed_ns\": %lld, \"p50_ns\": %u}\n",
           (long long)(rounds * (streams ? traffic.window : 1)), (long long)elapsed, latencies[kept / 2]);
  }
  MPI_Finalize();
  return 0;
}

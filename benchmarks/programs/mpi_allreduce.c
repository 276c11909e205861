/* MPI_Allreduce of floats, as osu_allreduce times it, but for its barrier between two calls: as many calls on every rank
   as fit the time, back to back, each timed. Run by mpirun: mpi_allreduce BYTES WARMUP SECONDS CORE... (one for each
   rank). Rank 0 prints the calls and, in nanoseconds, the mean over ranks of their elapsed time and of the median of
   their calls, and the CPU time of all. */
#define _GNU_SOURCE
#include <mpi.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static double now_ns(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

static double cpu_ns(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return ((double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec) * 1e9 +
         ((double)used.ru_utime.tv_usec + (double)used.ru_stime.tv_usec) * 1e3;
}

/* Elapsed nanoseconds of so many calls; of each where `took` has room for them. */
static double calls_of(long calls, const float *from, float *to, int count, double *took) {
  const double begin = now_ns();
  double last = begin;
  for (long i = 0; i < calls; ++i) {
    MPI_Allreduce(from, to, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    const double at = now_ns();
    if (took) took[i] = at - last;
    last = at;
  }
  return last - begin;
}

/* The calls that fit, by what the slowest rank needed for others. */
static long fitting(double ns, long calls, double took) {
  double slowest;
  MPI_Allreduce(&took, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  const double fits = ns / slowest * (double)calls;
  return fits < 1 ? 1 : (long)fits;
}

static int by_size(const void *a, const void *b) {
  const double one = *(const double *)a, other = *(const double *)b;
  return (one > other) - (one < other);
}

int main(int argc, char **argv) {
  int rank, size;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (argc < 4 + size) {
    fprintf(stderr, "usage: mpi_allreduce BYTES WARMUP SECONDS CORE...\n");
    MPI_Abort(MPI_COMM_WORLD, 2);
  }
  cpu_set_t core;
  CPU_ZERO(&core);
  CPU_SET(atoi(argv[4 + rank]), &core);
  sched_setaffinity(0, sizeof core, &core);

  const int count = atoi(argv[1]) / (int)sizeof(float);
  const size_t bytes = ((size_t)count * sizeof(float) + 4095) / 4096 * 4096;
  float *from = aligned_alloc(4096, bytes), *to = aligned_alloc(4096, bytes);
  for (int i = 0; i < count; ++i) from[i] = (float)((i + 1009 * rank) % 8191);
  memset(to, 0, bytes);

  long calls = 8;
  calls = fitting(atof(argv[2]) * 1e9, calls, calls_of(calls, from, to, count, NULL));
  calls = fitting(atof(argv[3]) * 1e9, calls, calls_of(calls, from, to, count, NULL));
  double *took = malloc((size_t)calls * sizeof *took);
  memset(took, 0, (size_t)calls * sizeof *took);
  MPI_Barrier(MPI_COMM_WORLD);
  const double cpu_before = cpu_ns();
  const double elapsed = calls_of(calls, from, to, count, took);
  const double cpu = cpu_ns() - cpu_before;

  qsort(took, (size_t)calls, sizeof *took, by_size);
  double mine[3] = {elapsed / size, took[calls / 2] / size, cpu}, all[3];
  MPI_Reduce(mine, all, 3, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
  if (rank == 0) {
    printf("{\"calls\": %ld, \"elapsed_ns\": %.0f, \"p50_ns\": %.0f, \"cpu_ns\": %.0f}\n", calls, all[0], all[1], all[2]);
  }
  MPI_Finalize();
  return 0;
}

/* Stands in for cyclictest where rt-tests is not installed: sleeps until absolute deadlines and
 * counts how late it woke, with memory locked, CPU idle states off and timer slack 1 ns where
 * permitted. Prints "MICROSECONDS COUNT" lines as `cyclictest -h` does.
 * Arguments: policy (fifo|other) priority cpu (-1: any) interval_us loops bins */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 7) return 2;
    const int fifo = strcmp(argv[1], "fifo") == 0, cpu = atoi(argv[3]);
    const int64_t interval_ns = atoll(argv[4]) * 1000, loops = atoll(argv[5]), bins = atoll(argv[6]);
    int64_t *seen = calloc((size_t)bins + 1, sizeof *seen);
    if (seen == NULL || interval_ns <= 0 || bins <= 0) return 2;
    const int32_t zero = 0;
    const int latency = open("/dev/cpu_dma_latency", O_WRONLY);
    if (latency >= 0 && write(latency, &zero, sizeof zero) < 0) fprintf(stderr, "idle states on\n");
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) perror("mlockall");
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    if (cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        if (sched_setaffinity(0, sizeof set, &set) != 0) perror("affinity");
    }
    const struct sched_param wanted = {.sched_priority = atoi(argv[2])};
    if (fifo && sched_setscheduler(0, SCHED_FIFO, &wanted) != 0) {
        perror("SCHED_FIFO");
        return 1;
    }
    int64_t deadline_ns = now_ns() + interval_ns;
    for (int64_t loop = 0; loop < loops; loop++) {
        const struct timespec until = {deadline_ns / 1000000000, deadline_ns % 1000000000};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0) { }
        const int64_t woke_ns = now_ns(), late_us = (woke_ns - deadline_ns) / 1000;
        seen[late_us < bins ? late_us : bins]++;
        deadline_ns += interval_ns;
        while (deadline_ns <= now_ns()) deadline_ns += interval_ns; /* missed ones are not replayed */
    }
    for (int64_t at = 0; at <= bins; at++) {
        if (seen[at] > 0) printf("%06lld %06lld\n", (long long)at, (long long)seen[at]);
    }
    return 0;
}

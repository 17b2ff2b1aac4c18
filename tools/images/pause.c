/* The process that holds a pod's namespaces. It waits for SIGTERM or SIGINT and reaps whatever children are left to it.
 *
 * It is built without a C library, so that the image is a few kB: four system calls are all that it needs. The signals
 * are blocked and fetched one by one; a blocked signal reaches the first process of a pid namespace too, which the
 * kernel otherwise shields from signals that have no handler.
 */
#include <asm/unistd.h>

enum { kInterrupt = 2, kTerminate = 15, kChild = 17, kBlock = 0, kNoHang = 1 };

static long system_call(long number, long first, long second, long third, long fourth) {
#if defined(__x86_64__)
  long result;
  register long r10 __asm__("r10") = fourth;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10)
                   : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = first;
  register long x1 __asm__("x1") = second;
  register long x2 __asm__("x2") = third;
  register long x3 __asm__("x3") = fourth;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
#else
#error "pause.c knows x86_64 and aarch64"
#endif
}

static unsigned long bit(int signal) {
  return 1UL << (signal - 1);
}

void _start(void) {
  unsigned long wanted = bit(kInterrupt) | bit(kTerminate) | bit(kChild);
  system_call(__NR_rt_sigprocmask, kBlock, (long)&wanted, 0, sizeof wanted);
  for (;;) {
    long signal = system_call(__NR_rt_sigtimedwait, (long)&wanted, 0, 0, sizeof wanted);
    if (signal == kInterrupt || signal == kTerminate) {
      system_call(__NR_exit_group, 0, 0, 0, 0);
    }
    while (signal == kChild && system_call(__NR_wait4, -1, 0, kNoHang, 0) > 0) {
    }
  }
}

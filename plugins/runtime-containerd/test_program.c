/* What runs in the containers of the integration test; linked statically, so that it is all that the image holds.
 *   test_program serve      waits for SIGTERM, then ends with 3
 *   test_program exit N     ends with N
 *   test_program echo WORD  prints the word
 *   test_program read FILE  prints the file's first line
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char** argv) {
  if (argc > 2 && strcmp(argv[1], "exit") == 0) return atoi(argv[2]);
  if (argc > 2 && strcmp(argv[1], "echo") == 0) return puts(argv[2]) < 0;
  if (argc > 2 && strcmp(argv[1], "read") == 0) {
    char line[256];
    FILE* file = fopen(argv[2], "re");
    if (file == NULL || fgets(line, sizeof line, file) == NULL) return 1;
    return fputs(line, stdout) < 0;
  }
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGTERM);
  sigprocmask(SIG_BLOCK, &wanted, NULL);
  puts("serving");
  fflush(stdout);
  int signal = 0;
  sigwait(&wanted, &signal);
  return 3;
}

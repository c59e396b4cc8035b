/* Threads that nobody joins. */
#include <pthread.h>
#include <unistd.h>

static void *nothing(void *argument) { return argument; }

int main(void)
{
    pthread_t thread;
    for (int i = 0; i < 3; i++)
        pthread_create(&thread, NULL, nothing, NULL);
    sleep(1);
    return 0;
}

/* Memory is used after another thread has freed it; and freed while another thread writes. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static int *shared;

static void *releases(void *nothing)
{
    free(shared);
    return nothing;
}

int main(void)
{
    pthread_t other;
    shared = malloc(sizeof *shared);
    pthread_create(&other, NULL, releases, NULL);
    sleep(1);
    *shared = 1;
    pthread_join(other, NULL);
    return 0;
}

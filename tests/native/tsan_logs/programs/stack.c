/* A race on a variable of another thread's stack, one on thread-local storage, and one through memset(). */
#include <pthread.h>
#include <string.h>

static __thread int local;
static char buffer[64];

static void *write_all(void *places)
{
    int **both = places;
    *both[0] = 1;
    *both[1] = 1;
    memset(buffer, 1, sizeof buffer);
    return NULL;
}

int main(void)
{
    pthread_t other;
    int here = 0;
    int *places[2] = {&here, &local};
    pthread_create(&other, NULL, write_all, places);
    here = 2;
    local = 2;
    memset(buffer, 2, sizeof buffer);
    pthread_join(other, NULL);
    return here + local + buffer[0] == 0;
}
